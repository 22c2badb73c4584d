"""Who is named when the ranks of a learner do not all answer."""

import asyncio

import pytest
from ray.exceptions import RayActorError, RayTaskError

from redline.cluster import learner_handle
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.learner_handle import answer_of_all


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
