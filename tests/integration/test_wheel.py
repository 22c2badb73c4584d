"""The wheel, installed by itself outside of the checkout, is a whole redline."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("dsl", "sandbox", "replay", "actors", "learner", "cluster")

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed wheel, and an empty one to work in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        [*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", folder / "site",
         "--find-links", folder, "redline-rl"],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(source)
    (folder / "elsewhere").mkdir()
    return folder


def redline(installed, *arguments):
    """What the installed console script says; nothing of the checkout is on its path."""
    done = subprocess.run(
        [installed / "site/bin/redline", *arguments],
        cwd=installed / "elsewhere", env={**os.environ, "PYTHONPATH": str(installed / "site")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_it_plans_the_demo(installed):
    status, out, err = redline(installed, "train", "--config", "demo", "--dry-run", "--json")
    assert status == 0, err
    assert json.loads(out)["config"]["name"] == "demo"
    assert list((installed / "elsewhere").iterdir()) == []


def test_it_examines_the_machine(installed):
    status, out, err = redline(installed, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert status in (0, 1), err  # what a machine lacks is for the machine's owner
    assert checks["sandbox"]["ok"], checks["sandbox"]
    assert checks["packages"]["ok"], checks["packages"]


def test_it_holds_presets_policy_and_manifests(installed):
    package = installed / "site/redline/cluster"
    for name in (
        "presets/demo.yaml", "demo_policy/model.safetensors", "manifests/Containerfile",
        "manifests/slurm.sh", "manifests/kubernetes/base/raycluster.yaml",
        "manifests/kubernetes/overlays/gpu/kustomization.yaml",
    ):  # fmt: skip
        assert (package / name).is_file(), name
    status, out, err = redline(
        installed, "submit", "--config", "demo", "run_root=/shared/runs", "--write", "job"
    )
    assert status == 0, err
    assert "ray job submit" in out
