"""The manifests: accepted by KubeRay, agreeing with the runs that they are for, and hardened."""

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from redline.cluster.checks.resources import Offer
from redline.cluster.jobs.checks import check_room
from redline.cluster.load import load_config

MANIFESTS = Path(__file__).parents[3] / "cluster" / "manifests"
SCHEMA = yaml.safe_load((Path(__file__).parent / "kuberay_schema.yaml").read_text())
OVERLAYS = ("cpu", "gpu", "cpu-job", "gpu-job")

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which renders overlays, is not installed"
)


def validate(resource):
    kind = resource["kind"]
    jsonschema.validate(resource, {"$defs": SCHEMA["$defs"], **SCHEMA[kind]})


def base():
    return yaml.safe_load((MANIFESTS / "kubernetes/base/raycluster.yaml").read_text())


def rendered(overlay):
    """Every resource of an overlay, by kind."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / "kubernetes/overlays" / overlay)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}


def cluster_of(resources):
    if "RayJob" in resources:
        return resources["RayJob"]["spec"]["rayClusterSpec"]
    return resources["RayCluster"]["spec"]


def container(group):
    (found,) = group["template"]["spec"]["containers"]
    return found


def offers_of(spec):
    """What the cluster announces with every pool at its least."""
    head = spec["headGroupSpec"]["rayStartParams"]
    offers = [Offer(node="head", num_cpus=float(head["num-cpus"]), num_gpus=0)]
    for group in spec["workerGroupSpecs"]:
        limits = container(group)["resources"]["limits"]
        # KubeRay quotes the value for a shell once more.
        announced = json.loads(shlex.split(group["rayStartParams"]["resources"])[0])
        for number in range(group["minReplicas"]):
            offers.append(
                Offer(
                    node=f"{group['groupName']}-{number}", num_cpus=float(limits["cpu"]),
                    num_gpus=float(limits.get("nvidia.com/gpu", 0)), resources=announced,
                )
            )  # fmt: skip
    return offers


def test_the_base_is_a_ray_cluster():
    validate(base())


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec.update(workerGroups=[]),
        lambda spec: spec["authOptions"].update(mode="on"),
        lambda spec: spec["workerGroupSpecs"][0].pop("maxReplicas"),
        lambda spec: spec["workerGroupSpecs"][0]["rayStartParams"].update({"num-cpus": 2}),
        lambda spec: container(spec["headGroupSpec"])["resources"]["limits"].update(memory="8 GB"),
        lambda spec: container(spec["headGroupSpec"])["resources"]["limits"].update(memory="8ki"),
        lambda spec: spec.pop("rayVersion"),
        lambda spec: spec.update(rayVersion="2.51.0"),
        lambda spec: spec["headGroupSpec"]["template"]["spec"].update(restartPolicy="Always"),
    ],
)
def test_the_schema_refuses_what_kuberay_refuses(change):
    broken = base()
    change(broken["spec"])
    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


@pytest.mark.parametrize("name", ["1st", "Redline", "redline-", "r" * 48])
def test_the_schema_refuses_names_that_kuberay_refuses(name):
    broken = base()
    broken["metadata"]["name"] = name
    with pytest.raises(jsonschema.ValidationError):
        validate(broken)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec.pop("rayClusterSpec"),
        lambda spec: spec.update(shutdownAfterJobFinishes=False),
        lambda spec: spec.update(activeDeadlineSeconds=0),
    ],
)
def test_the_schema_refuses_jobs_that_kuberay_refuses(change):
    path = MANIFESTS / "kubernetes/as-job/copy/rayjob.yaml"
    job = yaml.safe_load(path.read_text())
    job["spec"].update(entrypoint="exec true", rayClusterSpec=base()["spec"])
    validate(job)
    change(job["spec"])
    with pytest.raises(jsonschema.ValidationError):
        validate(job)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_accepted(overlay):
    resources = rendered(overlay)
    kind = "RayJob" if overlay.endswith("-job") else "RayCluster"
    assert set(resources) == {"PersistentVolumeClaim", "PodMonitor", "NetworkPolicy", kind}
    validate(resources[kind])
    spec = cluster_of(resources)
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        flavour = overlay.removesuffix("-job")
        assert container(group)["image"] == f"registry.example/redline:{flavour}"


@needs_kubectl
@pytest.mark.parametrize("overlay", ["cpu-job", "gpu-job"])
def test_a_jobs_run_fits_on_its_cluster(overlay):
    resources = rendered(overlay)
    job = resources["RayJob"]["spec"]
    words = shlex.split(job["entrypoint"])
    assert words[:6] == ["exec", "python", "-m", "redline.cluster.main", "train", "--config"]
    config = load_config(words[6], words[7:])
    check_room(config, offers_of(cluster_of(resources)))
    assert config.ray.address == "auto"
    assert job["metadata"] == {"redline_run": config.name, "redline_run_root": config.run_root}
    mounts = container(cluster_of(resources)["headGroupSpec"])["volumeMounts"]
    assert config.run_root in {mount["mountPath"] for mount in mounts}
    assert "RAY_JOB_STOP_WAIT_TIME_S" in yaml.safe_load(job["runtimeEnvYAML"])["env_vars"]


def test_each_role_has_a_pool_with_bounds():
    pools = {group["groupName"]: group for group in base()["spec"]["workerGroupSpecs"]}
    assert set(pools) == {"learner", "sampler", "sandbox"}
    for name, pool in pools.items():
        assert f"redline_{name}" in pool["rayStartParams"]["resources"]
        assert 1 <= pool["minReplicas"] <= pool["replicas"] <= pool["maxReplicas"]
        assert pool["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == name


def test_no_pod_has_more_than_it_needs():
    spec = base()["spec"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = container(group)["securityContext"]
        assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        ports = {port["name"]: port["containerPort"] for port in container(group)["ports"]}
        assert str(ports["metrics"]) == group["rayStartParams"]["metrics-export-port"]
        limits = container(group)["resources"]
        assert limits["requests"] == limits["limits"]


def test_nothing_of_a_run_is_mounted_in_the_sandboxes():
    sandbox = base()["spec"]["workerGroupSpecs"][2]
    pod = sandbox["template"]["spec"]
    assert sandbox["groupName"] == "sandbox"
    assert pod["automountServiceAccountToken"] is False
    assert all("emptyDir" in volume for volume in pod["volumes"])


FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$(basename "$0") $*" in
  "scontrol show"*) echo n1; echo n2 ;;
  *hostname*) echo 10.0.0.1 ;;
  *"list nodes"*) echo '"node_id"'; echo '"node_id"' ;;
  *"ray start"*) exec sleep 60 ;;
  "redline train"*) trap 'echo saved >> "$LOG"; exit 130' TERM; : > "$LOG.on"
    while :; do sleep 0.05; done ;;
esac
"""


def test_the_slurm_script_starts_every_node_and_saves_before_its_time_is_up(tmp_path):
    log = tmp_path / "log"
    for name in ("srun", "scontrol", "ray", "redline"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path),
        "LOG": str(log), "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_RESTART_COUNT": "1",
    }  # fmt: skip
    script = subprocess.Popen(
        [str(MANIFESTS / "slurm.sh"), "--config", "multi_node", "name=x"], env=environment
    )
    try:
        while not (tmp_path / "log.on").exists():
            assert script.poll() is None
            time.sleep(0.02)
        script.terminate()
        assert script.wait(timeout=60) == 130
    finally:
        script.kill()
    said = log.read_text().splitlines()
    # Each is started behind the script's back, so they may speak in any order.
    starts = [line for line in said if "ray start" in line]
    head, other = sorted(starts, key=lambda line: "--nodelist=n2" in line)
    assert "--nodelist=n1" in head and "--head --port=6379" in head
    assert "--nodelist=n2" in other and "--address=10.0.0.1:6379" in other
    assert "redline train --config multi_node name=x ray.address=10.0.0.1:6379 --resume" in said
    assert said.index("saved") < said.index("scontrol requeue 7")
    assert not (tmp_path / ".redline-slurm/7/token").exists()


def test_the_slurm_script_says_what_it_lacks():
    script = str(MANIFESTS / "slurm.sh")
    for arguments, message in (([], "give the arguments"), (["--config", "x"], "sbatch")):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert message in done.stderr
