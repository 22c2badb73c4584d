"""Samplers on a Ray cluster for one command, from its start to its end."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from redline.cluster.checks.resources import needs_of
from redline.cluster.config import RunConfig
from redline.cluster.deadlines import unless_failed
from redline.cluster.display.progress import Progress
from redline.cluster.fleet import start_samplers_only
from redline.cluster.guardian import Guardian
from redline.cluster.launch import Cluster
from redline.cluster.workers.samplers import ElasticSamplers

T = TypeVar("T")
_SECONDS_TO_STOP = 5.0


async def on_ray_samplers(
    config: RunConfig,
    *,
    model: str,
    progress: Progress,
    work: Callable[[ElasticSamplers], Coroutine[Any, Any, T]],
) -> T:
    """The result of work on the samplers of a configuration, which serve the model as it is.

    They and their sandboxes are started before it and end after it. Raises UserError when there is
    no such cluster or it has no place, WorkFailed when workers do not start or are all lost.
    """
    needs = [need for need in needs_of(config) if need.kind != "learner"]
    # What a signal leaves of a cluster of this machine's own is ended by the guardian.
    with closing(Guardian()), tempfile.TemporaryDirectory() as logs:
        with progress.phase("starting Ray"):
            cluster = await asyncio.to_thread(Cluster, config, Path(logs), needs=needs)
        try:
            fleet = await start_samplers_only(cluster, config, model=model, progress=progress)
            try:
                progress.say(fleet.isolation.summary())
                return await unless_failed(work(fleet.samplers), fleet.rollouts.failure())
            finally:
                await fleet.close(_SECONDS_TO_STOP)
        finally:
            await cluster.stop_within(_SECONDS_TO_STOP)
