"""An evaluation by itself: its folder, figures, picture and page; interrupted ones go on."""

import asyncio
import json

import cluster_fakes as fakes
import numpy as np
import pytest

from redline.actors.evaluation import evaluate
from redline.actors.evaluation_summary import summarise
from redline.actors.settings import SamplingSettings
from redline.cluster.commands.evaluate import chosen_arms
from redline.cluster.errors import UserError
from redline.cluster.evaluation.archive import EvaluationArchive
from redline.cluster.evaluation.evaluating import (
    ArmResult,
    Evaluation,
    NoSamplers,
    answering,
    evaluate_arms,
    group_names,
    rebuild,
    turns_told,
)
from redline.cluster.evaluation.page import write_pages
from redline.cluster.evaluation.run import identity_of, result_json
from redline.cluster.load import load_config
from redline.cluster.provenance import fingerprint_of_policy, versions
from redline.replay.catalog import read_catalog
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.sandbox.records import TestResult, TestStatus, Verdict

TASKS = fakes.make_tasks(6)


def make_turn(passed, tokens=10):
    status = TestStatus.PASS if passed else TestStatus.FAIL
    return Turn(
        state_token_ids=np.arange(5, dtype=np.int32),
        action_token_ids=np.arange(tokens, dtype=np.int32),
        rollout_logprobs=np.zeros(tokens, np.float32),
        weight_versions=np.zeros(tokens, np.int32),
        action_text="x",
        command="EXIT",
        error=None,
        program="x",
        feedback="",
        verdict=Verdict(tests=(TestResult(status=status),), tier="none"),
        reward=0.0,
    )


def make_trajectory(task_id, index, group_id, solved, turns=2):
    return Trajectory(
        trajectory_id=f"{group_id}/{index}",
        group_id=group_id,
        sample_index=index,
        task_id=task_id,
        initial_program="x",
        turns=tuple(make_turn(solved and k == turns - 1) for k in range(turns)),
        status=TrajectoryStatus.SOLVED if solved else TrajectoryStatus.TURN_LIMIT,
        solved=solved,
        worker="w",
        seconds=0.1,
    )


class Sampler:
    """Solves every second sample; stops working after so many groups."""

    def __init__(self, die_after=10_000):
        self.left = die_after
        self.groups, self.answering = [], []

    def each(self):
        return [self]

    async def sample_group(self, task, *, group_id, group_size, answering, **_):
        await asyncio.sleep(0)
        if self.left == 0:
            raise RuntimeError("interrupted")
        self.left -= 1
        self.groups.append(group_id)
        self.answering.append(answering)
        return TrajectoryGroup(
            group_id=group_id,
            task_id=task.task_id,
            trajectories=tuple(
                make_trajectory(task.task_id, i, group_id, i % 2 == 0, turns=1 + i % 3)
                for i in range(group_size)
            ),
        )


class Phase:
    """Takes what it is told."""

    def wait_for(self, names):
        self.names = names


def config(*overrides):
    return load_config("demo", ["eval.tasks=6", "eval.samples=4", "eval.max_turns=3", *overrides])


def run_arms(sampler, arms, archive=None):
    return asyncio.run(evaluate_arms(sampler, TASKS, config(), arms, Phase(), archive))


def test_every_arm_meets_every_task_with_its_own_budget():
    sampler = Sampler()
    results = run_arms(sampler, ["coe", "direct", "thinking"])
    assert [result.arm for result in results] == ["coe", "direct", "thinking"]
    assert len(sampler.groups) == len(set(sampler.groups)) == 3 * 2 * 6
    budgets = {(a.answer_tokens, a.thinking_tokens) for a in sampler.answering if a is not None}
    assert budgets == {(512, 0), (512, 1024)}
    assert sum(a is None for a in sampler.answering) == 12
    for result in results:
        assert result.found.greedy.rate.rate == 1.0
        assert result.found.sampled.rate.rate == 0.5


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path):
    settings = identity_of(config(), "demo_policy", TASKS)
    whole = run_arms(Sampler(), ["coe", "direct"])
    first = Sampler(die_after=15)
    with (
        pytest.raises(RuntimeError, match="interrupted"),
        EvaluationArchive(tmp_path / "e", settings) as archive,
    ):
        run_arms(first, ["coe", "direct"], archive)
    second = Sampler()
    with EvaluationArchive(tmp_path / "e", settings) as archive:
        assert len(archive.known) == 15
        resumed = run_arms(second, ["coe", "direct"], archive)
    assert not set(first.groups) & set(second.groups), "finished groups are not run again"
    assert sorted(first.groups + second.groups) == sorted(
        f"{arm}-{kind}/{i}" for arm in ("coe", "direct") for kind in ("greedy", "sampled")
        for i in range(6)
    )  # fmt: skip
    assert resumed == whole
    with EvaluationArchive(tmp_path / "e", settings) as archive:
        assert run_arms(NoSamplers(), ["coe"], archive) == whole[:1]
        assert group_names(["coe", "direct"], 6) == set(archive.known)
    assert len(read_catalog(tmp_path / "e" / "episodes").groups) == 24


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (["eval.temperature=0.5"], "eval"),
        (["seed=3"], "seed"),
        (["prompt.show_expected=false"], "prompt"),
        (["rollout.sampling.top_p=0.9"], "sampling"),
    ],
)
def test_a_folder_of_another_evaluation_is_refused(tmp_path, change, name):
    with EvaluationArchive(tmp_path / "e", identity_of(config(), "m", TASKS)):
        pass
    with pytest.raises(UserError, match=f"another {name}: was") as caught:
        EvaluationArchive(tmp_path / "e", identity_of(config(*change), "m", TASKS))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="another tasks_fingerprint"):
        EvaluationArchive(tmp_path / "e", identity_of(config(), "m", TASKS[::-1]))


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="holds no evaluation"):
        EvaluationArchive(tmp_path / "mine", {})
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match="no folder"):
        EvaluationArchive(tmp_path / "no" / "e", {})
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        EvaluationArchive(tmp_path / "bad", {})


def test_tokens_endings_and_lengths_are_counted():
    found = run_arms(Sampler(), ["coe"])[0].found.sampled
    # Samples 0 and 2 are solved, after 1 and 3 turns of 10 tokens; 1 and 3 after none.
    assert {e.tokens: e.rate.rate for e in found.by_tokens} == {8: 0.0, 16: 0.25, 32: 0.5}
    assert {e.status: e.episodes for e in found.by_status} == {"solved": 12, "turn_limit": 12}
    assert [(e.turns, e.episodes, e.solved) for e in found.by_length] == [
        (1, 12, 6), (2, 6, 0), (3, 6, 6),
    ]  # fmt: skip
    assert found.num_tokens == 17.5
    assert [(e.k, e.value, e.tokens) for e in found.pass_at] == [
        (1, 0.5, 17.5), (2, pytest.approx(5 / 6), 35.0), (4, 1.0, 70.0),
    ]  # fmt: skip
    assert all(e.ci_low <= e.value <= e.ci_high for e in found.pass_at)


def test_an_evaluation_survives_its_file():
    found = run_arms(Sampler(), ["coe"])[0].found
    import dataclasses

    again = rebuild(Evaluation, json.loads(json.dumps(dataclasses.asdict(found))))
    assert again == found
    assert isinstance(again.sampled.by_status[0].status, TrajectoryStatus)


def test_result_picture_and_page(tmp_path):
    results = run_arms(Sampler(), ["coe", "direct", "thinking"])
    said = result_json("runs/<b>x", results)
    assert said["greedy"] == said["arms"]["coe"]["greedy"]
    assert {"tasks", "rate", "ci_low", "ci_high", "by_turns", "by_family", "pass_at", "num_turns",
            "aborted"} <= set(said["sampled"])  # fmt: skip
    assert said["arms"]["direct"]["sampled"]["pass_at"] == {"1": 0.5, "2": 5 / 6, "4": 1.0}
    result = {
        **said, "settings": identity_of(config(), "m", TASKS), "versions": versions(),
        "commit": None, "seconds": 60.0,
    }  # fmt: skip
    json.dumps(result, allow_nan=False)
    write_pages(tmp_path, "runs/<b>x", results, result)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;" in page and "<b>x" not in page
    assert "http" not in page and "pass@4" in page and "Test-time compute" in page


def test_when_nothing_finished_and_the_editor_did_not_run_there_is_still_a_page(tmp_path):
    empty = Evaluation(greedy=summarise([], TASKS), sampled=summarise([], TASKS))
    results = [ArmResult(arm="direct", found=empty)]
    said = result_json("m", results)
    json.dumps(said, allow_nan=False)
    assert said["greedy"] is None and said["sampled"] is None
    write_pages(tmp_path, "m", results, {
        "settings": identity_of(config(), "m", TASKS), "versions": {}, "commit": None, "seconds": 1,
    })  # fmt: skip
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_arms_are_chosen_by_name():
    assert chosen_arms("coe, direct,coe") == ["coe", "direct"]
    for text in ("", "coe,cot"):
        with pytest.raises(UserError, match="expected some of coe, direct, thinking"):
            chosen_arms(text)
    assert answering("coe", config()) is None
    assert turns_told(8) == [1, 2, 4, 8]
    assert turns_told(10) == [1, 2, 4, 8, 10]
    assert turns_told(2) == [1, 2]


def test_known_groups_of_other_names_are_not_taken():
    sampler = Sampler()
    asyncio.run(
        evaluate(
            [sampler], TASKS, name="a", samples=1, sampling=SamplingSettings(), max_turns=1,
            known={"b/0": TrajectoryGroup(group_id="b/0", task_id="t", trajectories=())},
        )
    )  # fmt: skip
    assert len(sampler.groups) == 6


def test_other_weights_have_another_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"a" * 100)
    first = fingerprint_of_policy(str(tmp_path))
    assert first == fingerprint_of_policy(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"a" * 99 + b"b")
    assert fingerprint_of_policy(str(tmp_path)) != first
    assert fingerprint_of_policy("some/name") is None
