"""Who is named when the ranks of a learner do not all answer."""

import asyncio
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError, RayTaskError

from redline.cluster import learner_handle
from redline.cluster.config import DeadlineSettings
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.learner_handle import RayLearner, answer_of_all


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    monkeypatch.setattr(learner_handle, "_SECONDS_TO_FAIL_TOO", 0.05)


async def said(value):
    return value


async def never():
    await asyncio.sleep(60)


async def failed(name, cause, seconds=0.0):
    await asyncio.sleep(seconds)
    raise WorkFailed(f"{name} failed") from cause


def lost():
    return RayActorError()


def raised():
    return RayTaskError("f", "traceback", RuntimeError("Connection closed by peer"))


def outcome(calls, seconds=30.0):
    return asyncio.run(answer_of_all(calls, seconds))


def test_all_answers_by_name():
    assert outcome({"learner-0": said(1), "learner-1": said(None)}) == {
        "learner-0": 1,
        "learner-1": None,
    }


def test_who_gives_no_answer_is_named():
    with pytest.raises(WorkFailed, match=r"^learner-1: no answer after 0 s$"):
        outcome({"learner-0": said(1), "learner-1": never()}, seconds=0.1)


def test_a_lost_rank_is_named_before_those_that_missed_it():
    calls = {
        "learner-0": failed("learner-0", raised()),
        "learner-1": failed("learner-1", lost(), seconds=0.01),
        "learner-2": never(),
    }
    with pytest.raises(WorkFailed, match=r"^learner-1 failed; learner-0 failed; no answer from"):
        outcome(calls)


def test_wrong_input_stays_the_users_error():
    async def refused():
        raise UserError("no policy")

    with pytest.raises(UserError, match="no policy"):
        outcome({"learner-0": never(), "learner-1": refused()})


def test_one_rank_fails_as_it_did():
    with pytest.raises(WorkFailed, match=r"^learner failed$") as caught:
        outcome({"learner": failed("learner", lost())})
    assert isinstance(caught.value.__cause__, RayActorError)


class Stream:
    """What a generator method of an actor returns: references, an error as the last one."""

    def __init__(self, *items, lost=None):
        self.items, self.lost = items, lost

    async def completed(self):
        if self.lost:
            raise self.lost

    def __iter__(self):
        return iter([self._reference(item) for item in self.items])

    @staticmethod
    def _reference(item):
        reference = asyncio.get_running_loop().create_future()
        if isinstance(item, Exception):
            reference.set_exception(item)
        else:
            reference.set_result(item)
        return reference


def published(*streams):
    async def main():
        handles = {
            f"learner-{n}": SimpleNamespace(publish=SimpleNamespace(remote=lambda s=stream: s))
            for n, stream in enumerate(streams)
        }
        return await RayLearner(handles, DeadlineSettings()).weight_update()

    return asyncio.run(main())


def test_of_the_first_ranks_stream_the_last_is_the_update_and_the_rest_stay_references():
    found = published(Stream("bucket", "bucket", SimpleNamespace(version=7)), Stream())
    assert found.version == 7
    assert len(found.contents) == 2
    assert all(isinstance(content, asyncio.Future) for content in found.contents)


def test_a_rank_that_fails_or_is_lost_while_it_publishes_is_named():
    with pytest.raises(WorkFailed, match=r"^learner-0 failed: RuntimeError"):
        published(Stream("bucket", raised()))
    with pytest.raises(WorkFailed, match=r"^learner-1 was lost"):
        published(Stream(SimpleNamespace(version=1)), Stream(lost=lost()))


@pytest.mark.parametrize(
    ("beat", "text"),
    [
        (never, r"^heartbeat of learner-1 \(deadlines.heartbeat\): no answer after 0 s; go on"),
        (lambda: failed("learner-1", lost()), r"^learner-1 failed; go on with --resume$"),
    ],
)
def test_a_rank_that_hangs_or_is_lost_is_named_while_nobody_else_waits_for_it(beat, text):
    beats = []

    async def sound():
        beats.append(1)

    async def late():
        if len(beats) > 2:
            await beat()

    async def main():
        handles = {
            name: SimpleNamespace(heartbeat=SimpleNamespace(remote=remote))
            for name, remote in (("learner-0", sound), ("learner-1", late))
        }
        return await RayLearner(handles, DeadlineSettings(heartbeat=0.2)).failure(0.001)

    with pytest.raises(WorkFailed, match=text):
        raise WorkFailed(asyncio.run(main()))
    assert len(beats) > 2
