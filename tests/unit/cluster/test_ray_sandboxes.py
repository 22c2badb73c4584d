"""Sandboxes behind actors: a lost one costs nothing, and what the cluster lacks is told."""

import asyncio
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from redline.cluster.checks.resources import Offer
from redline.cluster.errors import UserError
from redline.cluster.handles import RaySandboxes
from redline.cluster.main import run
from redline.cluster.sandbox_fleet import RaySandboxRequest, _placed
from redline.sandbox.records import ExecutionRequest, InfrastructureError

REQUEST = ExecutionRequest(program="x = 1", tests=("assert x",))


class Actor:
    """A handle whose calls fail or answer."""

    def __init__(self, error=None):
        self.error, self.calls = error, 0
        self.run_many = SimpleNamespace(remote=self._run_many)

    async def _run_many(self, requests, *, client):
        self.calls += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [client] * len(requests)


def test_a_dead_actor_is_asked_once_and_its_work_done_elsewhere():
    dead, sound = Actor(ActorDiedError()), Actor()
    sandboxes = RaySandboxes({"a": dead, "b": sound}, client="c")

    async def main():
        return [await sandboxes.run(REQUEST) for _ in range(5)]

    assert asyncio.run(main()) == ["c"] * 5
    assert (dead.calls, sound.calls) == (1, 5)


def test_without_an_actor_left_it_says_what_became_of_each():
    sandboxes = RaySandboxes({name: Actor(ActorDiedError()) for name in "ab"}, client="c")
    with pytest.raises(InfrastructureError, match=r"no sandbox is left \(a: .*died"):
        asyncio.run(sandboxes.run(REQUEST))


def test_an_actor_that_cannot_be_reached_is_left_to_who_asked():
    error = ActorUnavailableError("no answer", b"0" * 16)
    sandboxes = RaySandboxes({"a": Actor(error), "b": Actor()}, client="c")
    with pytest.raises(InfrastructureError, match=r"a: .* unavailable"):
        asyncio.run(sandboxes.run(REQUEST))


def test_programs_wait_for_the_sandbox_that_takes_the_place_of_the_last_one():
    dead, sound = Actor(ActorDiedError()), Actor()
    sandboxes = RaySandboxes({"a": dead}, client="c", patience=60.0)

    async def main():
        verdict = asyncio.ensure_future(sandboxes.run(REQUEST))
        while not dead.calls:
            await asyncio.sleep(0.001)
        sandboxes.change({})
        sandboxes.change({"b": sound})
        return await verdict

    assert asyncio.run(main()) == "c"
    assert (dead.calls, sound.calls) == (1, 1)


def test_an_actor_that_cannot_be_reached_for_a_moment_is_asked_again():
    actor = Actor(ActorUnavailableError("no answer", b"0" * 16))
    sandboxes = RaySandboxes({"a": actor}, client="c", patience=60.0)

    async def main():
        verdict = asyncio.ensure_future(sandboxes.run(REQUEST))
        while not actor.calls:
            await asyncio.sleep(0.001)
        actor.error = None
        return await verdict

    assert asyncio.run(main()) == "c"


def test_a_sandbox_that_left_may_still_answer():
    slow = Actor()
    sandboxes = RaySandboxes({"a": slow}, client="c")

    async def main():
        verdict = asyncio.ensure_future(sandboxes.run(REQUEST))
        while not slow.calls:
            await asyncio.sleep(0)
        sandboxes.change({"b": Actor()})
        return await verdict

    assert asyncio.run(main()) == "c"


def test_as_many_actors_as_the_free_cpus_hold():
    offers = [Offer(node=n, num_cpus=cpus, num_gpus=0) for n, cpus in (("a", 5), ("b", 3.5))]
    asked = RaySandboxRequest(address=None, actors=None, workers=2)
    assert _placed(asked, offers) == 3
    with pytest.raises(UserError, match="no place for sandbox 4 of 4"):
        _placed(RaySandboxRequest(address=None, actors=4, workers=2), offers)
    with pytest.raises(UserError, match="no place for sandbox 1 of 1"):
        _placed(RaySandboxRequest(address=None, actors=None, workers=8), offers)


def test_actors_need_a_cluster(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--data", "absent.jsonl", "--output", "d.arrow", "--actors", "2"]
    assert run(["tasks", "demos", *arguments]) == 2
    assert "give its address with --ray" in capfd.readouterr().err
