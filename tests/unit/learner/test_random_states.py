"""Random draws after a checkpoint go on as they would have."""

import torch

from redline.learner.random_states import load_random, save_random

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


def test_draws_go_on(tmp_path):
    torch.manual_seed(1)
    for rank in (0, 1):
        save_random(tmp_path, CPU, rank)
        expected = torch.rand(3)
        torch.manual_seed(2)
        load_random(tmp_path, CPU, rank)
        assert torch.equal(torch.rand(3), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["random.pt", "random_1.pt"]


def test_what_was_not_written_stays(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    load_random(tmp_path, CPU)
    assert torch.equal(torch.rand(3), expected)


def test_a_gpu_has_a_generator_of_its_own(tmp_path, monkeypatch):
    state, given = torch.arange(16, dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *values: given.append(values))
    save_random(tmp_path, GPU)
    load_random(tmp_path, CPU)
    assert given == []
    load_random(tmp_path, GPU)
    ((found, device),) = given
    assert torch.equal(found, state)
    assert device == GPU
