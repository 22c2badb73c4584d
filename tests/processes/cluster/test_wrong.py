"""`redline tasks wrong`: what is kept of a model's programs, with a real sandbox and no engine."""

import json
import sys
from contextlib import asynccontextmanager
from types import ModuleType

import numpy as np
import pytest
from cluster_fakes import Bytes
from hypothesis import given
from hypothesis import strategies as st

from redline.actors.answer import AnswerRules, run_answer
from redline.actors.episode import EpisodeId
from redline.actors.judging import TaskJudge
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.config import TaskSettings
from redline.cluster.errors import UserError
from redline.cluster.main import run
from redline.cluster.task_supply import read_train_tasks
from redline.cluster.wrong import run as wrong_run
from redline.cluster.wrong.journal import WrongJournal
from redline.cluster.wrong.sifting import Sifted
from redline.cluster.wrong.statistics import WrongCounts
from redline.dsl.settings import PromptSettings
from redline.dsl.task_files import read_tasks
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion, TrajectoryGroup
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import Limits

RIGHT = "def f(a):\n    return a"
WRONG = "def f(a):\n    return a + 1"


class Scripted:
    """A sampler whose sample number i of every task is replies[i]."""

    def __init__(self, pool, replies, max_context=10**6):
        self.pool, self.replies, self.max_context = pool, replies, max_context
        self.prompts, self.asked = {}, []

    async def sample_group(self, task, *, group_id, group_size, sampling, answering):
        self.asked.append((group_id, group_size, sampling.temperature, sampling.seed))

        async def generate(prompt, sampling, request_id, *, stop_token_ids):
            self.prompts[task.task_id] = bytes(prompt.astype(np.uint8)).decode()
            text = self.replies[int(request_id.split("/")[-2])]
            if isinstance(text, Exception):
                raise text
            ids = np.array([*text.encode(), 256], np.int32)
            cut = len(ids) > sampling.max_command_tokens
            ids = ids[: sampling.max_command_tokens]
            return Completion(
                token_ids=ids, logprobs=np.zeros(len(ids), np.float32),
                weight_versions=np.zeros(len(ids), np.int32), text="unused",
                finish_reason="length" if cut else "stop",
            )  # fmt: skip

        rules = AnswerRules(
            max_context=self.max_context, answer=answering, sampling=sampling,
            prompts=PromptSettings(),
        )  # fmt: skip
        judge = TaskJudge(task, self.pool, Limits())
        made = [
            await run_answer(
                task, generate=generate, judge=judge, tokenizer=PolicyTokenizer(Bytes()),
                rules=rules, identity=EpisodeId(group_id=group_id, sample_index=i, worker="w"),
            )
            for i in range(group_size)
        ]  # fmt: skip
        return TrajectoryGroup(group_id=group_id, task_id=task.task_id, trajectories=tuple(made))


def problem(number, code=RIGHT):
    return {
        "task_id": number, "text": f"Return number {number}.", "code": code,
        "test_list": ["assert f(1) == 1", "assert f(2) == 2"], "test_setup_code": "",
    }  # fmt: skip


def write_problems(path, numbers):
    path.write_text("".join(json.dumps(problem(number)) + "\n" for number in numbers))


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run `redline tasks wrong` in a folder with MBPP-like problems, with scripted replies."""
    monkeypatch.chdir(tmp_path)
    write_problems(tmp_path / "mbpp.jsonl", [1, 2, 3, 11, 12, 601, 602])
    made = []

    def call(*arguments, replies=(WRONG,), **more):
        @asynccontextmanager
        async def started(model, config, pool, progress, *, name):
            made.append(Scripted(pool, replies, **more))
            yield made[-1]

        monkeypatch.setattr(wrong_run, "started", started)
        options = ["--data", "mbpp.jsonl", "--policy", "demo_policy", "--output", "w.jsonl"]
        status = run(["tasks", "wrong", *options, *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err, made

    return call


def test_each_different_failing_program_is_kept_once(redline, tmp_path):
    replies = (
        RIGHT + "\n```\nDone.", WRONG + "\n```", WRONG + "  \n```\nThe same.", "def f(a:\n```",
        "def f(a):\n    return b\n```", "\n```", "x = 1\n" * 40, RuntimeError("no answer"),
    )  # fmt: skip
    status, out, err, (sampler,) = redline(
        "--samples", 8, "--max-tokens", 100, "--json", replies=replies
    )
    assert status == 0, err
    figures = json.loads(out)
    assert (figures["wrong"], figures["tasks"], figures["tasks_with_wrong"]) == (6, 2, 2)
    assert (figures["samples"], figures["programs"]) == (16, 14)
    assert figures["statuses"] == {"exception": 2, "fail": 2, "syntax": 2}
    assert figures["dropped"] == {
        "aborted": 2, "cut off at the token limit": 2, "empty": 2, "pass all tests": 2,
        "written before": 2,
    }  # fmt: skip
    assert figures["mean_edit_distance"] > 0
    assert "the paper: 136" in err and "the paper: 81%" in err
    tasks = read_tasks(tmp_path / "w.jsonl")
    assert [task.broken for task in tasks[:3]] == [
        WRONG, "def f(a:", "def f(a):\n    return b",
    ]  # fmt: skip
    for task in tasks:
        assert task.task_id.startswith(("mbpp/601/demo_policy/", "mbpp/602/demo_policy/"))
        assert (task.reference, task.split, task.source) == (RIGHT, "train", "wrong/demo_policy")
        assert task.tests == ("assert f(1) == 1", "assert f(2) == 2")
    assert sampler.asked == [("wrong/mbpp/601", 8, 0.8, 0), ("wrong/mbpp/602", 8, 0.8, 0)]
    assert not (tmp_path / "w.jsonl.partial").exists()


def test_programs_that_were_cut_off_are_kept_if_asked(redline, tmp_path):
    arguments = ("--samples", 1, "--max-tokens", 20, "--keep-unfinished")
    assert redline(*arguments, replies=("x = 1\n" * 40,))[0] == 0
    assert read_tasks(tmp_path / "w.jsonl")[0].broken.startswith("x = 1\nx = 1\n")


def test_a_prompt_beyond_the_context_is_counted(redline):
    status, _, err, _ = redline("--samples", 1, max_context=200)
    assert status == 1
    assert "prompt longer than the context 2" in err
    assert "none of 2 samples is a wrong program" in err


def test_the_prompt_holds_examples_of_the_prompt_split(redline):
    _, _, _, (sampler,) = redline("--samples", 1, "--shots", 2)
    prompt = sampler.prompts["mbpp/601"]
    assert [f"Return number {n}." in prompt for n in (1, 2, 3, 11, 601)] == [1, 1, 0, 0, 1]
    assert prompt.count(RIGHT) == 2, "the task's own program is not shown"
    assert prompt.endswith("assert f(2) == 2\n```python\n")


def test_a_task_is_never_its_own_example(redline):
    _, _, _, (sampler,) = redline("--samples", 1, "--shots", 1, "--shots-split", "train")
    for own, other in ((601, 602), (602, 601)):
        prompt = sampler.prompts[f"mbpp/{own}"]
        assert prompt.count(RIGHT) == 1
        assert prompt.index(f"number {other}.") < prompt.index(f"number {own}.")


def test_examples_may_come_from_another_file_or_be_left_out(redline, tmp_path):
    write_problems(tmp_path / "other.jsonl", [5])
    _, _, _, made = redline("--samples", 1, "--shots", 1, "--shots-data", "other.jsonl")
    assert "Return number 5." in made[0].prompts["mbpp/601"]
    (tmp_path / "w.jsonl").unlink()
    redline("--samples", 1, "--shots", 0)
    assert made[1].prompts["mbpp/601"].count("here is your task") == 1


def test_programs_of_an_evaluation_split_are_made_but_never_trained_on(redline, tmp_path):
    assert redline("--samples", 1, "--split", "test")[0] == 0
    assert {task.split for task in read_tasks(tmp_path / "w.jsonl")} == {"test"}
    with pytest.raises(UserError, match="no task that may be trained on"):
        read_train_tasks(TaskSettings(train_file=str(tmp_path / "w.jsonl")))


def test_an_interrupted_run_goes_on_with_what_is_missing(redline, tmp_path, monkeypatch):
    sample_all = wrong_run.sample_all

    async def interrupted(sampler, work, tasks, keep):
        await sample_all(sampler, work, tasks[:1], keep)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wrong_run, "sample_all", interrupted)
        status, _, err, _ = redline("--samples", 1)
    assert status == 130
    assert "w.jsonl.partial; the same command goes on from there" in err
    assert not (tmp_path / "w.jsonl").exists()
    status, _, err, _ = redline("--samples", 1, "--seed", 1)
    assert status == 2 and "sampling was" in err
    status, out, err, made = redline("--samples", 1, "--json")
    assert status == 0
    assert "1 of 2 tasks are done already" in err
    assert [asked[0] for asked in made[-1].asked] == ["wrong/mbpp/602"]
    assert json.loads(out)["wrong"] == 2
    assert [task.task_id[:8] for task in read_tasks(tmp_path / "w.jsonl")] == [
        "mbpp/601",
        "mbpp/602",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--split", "nothing"), "no task of split 'nothing'"),
        (("--shots", 4), "3 tasks of split 'prompt' have a reference, --shots 4 needs 4"),
        (("--shots", 2, "--shots-split", "train"), "needs 3"),
        (("--shots-split", "test"), "--shots-split test: it is for evaluation"),
        (("--shots-data", "absent.jsonl"), "absent.jsonl"),
        (("--temperature", 0), "writes the same program each time"),
        (("--max-tokens", 2048), "leaves no room for a prompt"),
        (("--policy", "./absent"), "no model folder at ./absent"),
        (("--policy", "bare"), "no tokenizer"),
        (("--data", "absent.jsonl"), "absent.jsonl"),
        (("--output", "w.txt"), "expected a name ending in .jsonl"),
        (("--output", "mbpp.jsonl"), "exists"),
        (("--samples", 0), "--samples"),
        (("rollout.nothing=1",), "nothing"),
        (("--ray", "10.0.0.1:6379", "ray.nothing=1"), "nothing"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(redline, tmp_path, arguments, complaint):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/config.json").write_text("{}")
    (tmp_path / "bare/model.safetensors").write_bytes(b"")
    status, out, err, made = redline(*arguments)
    assert status == 2
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert (out, made) == ("", [])
    assert not (tmp_path / "w.jsonl.partial").exists()


@pytest.mark.parametrize(
    ("given", "address"), [("local", None), ("auto", "auto"), ("10.0.0.1:6379", "10.0.0.1:6379")]
)
def test_with_ray_the_samplers_are_those_of_the_configuration(
    redline, tmp_path, monkeypatch, given, address
):
    asked = []

    async def on_ray_samplers(config, *, model, progress, work):
        asked.append((config.ray.address, config.rollout.engine.max_model_len, model))
        async with SandboxPool(1) as pool:
            return await work(Scripted(pool, (WRONG,)))

    fleet = ModuleType("redline.cluster.sampler_fleet")
    fleet.on_ray_samplers = on_ray_samplers
    monkeypatch.setitem(sys.modules, "redline.cluster.sampler_fleet", fleet)
    options = ("--samples", 1, "--ray", given, "rollout.engine.max_model_len=900")
    status, _, err, made = redline(*options)
    assert status == 0, err
    assert made == []
    assert [each[:2] for each in asked] == [(address, 900)]
    assert len(read_tasks(tmp_path / "w.jsonl")) == 2


def test_references_that_fail_are_dropped_or_refused(redline, tmp_path):
    lines = [problem(1), problem(601), problem(602, WRONG)]
    (tmp_path / "mbpp.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, _, err, made = redline("--samples", 1, "--shots", 1)
    assert status == 0 and "task mbpp/602 dropped: its reference fails its tests" in err
    assert list(made[0].prompts) == ["mbpp/601"]
    (tmp_path / "w.jsonl").unlink()
    assert redline("--samples", 1, "--shots", 1, "--strict")[0] == 2


def sifted(number):
    wrong = RepairTask(task_id=f"t/{number}", prompt="é", broken="x\n", tests=("assert x",))
    counts = WrongCounts(tasks=1, samples=number, kept=1)
    counts.statuses["fail"] = 1
    return Sifted(task_id=str(number), wrong=(wrong,), counts=counts)


@given(cut=st.integers(0, 2000), more=st.binary(max_size=20))
def test_a_journal_that_was_cut_off_anywhere_keeps_whole_lines(tmp_path_factory, cut, more):
    output = tmp_path_factory.mktemp("journal") / "w.jsonl"
    plan = {"seed": 1}
    with WrongJournal(output, plan) as journal:
        for number in range(4):
            journal.keep(sifted(number))
    whole = journal.path.read_bytes()
    left = whole[:cut] + more.replace(b"\n", b"") * (cut < len(whole) and cut > 0)
    journal.path.write_bytes(left)
    with WrongJournal(output, plan) as again:
        count = max(0, whole[:cut].count(b"\n") - 1)
        assert again.done == {str(number): sifted(number) for number in range(count)}
        again.keep(sifted(9))
    with WrongJournal(output, plan) as last:
        assert set(last.done) == {*map(str, range(count)), "9"}


def test_a_journal_of_other_origin_is_refused(tmp_path):
    output = tmp_path / "w.jsonl"
    (tmp_path / "w.jsonl.partial").write_text("something\n")
    with pytest.raises(UserError, match="remove it"):
        WrongJournal(output, {"seed": 1})
    (tmp_path / "w.jsonl.partial").unlink()
    with WrongJournal(output, {"seed": 3}):
        pass  # nothing came of it, such as with an engine that did not start
    with WrongJournal(output, {"seed": 2}) as journal:
        journal.keep(sifted(0))
    with pytest.raises(UserError, match="seed was 2, now 1"):
        WrongJournal(output, {"seed": 1})
