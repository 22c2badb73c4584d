"""Weights over a process group of their own: gloo stands in for NCCL, all else is the same."""

import asyncio
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from redline.actors.gpu_buckets import Receiver, with_device
from redline.cluster.published import PublishedWeights
from redline.cluster.weight_channel import WeightChannel
from redline.learner.meeting import Meeting, Seat
from redline.learner.publishing.bucket_layout import TensorShape, lay_out
from redline.learner.publishing.outlets import HostOutlet, IpcOutlet, NcclOutlet, make_outlet
from redline.replay.settings import WeightSettings

CPU = torch.device("cpu")


@pytest.fixture
def tensors():
    return [torch.arange(n, dtype=torch.float32) + n for n in (3, 40, 5)]


@pytest.fixture
def layouts(tensors):
    shapes = [
        TensorShape(name=str(n), shape=tuple(t.shape), dtype="float32", itemsize=4)
        for n, t in enumerate(tensors)
    ]
    return lay_out(shapes, 128)


def received(outlet, sampler, receivers, seat, layouts, tensors):
    """What each receiver got of one version, tensor by tensor."""

    def send():
        for layout in layouts:
            outlet.send(sampler, layout, [tensors[int(spec.name)] for spec in layout.specs])

    def receive(receiver):
        buckets = list(receiver.buckets(seat, [layout.nbytes for layout in layouts]))
        return [
            buckets[spec.bucket][spec.offset : spec.offset + spec.nbytes].view(torch.float32)
            for layout in layouts
            for spec in layout.specs
        ]

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(receive, receiver) for receiver in receivers]
        pool.submit(send).result(timeout=60)
        return [call.result(timeout=60) for call in calls]


def test_every_worker_receives_every_bucket_over_the_group_of_its_sampler(tensors, layouts):
    assert len(layouts) == 3
    outlet = NcclOutlet(128, CPU)
    members = {"s0": [Receiver(CPU, 0), Receiver(CPU, 1)], "s1": [Receiver(CPU, 0)]}
    told = {}
    for name, receivers in members.items():
        ranks = 1 + len(receivers)
        meeting = outlet.open(name, Seat(rank=0, ranks=ranks, seconds=60), "127.0.0.1")
        place = {"host": meeting.host, "port": meeting.port, "ranks": ranks, "seconds": 60}
        told[name] = json.dumps(place).encode()
    for _ in range(2):
        tensors[0].add_(1)
        for name, receivers in members.items():
            for got in received(outlet, name, receivers, told[name], layouts, tensors):
                assert all(a.equal(b) for a, b in zip(got, tensors, strict=True))


def test_nothing_is_sent_before_a_channel_is_open(tensors, layouts):
    with pytest.raises(RuntimeError, match="no channel to s0 is open"):
        NcclOutlet(128, CPU).send("s0", layouts[0], tensors[:1])


class FakeLearner:
    def __init__(self):
        self.opened: list[tuple[str, int]] = []
        self.sent: list[tuple[str, int]] = []
        self.steps: list[str] = []

    async def open_channel(self, sampler, ranks):
        self.opened.append((sampler, ranks))
        return Meeting(host="h", port=len(self.opened))

    async def send_weights(self, sampler, version):
        self.steps.append(f"{sampler} begins")
        await asyncio.sleep(0.01)
        self.steps.append(f"{sampler} ends")
        self.sent.append((sampler, version))


class FakeSampler:
    def __init__(self, error=None):
        self.update_weights = SimpleNamespace(remote=self._update)
        self.got: list[tuple] = []
        self.error = error

    async def _update(self, update, *contents):
        self.got.append(contents)
        if self.error:
            raise self.error
        return update.version


def test_each_sampler_keeps_its_group_until_it_fails_or_is_replaced():
    async def main():
        learner = FakeLearner()
        channel = WeightChannel(learner, workers={"a": 2, "b": 1}, seconds=9.0)
        samplers = {"a-0": FakeSampler(), "b-0": FakeSampler()}

        async def version(number):
            weights = PublishedWeights(update=SimpleNamespace(version=number), channel=channel)
            return await asyncio.gather(
                *(weights.pull(name, sampler) for name, sampler in samplers.items()),
                return_exceptions=True,
            )

        assert await version(1) == await version(1) == [1, 1]
        assert learner.steps == ["a-0 begins", "a-0 ends", "b-0 begins", "b-0 ends"] * 2
        samplers["a-0"] = FakeSampler()  # another one of this name
        samplers["b-0"].error = RuntimeError("broke")
        assert (await version(2))[0] == 2
        samplers["b-0"].error = None
        assert await version(3) == [3, 3]
        return learner, samplers["b-0"]

    learner, sampler = asyncio.run(main())
    assert learner.opened == [("a-0", 3), ("b-0", 2), ("a-0", 3), ("b-0", 2)]
    told = [json.loads(seat) for (seat,) in sampler.got]
    assert [seat["port"] for seat in told] == [2, 2, 2, 4]
    assert told[0] == {"host": "h", "port": 2, "ranks": 2, "seconds": 9.0}


def test_without_a_channel_the_contents_are_pulled():
    sampler = FakeSampler()
    weights = PublishedWeights(update=SimpleNamespace(version=4), contents=["x", "y"])
    assert weights.version == asyncio.run(weights.pull("a", sampler)) == 4
    assert sampler.got == [("x", "y")]


def test_each_transport_has_its_outlet():
    made = {
        name: make_outlet(WeightSettings(transport=name, bucket_mib=2), CPU)
        for name in ("object_store", "ipc", "nccl")
    }
    assert {name: type(outlet) for name, outlet in made.items()} == {
        "object_store": HostOutlet, "ipc": IpcOutlet, "nccl": NcclOutlet
    }  # fmt: skip
    assert all(outlet.transport == name for name, outlet in made.items())
    assert [outlet.bucket_bytes for outlet in made.values()] == [2 << 20, 0, 2 << 20]


def test_a_tensor_is_exported_once_as_long_as_it_stays_where_it_is(monkeypatch):
    exported = []
    monkeypatch.setattr(
        "redline.learner.publishing.outlets.export",
        lambda raw: exported.append(raw.data_ptr()) or pickle.dumps(len(exported)),
    )
    (layout,) = lay_out([TensorShape(name="a", shape=(4,), dtype="float32", itemsize=4)], 0)
    outlet, tensor = IpcOutlet(), torch.zeros(4)
    handles = []
    for _ in range(2):
        tensor.add_(1)
        spec, handle = outlet.hand_out(layout, [tensor])
        handles.append(handle)
        assert (spec.nbytes, spec.checksum) == (16, "")
    _, moved = outlet.hand_out(layout, [torch.zeros(4)])
    assert exported[0] == tensor.data_ptr()
    assert len(exported) == 2
    assert handles[0] == handles[1] != moved


def test_a_gpu_has_the_number_that_it_has_here():
    arguments = tuple(range(14))
    assert with_device(arguments, 3) == [0, 1, 2, 3, 4, 5, 3, 7, 8, 9, 10, 11, 12, 13]
