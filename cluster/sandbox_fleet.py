"""Sandboxes on a Ray cluster for one command, from its start to its end."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from redline.cluster.checks.resources import Need, Offer, check_placeable
from redline.cluster.config import RaySettings, RunConfig
from redline.cluster.display.progress import LineProgress
from redline.cluster.fleet import start_sandboxes_only
from redline.cluster.guardian import Guardian
from redline.cluster.launch import Cluster
from redline.sandbox.client import SandboxClient
from redline.sandbox.settings import SandboxSettings

_SECONDS_TO_STOP = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySandboxRequest:
    """Which sandboxes are asked for."""

    address: str | None
    """Address of a running cluster; None starts one on this machine that ends with the work."""
    actors: int | None
    """None means as many as the free CPUs hold."""
    workers: int
    """Fork servers of each actor; each asks for a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySandboxFleet:
    """Sandboxes that are ready."""

    client: SandboxClient
    actors: int


@asynccontextmanager
async def ray_sandboxes(
    asked: RaySandboxRequest, settings: SandboxSettings, name: str
) -> AsyncIterator[RaySandboxFleet]:
    """Sandbox actors with these settings for a client of this name; they end with the block.

    Raises UserError when there is no such cluster, it has no place, or its machines lack the
    isolation; WorkFailed when an actor does not start.
    """
    sandbox = replace(settings, workers_per_actor=asked.workers, num_cpus=float(asked.workers))
    config = RunConfig(name=name, sandbox=sandbox, ray=RaySettings(address=asked.address))
    # What a signal leaves of a cluster of this machine's own is ended by the guardian.
    with (
        closing(Guardian()),
        closing(LineProgress()) as progress,
        tempfile.TemporaryDirectory() as logs,
    ):
        with progress.phase("starting Ray"):
            cluster = await asyncio.to_thread(Cluster, config, Path(logs), needs=())
        try:
            sandbox.actors = _placed(asked, cluster.offers())
            with progress.phase(f"starting {sandbox.actors} sandbox actors") as phase:
                fleet = await start_sandboxes_only(cluster, config, client=name, phase=phase)
            try:
                progress.say(fleet.isolation.summary())
                yield RaySandboxFleet(client=fleet.client, actors=sandbox.actors)
            finally:
                await fleet.close(_SECONDS_TO_STOP)
        finally:
            await cluster.stop_within(_SECONDS_TO_STOP)


def _placed(asked: RaySandboxRequest, offers: list[Offer]) -> int:
    """How many actors there will be; UserError when the cluster has no place for them."""
    room = sum(int(offer.num_cpus // asked.workers) for offer in offers)
    count = asked.actors or max(1, room)
    need = Need(kind="sandbox", count=count, num_cpus=float(asked.workers), num_gpus=0.0)
    check_placeable([need], offers)
    return count
