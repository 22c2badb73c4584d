"""A whole run on real Ray, vLLM and DeepSpeed with a tiny random policy and a learner of two ranks.

Whole runs with a learner of one rank are in test_paper_pipeline.py and in the chaos tests.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from redline_driving import SMALL, Driver, alive, kill_drivers, make_model

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def _no_driver_left():
    yield
    kill_drivers()


TWO_RANKS = (
    "ray.num_cpus=4", "learner.ranks=2", "learner.num_cpus=0.5", "learner.threads=1",
    "learner.deepspeed.zero_stage=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of four steps: the folder it was started in and its driver."""
    folder = tmp_path_factory.mktemp("train")
    make_model(folder / "model")
    driver = Driver(
        "train", "--config", "demo", "name=small", "model=./model", "steps=4", *SMALL, *TWO_RANKS,
        "--json", cwd=folder,
    )  # fmt: skip
    driver.wait_for_line("step 2/4")
    pids = driver.descendants()
    status = driver.finish()
    assert status == 0, driver.complaint()
    assert len(pids) > 5
    assert alive(pids) == []
    return folder, driver


def test_the_result_says_what_was_done(run):
    folder, driver = run
    result = driver.result()
    assert json.loads((folder / "runs/small/result.json").read_text()) == result
    assert result["steps"] == 4
    assert result["trajectories"] == 4 * 4 * 4
    assert result["tokens_trained"] > 0
    assert 0 < result["peak_rss_gib"] < 8
    assert 0 < result["probe_max_abs_dlogp"] <= 1e-3
    assert result["heldout"]["greedy"]["tasks"] == result["heldout"]["sampled"]["tasks"] == 16
    assert 0 < result["seconds"]["to_first_step"] < result["seconds"]["total"]


def test_every_step_proves_its_weights_and_keeps_the_bound(run):
    folder, _ = run
    lines = (folder / "runs/small/metrics/steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == [1, 2, 3, 4]
    assert all(0 < step["weights/max_abs_dlogp"] <= 1e-3 for step in steps)
    assert all(step["staleness/max"] <= 1 for step in steps)
    assert all(step["staleness/dropped"] == 0 for step in steps)


def test_the_store_holds_each_trained_group_once(run):
    from redline.replay.catalog import GroupState, read_catalog

    folder, _ = run
    catalog = read_catalog(folder / "runs/small/replay")
    assert catalog.count(GroupState.COMMITTED) == 16
    assert catalog.problems == ()
    names = [group.group_id for group in catalog.groups]
    assert len(names) == len(set(names))
    driver = Driver("replay", "verify", "runs/small", cwd=folder)
    assert driver.finish() == 0, driver.complaint()


def test_the_trained_policy_loads_and_moved(run):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = run
    checkpoints = folder / "runs/small/checkpoints"
    assert (checkpoints / "latest").read_text() == "step_4\n"
    after = AutoModelForCausalLM.from_pretrained(checkpoints / "step_4/hf")
    before = AutoModelForCausalLM.from_pretrained(folder / "model")
    assert AutoTokenizer.from_pretrained(checkpoints / "step_4/hf").vocab_size > 0
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)


def test_both_ranks_are_in_the_checkpoint(run):
    folder, _ = run
    learner = folder / "runs/small/checkpoints/step_4/learner"
    assert (learner / "random.pt").is_file()
    assert (learner / "random_1.pt").is_file()
    assert json.loads((learner / "progress.json").read_text())["ranks"] == 2


def test_the_report_is_there(run):
    folder, driver = run
    assert (folder / "runs/small/curves.png").read_bytes().startswith(b"\x89PNG")
    assert "Held-out tasks solved" in (folder / "runs/small/report.html").read_text()
    for part in ("held-out solve rate", "by turns allowed", "by family", "redline replay ls"):
        assert part in driver.complaint()


def test_the_name_is_in_use_now(run):
    folder, _ = run
    before = sorted(path.name for path in (folder / "runs").iterdir())
    driver = Driver("train", "--config", "demo", "name=small", "model=./model", cwd=folder)
    assert driver.finish() == 2
    assert "name=small-2" in driver.complaint()
    assert driver.complaint().count("\n") == 1
    assert sorted(path.name for path in (folder / "runs").iterdir()) == before


def test_an_engine_that_does_not_fit_is_refused_before_anything_starts(run):
    folder, _ = run
    driver = Driver(
        "train", "--config", "demo", "name=big", "model=./model",
        "rollout.engine.kv_cache_gib=4000", cwd=folder,
    )  # fmt: skip
    assert driver.finish() == 2
    assert "too little memory" in driver.complaint()
    assert driver.complaint().count("\n") == 1
    assert not (folder / "runs/big").exists()
