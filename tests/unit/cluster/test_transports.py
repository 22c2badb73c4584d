"""What each way of the weights needs, said before anything starts."""

import pytest

from redline.cluster.checks import transports
from redline.cluster.errors import UserError
from redline.cluster.load import load_config

ONE_GPU = ["weights.transport=ipc", "learner.num_gpus=0.5", "rollout.num_gpus=0.5"]
GPUS = ["weights.transport=nccl", "learner.num_gpus=1", "rollout.num_gpus=1"]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(transports, "has_gpu", lambda: True)


@pytest.mark.parametrize("transport", ["ipc", "nccl"])
def test_without_a_gpu_only_the_object_store_is_left(monkeypatch, transport):
    monkeypatch.setattr(transports, "has_gpu", lambda: False)
    with pytest.raises(UserError, match=r"needs a GPU and this machine has none.*object_store"):
        load_config("demo", [f"weights.transport={transport}"])
    assert load_config("demo", []).weights.transport == "object_store"


def test_of_the_machines_of_a_cluster_nothing_is_known_yet(monkeypatch):
    monkeypatch.setattr(transports, "has_gpu", lambda: False)
    assert load_config("demo", [*GPUS, "ray.address=auto"]).weights.transport == "nccl"


@pytest.mark.parametrize("overrides", [ONE_GPU, GPUS])
def test_with_gpus_each_is_accepted(gpu, overrides):
    load_config("demo", overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["weights.transport=pigeon"], "expected one of object_store, ipc, nccl"),
        (["weights.bucket_mib=0"], "expected at least 1"),
        (["weights.transport=ipc"], "learner.num_gpus=0"),
        ([*ONE_GPU, "rollout.num_gpus=0"], "rollout.num_gpus=0"),
        ([*ONE_GPU, "rollout.samplers=2"], "are 1.5 together"),
        ([*ONE_GPU, "learner.deepspeed.zero_stage=3"], "learner.deepspeed.zero_stage=3 empties"),
        ([*ONE_GPU, "rollout.engine.tensor_parallel_size=2"], "tensor_parallel_size=2"),
        ([*ONE_GPU, "learner.ranks=2", "learner.num_gpus=1"], "learner.ranks=2"),
        ([*GPUS, "learner.num_gpus=0.5"], "whole GPU for each process, but learner.num_gpus=0.5"),
        ([*GPUS, "rollout.num_gpus=0.5"], "rollout.num_gpus=0.5"),
    ],
)
def test_what_a_transport_cannot_go_with_is_named(gpu, overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config("demo", overrides)
    assert "\n" not in str(caught.value)
