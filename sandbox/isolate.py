"""What the fork server does to itself, once, to give its tier; each layer proven by trying it.

Loaded by the fork server; standard library only.
"""

import os
import resource
import signal
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from redline.sandbox import kernel, landlock, namespaces, trials
from redline.sandbox.containment import (
    Layers,
    become,
    contain,
    find_user,
    remember_children,
)
from redline.sandbox.records import LayerReport
from redline.sandbox.seccomp import build_filter
from redline.sandbox.tiers import Tier
from redline.sandbox.wire import RunOrder

_TRIAL = RunOrder(
    cpu_seconds=10.0,
    wall_seconds=10.0,
    memory_bytes=64 << 20,
    output_bytes=65_536,
    result_bytes=65_536,
)


class LayerFailed(Exception):
    """A layer that the tier needs could not be had."""

    def __init__(self, layer: str, error: OSError) -> None:
        super().__init__(layer)
        self.layer = layer
        self.errno_name = kernel.errno_name(error) if error.errno else ""
        self.reason = error.strerror or str(error)


@dataclass(slots=True, kw_only=True)
class Isolation:
    """What the server achieved."""

    layers: Layers
    pid: int
    """The server's process as the pool sees it."""
    user: int | None
    """User of the candidates, seen from outside; None where it is the pool's own."""
    reports: list[LayerReport] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What the pool is told, as JSON values."""
        return {
            "pid": self.pid,
            "uid": self.user,
            "tier": self.layers.tier.value,
            "layers": [asdict(report) for report in self.reports],
        }


def isolate(tier: Tier, control_fd: int) -> Isolation:
    """Give this tier and prove it; raises `LayerFailed`.

    At tier `namespaces` it returns in another process, the first of its namespace; the caller's
    stays behind only to wait for it.
    """
    user, reason = find_user()
    layers = Layers(tier=tier, uid=user, base_memory_bytes=_address_space_bytes(), filter=None)
    isolation = Isolation(layers=layers, pid=os.getpid(), user=user)
    isolation.reports.append(LayerReport(name="own user", achieved=user is not None, reason=reason))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if tier is Tier.NAMESPACES:
        _enter_namespaces(isolation, control_fd)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # of the pool, or of who stays behind
    remember_children()
    if tier in (Tier.NAMESPACES, Tier.LANDLOCK):
        _apply_landlock(isolation, needed=tier is Tier.LANDLOCK)
    if tier is not Tier.NONE:
        _prove_filter(isolation)
    return isolation


def _enter_namespaces(isolation: Isolation, control_fd: int) -> None:
    """The server itself takes the candidates' user, so its children need not."""
    outside = os.getpid()
    try:
        if isolation.user is not None:
            become(isolation.user)
            isolation.layers = replace(isolation.layers, uid=None)
        namespaces.enter()
        isolation.pid = namespaces.become_first_process(control_fd)
        trials.must_forbid(trials.namespace_acts(outside))
    except OSError as error:
        raise LayerFailed("namespaces", error) from error
    isolation.reports.append(LayerReport(name="namespaces", achieved=True))


def _apply_landlock(isolation: Isolation, *, needed: bool) -> None:
    """In an empty root Landlock is one wall more, taken where it is to be had."""
    try:
        version = landlock.restrict()
        network = landlock.forbids_network(version)
        trials.must_forbid(trials.landlock_acts(network=network))
    except OSError as error:
        failure = LayerFailed("landlock", error)
        if needed:
            raise failure from error
        report = LayerReport(name="landlock", achieved=False, reason=failure.reason)
    else:
        report = LayerReport(name="landlock", achieved=True)
    isolation.reports.append(report)


def _prove_filter(isolation: Isolation) -> None:
    """Build the filter and try it in a child contained as every candidate is."""
    parent = os.getpid()
    try:
        isolation.layers = replace(isolation.layers, filter=build_filter())
        layers = isolation.layers
        trials.must_forbid(trials.filter_acts(), lambda: contain(_TRIAL, layers, parent))
    except OSError as error:
        raise LayerFailed("seccomp", error) from error
    isolation.reports.append(LayerReport(name="seccomp", achieved=True))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is no business here
        return int(file.read().split()[0]) * resource.getpagesize()
