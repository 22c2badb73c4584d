"""The ranks of a learner behind one handle, so that nobody else needs to know how many there are.

Every call goes to all ranks, which wait for each other within it. So one that fails or is lost
keeps the others waiting, and who failed is told apart from who only waited.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

from redline.cluster.config import DeadlineSettings
from redline.cluster.deadlines import first_of, in_time, wait_in_time
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.handles import answer, silence
from redline.cluster.published import Channel, PublishedWeights
from redline.learner.meeting import Meeting
from redline.replay.records import StepResult, TrajectoryGroup

_SECONDS_TO_FAIL_TOO = 10.0
"""After the first rank's failure: the cause may be another rank, whose end is noticed later."""
_EARLIER = 0.95
"""Share of a deadline after which ranks are named, before the caller's own wait ends."""


class RayLearner:
    """The ranks of a learner, rank 0 first."""

    def __init__(self, handles: dict[str, Any], deadlines: DeadlineSettings) -> None:
        """`handles` by the names of the ranks."""
        self.channel: Channel | None = None
        self._handles = handles
        self._deadlines = deadlines

    async def failure(self, every: float) -> str:
        """Wait until a rank is lost, or hangs; returns which. Each is asked `every` so many s.

        A rank answers beside its work. One that waits for others within a step is alive: such a
        step has a deadline of its own.
        """
        beats = (
            silence(partial(self._heartbeat, name, handle), every)
            for name, handle in self._handles.items()
        )
        return await first_of(*beats)

    async def _heartbeat(self, name: str, handle: Any) -> None:
        beat = answer(name, handle.heartbeat.remote())
        what = f"heartbeat of {name} (deadlines.heartbeat)"
        await in_time(beat, self._deadlines.heartbeat, what)

    async def train_step(self, groups: Sequence[TrajectoryGroup]) -> StepResult:
        """One optimizer step."""
        shared = ray.put(list(groups))
        return await self._call("train_step", shared, seconds=self._deadlines.step)

    async def weight_update(self) -> PublishedWeights:
        """The weights as they are now, for samplers to pull; their bytes do not come here."""
        calls = {name: _drained(name, h.publish.remote()) for name, h in self._handles.items()}
        told = await answer_of_all(calls, self._deadlines.push * _EARLIER)
        name, (*contents, last) = next(iter(told.items()))
        update = await answer(name, last)
        return PublishedWeights(update=update, contents=contents, channel=self.channel)

    async def open_channel(self, sampler: str, ranks: int) -> Meeting:
        """Let the workers of a sampler find the first rank, to be sent weights."""
        name, first = next(iter(self._handles.items()))
        host = await answer(name, first.node_address.remote())
        return await answer(name, first.open_channel.remote(host, sampler, ranks))

    async def send_weights(self, sampler: str, version: int) -> None:
        """Send weights of this version over the channel of a sampler."""
        await self._call("send_weights", sampler, version, seconds=self._deadlines.push)

    async def save_checkpoint(self, folder: Path) -> None:
        """Write a checkpoint."""
        seconds = self._deadlines.checkpoint
        await self._call("save_checkpoint", str(folder.resolve()), seconds=seconds)

    async def load_checkpoint(self, folder: Path) -> None:
        """Go back to a checkpoint."""
        seconds = self._deadlines.checkpoint
        await self._call("load_checkpoint", str(folder.resolve()), seconds=seconds)

    async def _call(self, method: str, *arguments: Any, seconds: float) -> Any:
        """Call all ranks; returns rank 0's answer."""
        calls = {
            name: answer(name, getattr(handle, method).remote(*arguments))
            for name, handle in self._handles.items()
        }
        told = await answer_of_all(calls, seconds * _EARLIER)
        return told[next(iter(told))]


async def start_learner(handles: dict[str, Any], seconds: float) -> None:
    """Let the ranks meet and start; raises WorkFailed naming who failed or did not come."""
    meeting = None
    if len(handles) > 1:
        name, first = next(iter(handles.items()))
        host = await answer(name, first.node_address.remote())
        meeting = await answer(name, first.open_meeting.remote(host))
    starts = {name: answer(name, h.start.remote(meeting)) for name, h in handles.items()}
    await answer_of_all(starts, seconds * _EARLIER)


async def _drained(worker: str, stream: Any) -> list[Any]:
    """References to all that a worker yields, once it is done; nothing of it is fetched."""
    await answer(worker, stream.completed())
    references = list(stream)
    if references:  # an error is the last
        await answer(worker, references[-1])
    return references


async def answer_of_all(calls: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Await the same call on all ranks; raises WorkFailed naming who failed or gave no answer.

    The first failure ends the wait, but for a moment in which others may fail too: of several
    that did, those that were lost come first.
    """
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    try:
        done, waiting = await wait_in_time(
            tasks.values(), seconds, return_when=asyncio.FIRST_EXCEPTION
        )
        if any(task.exception() for task in done):
            if waiting:
                await asyncio.wait(waiting, timeout=_SECONDS_TO_FAIL_TOO)
        elif not waiting:
            return {name: task.result() for name, task in tasks.items()}
        raise _failure(tasks, seconds)
    finally:
        for task in tasks.values():
            task.cancel()


def _failure(tasks: dict[str, asyncio.Task[Any]], seconds: float) -> Exception:
    """What to say of ranks of which at least one failed or gave no answer."""
    ended = [task.exception() for task in tasks.values() if task.done()]
    failed = [error for error in ended if isinstance(error, Exception)]
    silent = [name for name, task in tasks.items() if not task.done()]
    if not failed:
        return WorkFailed(f"{', '.join(silent)}: no answer after {seconds:.0f} s")
    failed.sort(key=_rank_of_cause)
    if isinstance(failed[0], UserError) or len(tasks) == 1:
        return failed[0]
    text = "; ".join(str(error) for error in failed)
    if silent:
        text += f"; no answer from {', '.join(silent)}"
    return WorkFailed(text)


def _rank_of_cause(error: Exception) -> int:
    """Wrong input first, then ranks that were lost, then those that raised something."""
    if isinstance(error, UserError):
        return 0
    return 2 if isinstance(error.__cause__, RayTaskError) else 1
