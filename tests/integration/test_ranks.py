"""Several learner ranks take the same steps as one, under every ZeRO stage."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redline.learner.settings import TinyModelSettings

SCENARIOS = ("zero_0", "zero_1", "zero_2", "zero_3", "reference_and_epochs", "critic", "adapter")
SAVED = ("zero_0", "zero_2", "zero_3")
# Matrices of more than 100,000 weights: smaller ones ZeRO-3 leaves whole on every rank.
SHAPE = TinyModelSettings(vocab_size=330, hidden_size=320, intermediate_size=320, layers=1, heads=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from redline.learner.model import make_tiny

    texts = ["1|x = 0\n***\n### REPL 1 >>>x = 1\n"]
    return str(make_tiny(tmp_path_factory.mktemp("policy"), SHAPE, texts, seed=0))


def run(ranks, model, folder):
    script = Path(__file__).with_name("run_ranks.py")
    commands = [
        [sys.executable, str(script), str(rank), str(ranks), model, str(folder)]
        for rank in range(ranks)
    ]
    logs = [folder / f"log_{rank}" for rank in range(ranks)]
    started = [
        subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
        for command, log in zip(commands, logs, strict=True)
    ]
    try:
        for process, log in zip(started, logs, strict=True):
            assert process.wait(timeout=280) == 0, log.read_text()[-4000:]
    finally:
        for process in started:
            process.kill()
    return folder


@pytest.fixture(scope="module")
def played(model, tmp_path_factory):
    """The folders in which one rank and two wrote what came of their steps."""
    one = run(1, model, tmp_path_factory.mktemp("one"))
    return one, run(2, model, tmp_path_factory.mktemp("two"))


def results(folder, name, rank=0):
    return json.loads((folder / f"{name}_{rank}.json").read_text())


def weights(folder, name):
    return np.load(folder / f"{name}_0.npz")["weights"]


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_ranks_take_the_steps_of_one(played, name):
    one, two = played
    for alone, together in zip(results(one, name), results(two, name), strict=True):
        assert together.keys() == alone.keys()
        for key, value in alone.items():
            if isinstance(value, float):
                assert together[key] == pytest.approx(value, rel=1e-3, abs=2e-5, nan_ok=True), key
            else:
                assert together[key] == value, key
    np.testing.assert_allclose(weights(one, name), weights(two, name), atol=2e-4)


@pytest.mark.parametrize("name", SCENARIOS[1:4])
def test_every_stage_takes_the_steps_of_stage_0(played, name):
    _, two = played
    np.testing.assert_allclose(weights(two, "zero_0"), weights(two, name), atol=2e-4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_all_ranks_tell_the_same(played, name):
    _, two = played
    assert results(two, name, rank=0) == results(two, name, rank=1)


@pytest.mark.parametrize("name", SAVED)
def test_a_loss_that_is_not_finite_on_one_rank_is_skipped_on_all(played, name):
    _, two = played
    *sound, spoiled = results(two, name)
    assert [r["skipped"] for r in sound] == [False] * len(sound)
    assert (spoiled["skipped"], spoiled["skipped_steps"]) == (True, 1)


@pytest.mark.parametrize("name", SAVED)
def test_ranks_go_on_from_a_checkpoint_bit_for_bit(played, name):
    for folder in played:
        np.testing.assert_array_equal(weights(folder, name), weights(folder, f"{name}_resumed"))


def test_the_exported_policy_is_whole(played, model):
    from redline.learner.model import load_policy

    _, two = played
    exported = load_policy(str(two / "zero_3/hf"))
    whole = [p.shape for p in load_policy(model).parameters()]
    assert [p.shape for p in exported.parameters()] == whole
    assert (two / "zero_3/learner/random_1.pt").is_file()


def test_without_zero_another_number_of_ranks_goes_on_with_it_it_is_refused(played, model):
    from redline.learner.checkpoint import RanksChanged
    from redline.learner.learner import Learner
    from redline.learner.settings import DeepSpeedSettings, LearnerSettings

    _, two = played
    plain = LearnerSettings(threads=1)
    learner = Learner(model_path=model, settings=plain)
    learner.start()
    learner.load_checkpoint(two / "zero_0")
    assert learner.weight_version == 3
    learner.close()
    learner = Learner(
        model_path=model, settings=replace(plain, deepspeed=DeepSpeedSettings(zero_stage=2))
    )
    learner.start()
    with pytest.raises(RanksChanged, match="written by 2 learner ranks"):
        learner.load_checkpoint(two / "zero_2")
    learner.close()
