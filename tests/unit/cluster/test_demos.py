"""Demonstrations at scale: exact, told by the tool, executed once, resumable, never of a test."""

import asyncio
import json
from collections import Counter

import pyarrow as pa
import pytest
from demo_fakes import PROGRAMS, FakePool, reference_tasks

from redline.cluster.config import SftConfig, TaskSettings
from redline.cluster.demos import for_training
from redline.cluster.demos import run as demo_run
from redline.cluster.demos.feedback import ProgramFeedback
from redline.cluster.demos.for_training import check_demonstrations, demonstrations_for
from redline.cluster.demos.made import EncodedTurns
from redline.cluster.demos.parts import plan_of
from redline.cluster.demos.plan import DemoPlan
from redline.cluster.demos.reading import read_demonstrations
from redline.cluster.demos.run import DemoWork, make_demonstration_file, make_demonstrations
from redline.cluster.demos.statistics import DemoCounts
from redline.cluster.errors import UserError, WorkFailed
from redline.dsl.editor import apply_all
from redline.dsl.parser import parse
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.sandbox.records import InfrastructureError, Limits


@pytest.fixture
def pools(monkeypatch):
    """The fake pools that were opened, in order."""
    opened = []

    def open_pool(workers, settings):
        opened.append(FakePool())
        return opened[-1]

    monkeypatch.setattr(demo_run, "SandboxPool", open_pool)
    return opened


def work(per_task=12, method="corruption", tasks=None, encode=None, **more):
    plan = DemoPlan(method=method, per_task=per_task, **more)
    return DemoWork(tasks=tasks or reference_tasks(), plan=plan, workers=2, encode=encode)


def rows_of(path):
    with pa.ipc.open_file(path) as reader:
        return reader.read_all().to_pylist()


def test_every_demonstration_undoes_its_edits_and_ends_in_exit(pools):
    made, counts = make_demonstrations(work())
    assert len(made) == counts.demonstrations == 36
    for each in made:
        task, commands = each.demonstration.task, each.demonstration.commands
        assert task.broken != task.reference
        assert apply_all(task.broken, commands) == task.reference
        assert [turn.action for turn in each.turns][-1] == "EXIT\n"
        assert tuple(parse(turn.action[:-1]) for turn in each.turns) == commands
        assert len(each.kinds) == len(commands) - 1
        assert each.statuses[-1] == "pass" and "pass" not in each.statuses[:-1]
        assert each.edit_distance > 0
    assert len({(m.demonstration.task.reference, m.demonstration.task.broken) for m in made}) == 36
    assert len({m.demonstration.task.task_id for m in made}) == 36


def test_each_state_shows_what_the_tool_says_of_that_program(pools):
    made, _ = make_demonstrations(work())
    for each in made:
        for turn, status in zip(each.turns, each.statuses, strict=True):
            told = turn.state.partition("***\n")[2].removesuffix("### ")
            number = each.demonstration.task.task_id[2]
            expected = {"pass": "", "fail": f"wrong: assert works({number})\n"}
            if status == "syntax":
                assert told.startswith("SyntaxError: ")
            else:
                assert told == expected[status]
        assert each.turns[0].state.startswith(each.demonstration.task.prompt)


def test_no_program_is_executed_twice_and_one_per_complaint_of_the_compiler(pools):
    _, counts = make_demonstrations(work(per_task=40))
    [pool] = pools
    assert counts.executions == len(pool.asked)
    assert max(Counter(pool.asked).values()) == 1
    complaints = Counter()
    for _, program in pool.asked:
        try:
            compile(program, "<program>", "exec")
        except SyntaxError as error:
            complaints[type(error), error.msg, error.lineno] += 1
    assert complaints and max(complaints.values()) == 1


def test_the_same_plan_gives_the_same_demonstrations(pools):
    assert make_demonstrations(work()) == make_demonstrations(work())
    assert make_demonstrations(work(seed=1))[0] != make_demonstrations(work(seed=2))[0]


def test_a_program_that_passes_midway_is_set_aside_or_kept(monkeypatch):
    # Whatever has the right condition passes: later edits are undone in a program that passes.
    class Lenient(FakePool):
        def passes(self, program):
            return "a < 3" in program

    monkeypatch.setattr(demo_run, "SandboxPool", Lenient)
    tasks = reference_tasks()[:1]
    made, counts = make_demonstrations(work(per_task=20, tasks=tasks))
    assert counts.set_aside["passes before the last command"] > 0
    assert counts.set_aside["the broken program passes"] > 0
    assert all("pass" not in each.statuses[:-1] for each in made)
    kept, counts = make_demonstrations(work(per_task=20, tasks=tasks, keep_passing=True))
    assert counts.passing_midway > 0
    assert counts.passing_midway == sum("pass" in each.statuses[:-1] for each in kept)
    assert all(each.statuses[0] != "pass" for each in kept)


def pair(number, broken, reference):
    return RepairTask(
        task_id=f"p/{number}", prompt="p", broken=broken, tests=("assert works()",),
        reference=reference, split="train",
    )  # fmt: skip


def test_pairs_are_demonstrated_by_diff_and_sound_ones_dropped(pools):
    tasks = (
        pair(0, PROGRAMS[0].replace("a < 3", "a > 3"), PROGRAMS[0]),
        pair(1, PROGRAMS[1], PROGRAMS[1]),
        pair(2, "def h(n):\n    return 1", PROGRAMS[2]),
        pair(3, "x = 1", "x = 2"),
    )
    made, counts = make_demonstrations(work(method="diff", tasks=tasks))
    assert [m.demonstration.task.task_id for m in made] == ["p/0", "p/2"]
    assert made[0].turns[0].action == "REPW 2 >>>< >>>>\n" or "REPW 2" in made[0].turns[0].action
    assert counts.set_aside == {"the broken program passes": 1, "the last program fails": 1}


def test_a_demonstration_by_diff_ends_where_all_tests_first_pass(monkeypatch):
    halfway = PROGRAMS[0].replace("return 'low'", "return 'LOW'")
    monkeypatch.setattr(
        demo_run, "SandboxPool", lambda *_: FakePool(passing=[PROGRAMS[0], halfway])
    )
    task = pair(0, halfway.replace("a < 3", "a > 3"), PROGRAMS[0])
    [made], _ = make_demonstrations(work(method="diff", tasks=(task,)))
    assert [turn.action[:6] for turn in made.turns] == ["REPW 2", "EXIT\n"]
    assert made.statuses == ("fail", "pass")


def test_longer_ones_are_left_out(pools):
    def encode(turns):
        tokens = tuple(range(sum(len(turn.state) for turn in turns)))
        return EncodedTurns(token_ids=tokens, is_action=(True,) * len(tokens))

    made, counts = make_demonstrations(work(encode=encode, max_tokens=500))
    assert len(made) > 0
    assert counts.set_aside["longer than max_tokens"] > 0
    assert all(len(each.encoded.token_ids) <= 500 for each in made)
    assert counts.tokens == sum(len(each.encoded.token_ids) for each in made)


def encode_by_character(turns):
    text = [(character, False) for character in turns[0].state]
    text += [(character, True) for character in turns[0].action]
    return EncodedTurns(
        token_ids=tuple(ord(character) for character, _ in text),
        is_action=tuple(mark for _, mark in text),
    )


def test_the_arrow_file_holds_programs_statuses_and_tokens_with_their_mask(pools, tmp_path):
    path = tmp_path / "d.arrow"
    figures = make_demonstration_file(path, work(encode=encode_by_character))
    rows = rows_of(path)
    assert figures["demonstrations"] == len(rows) == 36
    assert figures["paper_mean_edit_distance"] == 39.9
    assert figures["mean_edit_distance"] == round(
        sum(row["edit_distance"] for row in rows) / len(rows), 1
    )
    for row in rows:
        commands = [parse(text) for text in row["commands"]]
        assert apply_all(row["broken"], commands) == row["reference"]
        marked = [t for t, mark in zip(row["token_ids"], row["is_action"], strict=True) if mark]
        assert "".join(map(chr, marked)) == row["turns"][0]["action"]
        assert row["split"] == "train"
    with pa.ipc.open_file(path) as reader:
        assert plan_of(reader.schema)["per_task"] == 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["d.arrow"]


def test_without_a_tokenizer_there_are_no_tokens(pools, tmp_path):
    make_demonstration_file(tmp_path / "d.arrow", work())
    assert all(row["token_ids"] is None for row in rows_of(tmp_path / "d.arrow"))


def test_the_text_file_has_the_same_turns(pools, tmp_path):
    make_demonstration_file(tmp_path / "d.jsonl", work())
    make_demonstration_file(tmp_path / "d.arrow", work())
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"task_id", "split", "turns"}
    assert [line["turns"] for line in lines] == [r["turns"] for r in rows_of(tmp_path / "d.arrow")]
    assert read_demonstrations(tmp_path / "d.jsonl") == read_demonstrations(tmp_path / "d.arrow")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(demo_run, "_DEMONSTRATIONS_PER_PART", 12)


def test_an_interrupted_run_goes_on_where_it_stopped(monkeypatch, pools, small_parts, tmp_path):
    whole, path = tmp_path / "whole.arrow", tmp_path / "d.arrow"
    make_demonstration_file(whole, work())
    executed = len(pools[-1].asked)

    class Failing(FakePool):
        async def run(self, request):
            if "works(2)" in request.tests[0]:
                async with asyncio.timeout(60):
                    while len(list(tmp_path.glob("d.arrow.parts/part-*"))) < 2:
                        await asyncio.sleep(0.01)
                raise InfrastructureError("the machine was switched off")
            return await super().run(request)

    with monkeypatch.context() as patch:
        patch.setattr(demo_run, "SandboxPool", Failing)
        with pytest.raises(WorkFailed, match="switched off"):
            make_demonstration_file(path, work())
    assert not path.exists()
    kept = {entry.name for entry in (tmp_path / "d.arrow.parts").iterdir()}
    assert kept == {"plan.json", "part-00000.arrow", "part-00001.arrow"}
    make_demonstration_file(path, work())
    assert len(pools[-1].asked) < executed / 2
    assert rows_of(path) == rows_of(whole)
    assert {entry.name for entry in tmp_path.iterdir()} == {"whole.arrow", "d.arrow"}


def test_parts_of_other_work_are_refused(pools, small_parts, tmp_path):
    folder = tmp_path / "d.arrow.parts"
    folder.mkdir()
    other = work(per_task=3)
    (folder / "plan.json").write_text(json.dumps(other.plan.describe(other.tasks)))
    with pytest.raises(UserError, match=r"per_task was 3, now 12"):
        make_demonstration_file(tmp_path / "d.arrow", work())
    changed = work(tasks=reference_tasks(split="mine"))
    (folder / "plan.json").write_text(json.dumps(changed.plan.describe(changed.tasks)))
    with pytest.raises(UserError, match=r"tasks_digest was"):
        make_demonstration_file(tmp_path / "d.arrow", work())


def test_counts_add_up_and_survive_json():
    first = DemoCounts(demonstrations=2, edit_distance=30)
    first.kinds.update(add=3)
    second = DemoCounts.from_json(json.loads(json.dumps(first.to_json())))
    assert second == first
    second.add(first)
    assert (second.demonstrations, second.edit_distance) == (4, 60)
    assert second.kinds == {"add": 6}


def test_an_infrastructure_error_is_not_remembered():
    class Flaky(FakePool):
        async def run(self, request):
            self.asked.append(request)
            if len(self.asked) == 1:
                raise InfrastructureError("lost")
            return await super().run(request)

    async def ask():
        feedback = ProgramFeedback(Flaky(), Limits(), PromptSettings())
        task = reference_tasks()[0]
        with pytest.raises(InfrastructureError):
            await feedback.of(task, ["def f(:"], DemoCounts())
        return await feedback.of(task, ["def f(:"], DemoCounts())

    [told] = asyncio.run(ask()).values()
    assert told.status == "syntax" and "line 1" in told.text


TURNS = [{"state": "1|x\n***\n### ", "action": "EXIT\n"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"task_id": "a", "split": "test", "turns": []}', r"d.jsonl:1: .*'test', which is for ev"),
        ('{"task_id": "a"}', r"d.jsonl:1: no demonstration; expected"),
        ('{"task_id": "a", "turns": []}', r"d.jsonl:1: a demonstration without turns"),
        ("[]", r"d.jsonl:1: not a JSON object"),
        ("turns", r"d.jsonl:1: not JSON"),
        ("", r"d.jsonl: got no demonstration"),
    ],
)
def test_what_is_no_demonstration_to_train_on_is_refused(tmp_path, content, message):
    path = tmp_path / "d.jsonl"
    path.write_text(content + "\n" if content else "")
    with pytest.raises(UserError, match=message):
        read_demonstrations(path)


def test_a_file_that_is_no_arrow_or_not_there_is_refused(tmp_path):
    (tmp_path / "d.arrow").write_bytes(b"nonsense")
    for name in ("d.arrow", "none.arrow", "none.jsonl"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read: .*tasks demos"):
            read_demonstrations(tmp_path / name)


def test_demonstrations_of_a_test_split_are_refused_in_either_form(pools, tmp_path):
    for name in ("d.arrow", "d.jsonl"):
        make_demonstration_file(tmp_path / name, work(tasks=reference_tasks(split="test")))
        with pytest.raises(UserError, match="is for evaluation and never trained on"):
            read_demonstrations(tmp_path / name)


def test_a_warm_start_makes_the_demonstrations_of_a_file(pools, tmp_path, monkeypatch):
    monkeypatch.setattr(
        for_training, "LocalJudge", lambda _: lambda tasks, programs: [True] * len(tasks)
    )
    rows = [
        {
            "task_id": 601 + number,
            "text": "Write it.",
            "code": program,
            "test_list": [f"assert works({number})"],
        }
        for number, program in enumerate(PROGRAMS)
    ]
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = SftConfig(name="a", tasks=TaskSettings(train_file=str(path), train_count=10))
    check_demonstrations(config)
    made = demonstrations_for(config)
    assert len(made) == 10
    assert all(turns[-1].action == "EXIT\n" for turns in made)
    make_demonstration_file(tmp_path / "d.arrow", work(per_task=4))
    config = SftConfig(name="a", demonstrations=str(tmp_path / "d.arrow"))
    assert len(demonstrations_for(config)) == 12


def test_a_warm_start_has_one_source(tmp_path):
    config = SftConfig(
        name="a", demonstrations="d.arrow", tasks=TaskSettings(train_file="tasks.jsonl")
    )
    with pytest.raises(UserError, match="both set"):
        check_demonstrations(config)
