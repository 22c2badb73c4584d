"""What isolation this machine gives: each tier tried, then the strongest looked at from inside."""

import asyncio
import platform
from dataclasses import dataclass

from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import (
    ExecutionRequest,
    InfrastructureError,
    LayerReport,
    Limits,
    TestResult,
    TestStatus,
    Verdict,
)
from redline.sandbox.server import ForkServer
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """All tiers and layers of this machine."""

    tier: str
    """The strongest tier; `none` also where no program can be run at all."""
    tiers: tuple[LayerReport, ...]
    """Each tier, the strongest first, and why it cannot be had."""
    layers: tuple[LayerReport, ...]
    """What the strongest tier is made of, and what a program inside it met."""
    machine: str
    """Kernel, architecture and Python."""

    def as_text(self) -> str:
        """One line per tier and layer: `yes` or `no`, its name, and why not."""
        lines = [f"{self.machine}: isolation {self.tier}", "tiers:"]
        lines += [_line(report) for report in self.tiers]
        lines.append(f"layers at {self.tier}:")
        return "\n".join(lines + [_line(report) for report in self.layers])


_PROGRAM = """\
import errno, os, socket, _thread

def attempt(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno, "OSError")
    except BaseException as error:
        return type(error).__name__
    return "allowed"

def fork():
    def act():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return attempt(act)

def thread():
    return attempt(lambda: _thread.start_new_thread(int, ()))

def signal_server():
    return attempt(lambda: os.kill(os.getppid(), 0))

def read_server():
    return attempt(lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(1))

def read_files():
    return attempt(lambda: open("/etc/passwd").close())

def open_socket():
    return attempt(lambda: socket.socket().close())

def descriptors():
    found = []
    for number in range(1024):
        try:
            os.get_inheritable(number)
        except OSError:
            continue
        found.append(number)
    return found

def environment():
    return sorted(os.environ)

def spin():
    while True:
        pass

def shout():
    while True:
        os.write(1, b"x" * 4096)

def hoard():
    return len("x" * (1 << 32))
"""

_TESTS = {
    "no child processes": "assert fork() in ('EAGAIN', 'EPERM')",
    "no threads": "assert thread() == 'RuntimeError'",
    "no signals to the server": "assert signal_server() == 'EPERM'",
    "no look into the server": "assert read_server() == 'EACCES'",
    "no files": "assert read_files() == 'EACCES'",
    "no network": "assert open_socket() == 'EACCES'",
    "no foreign descriptors": "assert descriptors() == [0, 1, 2, 4]",
    "scrubbed environment": "assert environment() == []",
}
_LIMIT_TESTS = {
    "CPU limit": ("assert spin()", TestStatus.TIMEOUT),
    "output limit": ("assert shout()", TestStatus.OUTPUT),
    "memory limit": ("assert hoard()", TestStatus.MEMORY),
}


def probe() -> ProbeReport:
    """Try every tier on this machine; not to be called from a running event loop.

    A sandbox that does not start at all is reported too, with the reason.
    """
    tiers, layers = asyncio.run(_probe())
    machine = f"{platform.platform()} {platform.machine()}, Python {platform.python_version()}"
    return ProbeReport(
        tier=_strongest(tiers), tiers=tuple(tiers), layers=tuple(layers), machine=machine
    )


async def _probe() -> tuple[list[LayerReport], list[LayerReport]]:
    tiers = [await _try(tier) for tier in TIERS]
    if not any(report.achieved for report in tiers):
        return tiers, []
    return tiers, await _look_inside(_strongest(tiers))


def _strongest(tiers: list[LayerReport]) -> Tier:
    return Tier(next((report.name for report in tiers if report.achieved), Tier.NONE))


async def _try(tier: Tier) -> LayerReport:
    """Whether a fork server of this tier starts."""
    try:
        server = await ForkServer.start(tier)
    except InfrastructureError as error:
        return LayerReport(name=tier, achieved=False, reason=str(error).removeprefix(f"{tier}: "))
    await server.close()
    return LayerReport(name=tier, achieved=True)


async def _look_inside(tier: Tier) -> list[LayerReport]:
    settings = SandboxSettings(min_tier=tier, max_tier=tier, allow_unsafe=True, max_retries=0)
    layers: list[LayerReport] = []
    try:
        async with SandboxPool(1, settings) as pool:
            layers += pool.facts.layers
            acts = await pool.run(_request(tuple(_TESTS.values())))
            limits = await pool.run(_request(tuple(test for test, _ in _LIMIT_TESTS.values())))
    except InfrastructureError as error:
        return [*layers, LayerReport(name="contained child", achieved=False, reason=str(error))]
    layers.append(LayerReport(name="contained child", achieved=True))
    layers += _reports(tuple(_TESTS), (TestStatus.PASS,) * len(_TESTS), acts)
    expected = tuple(status for _, status in _LIMIT_TESTS.values())
    return layers + _reports(tuple(_LIMIT_TESTS), expected, limits)


def _request(tests: tuple[str, ...]) -> ExecutionRequest:
    limits = Limits(cpu_seconds=0.2, memory_mib=64)
    return ExecutionRequest(program=_PROGRAM, tests=tests, limits=limits)


def _reports(
    names: tuple[str, ...], expected: tuple[TestStatus, ...], verdict: Verdict
) -> list[LayerReport]:
    return [
        _report(name, status, result)
        for name, status, result in zip(names, expected, verdict.tests, strict=True)
    ]


def _report(name: str, expected: TestStatus, result: TestResult) -> LayerReport:
    achieved = result.status is expected
    return LayerReport(
        name=name,
        achieved=achieved,
        reason="" if achieved else result.detail_blind or result.status.value,
    )


def _line(report: LayerReport) -> str:
    reason = f" ({report.reason})" if report.reason else ""
    return f"  {'yes' if report.achieved else 'no ':<3} {report.name}{reason}"
