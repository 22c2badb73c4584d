"""Who is waited for is named in time, and not blamed for the absence of whom waits."""

import asyncio
import time

import pytest

from redline.cluster import deadlines
from redline.cluster.deadlines import first_of, in_time, wait_in_time
from redline.cluster.errors import WorkFailed


async def done_after(seconds, value="done"):
    await asyncio.sleep(seconds)
    return value


def test_what_is_late_is_named():
    async def main():
        with pytest.raises(WorkFailed, match=r"^the thing: no answer after 0 s$"):
            await in_time(done_after(60), 0.05, "the thing")
        assert await in_time(done_after(0.0), 60, "the thing") == "done"
        with pytest.raises(WorkFailed):
            await in_time(done_after(60), 0.0, "nobody has time")

    asyncio.run(main())


def test_a_timeout_of_the_work_itself_stays_its_own():
    async def main():
        async def late():
            raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine"):
            await in_time(late(), 60, "the thing")

    asyncio.run(main())


def test_time_for_which_this_process_was_stopped_does_not_count(monkeypatch):
    """An answer that came meanwhile is taken, though the deadline passed before it was read."""
    monkeypatch.setattr(deadlines, "_TICK_SECONDS", 0.06)

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, time.sleep, 0.6)  # nothing runs meanwhile, as after SIGSTOP
        return await in_time(done_after(0.15), 0.3, "the thing")

    assert asyncio.run(main()) == "done"


def test_a_stop_just_before_the_deadline_leaves_time_to_read_the_answer(monkeypatch):
    monkeypatch.setattr(deadlines, "_TICK_SECONDS", 0.3)

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, time.sleep, 1.0)
        answer = loop.create_future()
        loop.call_later(0.06, lambda: loop.call_later(0.05, answer.set_result, "read"))
        return await in_time(answer, 0.25, "the thing")

    assert asyncio.run(main()) == "read"


def test_several_are_waited_for_in_the_same_time(monkeypatch):
    monkeypatch.setattr(deadlines, "_TICK_SECONDS", 0.06)

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, time.sleep, 0.6)
        one, other = (asyncio.ensure_future(done_after(seconds)) for seconds in (0.15, 60))
        assert await wait_in_time([one, other], 0.3) == ({one}, {other})
        other.cancel()

    asyncio.run(main())


def test_the_first_that_is_done_decides_and_the_others_are_cancelled():
    async def main():
        cancelled = []

        async def other():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        assert await first_of(other(), done_after(0.01, "why")) == "why"
        await asyncio.sleep(0)
        assert cancelled

    asyncio.run(main())
