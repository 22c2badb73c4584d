"""Samplers behind actors: groups in flight are asked for, and given back where they go on."""

import asyncio
import logging
from types import SimpleNamespace

import cluster_fakes as fakes
import pytest
from ray.exceptions import ActorDiedError

from redline.cluster.handles import RaySamplers

BEGUN = fakes.make_partial("g7", "t0", [3])


class Sampler:
    """A handle whose calls fail or answer."""

    def __init__(self, error=None):
        self.asked = []
        self.error = error
        self.in_flight = SimpleNamespace(remote=self._in_flight)
        self.sample_group = SimpleNamespace(remote=self._sample_group)

    async def _in_flight(self):
        if self.error is not None:
            raise self.error
        return (BEGUN,)

    def _sample_group(self, task, *, group_id, begun):
        self.asked.append((task.task_id, group_id, begun))
        return "group"


class Store:
    def __init__(self):
        self.groups = []
        self.append = SimpleNamespace(remote=self._append)

    async def _append(self, group):
        self.groups.append(group)


def test_a_lost_sampler_keeps_nobody_from_saving_what_the_others_have(caplog):
    samplers = RaySamplers({"a": Sampler(), "b": Sampler(ActorDiedError()), "c": Sampler()}, None)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(samplers.in_flight()) == [BEGUN, BEGUN]
    assert "b was lost" in caplog.text
    assert "begins its groups again" in caplog.text


def test_a_sampler_that_hangs_is_not_waited_for(caplog, monkeypatch):
    monkeypatch.setattr("redline.cluster.handles._SECONDS_TO_TELL", 0.05)
    stuck = Sampler()
    stuck.in_flight.remote = lambda: asyncio.sleep(30)
    assert asyncio.run(RaySamplers({"a": Sampler(), "b": stuck}, None).in_flight()) == [BEGUN]
    assert "b told nothing of its groups" in caplog.text


def test_a_fault_of_our_own_is_not_taken_for_a_lost_sampler():
    samplers = RaySamplers({"a": Sampler(KeyError("no such thing"))}, None)
    with pytest.raises(KeyError):
        asyncio.run(samplers.in_flight())


def test_a_begun_group_is_given_to_the_sampler_that_goes_on_with_it():
    sampler, store = Sampler(), Store()
    (task,) = fakes.make_tasks(1)
    asyncio.run(RaySamplers({"a": sampler}, store).roll_out(task, "g7", BEGUN))
    assert sampler.asked == [("t0", "g7", BEGUN)]
    assert store.groups == ["group"]
