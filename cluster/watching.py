"""Looks at a run from outside now and then, and tells when nothing moves."""

import asyncio
import time
from collections.abc import Callable

from redline.cluster.loop.controller import WAITING, Controller
from redline.cluster.loop.stall import StallWatch, View
from redline.cluster.workers.rollouts import RolloutFleet

_LOOK_SECONDS = 2.0


def look(controller: Controller, rollouts: RolloutFleet) -> View:
    """The run as it is now."""
    return View(
        now=time.monotonic(),
        step=controller.step,
        doing=controller.activity.what,
        doing_since=controller.activity.since,
        waits_for_groups=controller.activity.what == WAITING,
        groups_per_step=controller.credits.groups_per_step,
        stored=controller.credits.stored,
        in_flight=tuple(controller.credits.in_flight),
        samplers=rollouts.samplers.members,
        sandboxes=rollouts.sandboxes.members,
    )


async def tell_stalls(
    controller: Controller, rollouts: RolloutFleet, seconds: float, tell: Callable[[str], None]
) -> None:
    """Tell who waits for whom whenever nothing has moved for so long; until cancelled."""
    watch = StallWatch(lambda: look(controller, rollouts), seconds=seconds)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if (text := watch.check()) is not None:
            tell(text)
