"""`redline repair`: what is written and what is not, with a real sandbox and a scripted policy."""

import ast
import asyncio
import json
import stat
from contextlib import asynccontextmanager

import numpy as np
import pytest
from cluster_fakes import Bytes
from hypothesis import given
from hypothesis import strategies as st

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.judging import TaskJudge
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.cluster.commands.repair import newest_run
from redline.cluster.errors import UserError
from redline.cluster.main import run
from redline.cluster.repair import run as repair_run
from redline.cluster.repair.repairing import repair
from redline.cluster.repair.run import RepairRequest, repair_config
from redline.cluster.repair.source_file import SourceFile, prompt_of
from redline.cluster.repair.view import unified_diff
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.replay.records import Completion, TrajectoryGroup
from redline.sandbox.pool import SandboxPool
from redline.sandbox.records import Limits

BROKEN = 'def add(a, b):\n    """Add two numbers."""\n    return a - b\n'
FIXED = BROKEN.replace("a - b", "a + b")
TESTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0\nassert add(2, 2) == 4\n"
FIX = "REPL 3 >>>    return a + b"


class Scripted:
    """A sampler whose episode number i follows scripts[i]."""

    def __init__(self, pool, scripts):
        self.pool, self.scripts, self.asked = pool, scripts, []

    async def sample_group(self, task, *, group_id, group_size, sampling, max_turns):
        first = int(group_id.rpartition("/")[2])
        self.asked.append((group_size, sampling.temperature))
        self.prompt = None

        async def generate(prompt, sampling, request_id):
            self.prompt = self.prompt or bytes(prompt.astype(np.uint8)).decode()
            sample, turn = map(int, request_id.split("/")[-2:])
            script = self.scripts[min(first + sample, len(self.scripts) - 1)]
            text = script[min(turn, len(script) - 1)] + "\n"
            ids = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
            return Completion(
                token_ids=ids, logprobs=np.zeros(len(ids), np.float32),
                weight_versions=np.zeros(len(ids), np.int32), text=text[:-1], finish_reason="stop",
            )  # fmt: skip

        rules = EpisodeRules(
            max_turns=max_turns, max_context=10**6, sampling=sampling, prompts=PromptSettings(),
            rewards=RewardSettings(),
        )  # fmt: skip
        judge = TaskJudge(task, self.pool, Limits())
        played = [
            await run_episode(
                task, generate=generate, judge=judge, tokenizer=PolicyTokenizer(Bytes()),
                rules=rules, identity=EpisodeId(group_id=group_id, sample_index=i, worker="w"),
            )
            for i in range(group_size)
        ]  # fmt: skip
        return TrajectoryGroup(group_id=group_id, task_id="repair", trajectories=tuple(played))


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run `redline repair` in a folder with a program and tests, with a scripted policy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(BROKEN)
    (tmp_path / "t.txt").write_text(TESTS)
    made = []

    def call(*arguments, scripts=()):
        @asynccontextmanager
        async def started(model, config, pool, progress):
            made.append(Scripted(pool, scripts))
            yield made[-1]

        monkeypatch.setattr(repair_run, "started", started)
        status = run(["repair", *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err, made

    return call


def test_a_repair_is_shown_and_only_written_when_asked(redline, tmp_path):
    status, out, err, made = redline("p.py", "--tests", "t.txt", scripts=[[FIX, "EXIT"]])
    assert status == 0
    assert "1  REPL 3 >>>    return a + b   3 of 3 tests pass" in out
    assert "-    return a - b\n+    return a + b\n" in out
    assert "repaired: 3 of 3 tests pass" in out
    assert "--write" in err
    assert (tmp_path / "p.py").read_text() == BROKEN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.py", "t.txt"]
    assert made[0].asked == [(1, 0.0)], "a greedy episode that succeeds is enough"
    assert made[0].prompt.startswith("Add two numbers.\n1|def add(a, b):\n")


def test_write_keeps_a_backup_and_the_permission_bits(redline, tmp_path):
    (tmp_path / "p.py").chmod(0o750)
    scripts = [[FIX, "EXIT"]]
    status, out, _, _ = redline("p.py", "--tests", "t.txt", "--write", "--json", scripts=scripts)
    said = json.loads(out)
    assert status == 0
    assert said["written"] and said["solved"] and not said["already_passing"]
    assert said["backup"].endswith("p.py.orig")
    assert (tmp_path / "p.py").read_text() == FIXED
    assert (tmp_path / "p.py.orig").read_text() == BROKEN
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("p.py*")} == {0o750}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.py", "p.py.orig", "t.txt"]
    (tmp_path / "p.py").write_text(BROKEN)
    redline("p.py", "--tests", "t.txt", "--write", scripts=scripts)
    assert (tmp_path / "p.py.orig.1").read_text() == BROKEN, "no backup is overwritten"


def test_the_best_partial_result_is_shown_with_status_1_and_never_written(redline, tmp_path):
    scripts = [["DELL 9"], ["REPL 3 >>>    return 3", "EXIT"], ["REPL 3 >>>    return 2 * a"]]
    arguments = ("p.py", "--tests", "t.txt", "--write", "--samples", 3, "--max-turns", 2)
    status, out, _, made = redline(*arguments, scripts=scripts)
    assert status == 1
    assert "the best passes 2 of 3 tests, 1 before" in out
    assert "+    return 2 * a" in out
    assert (tmp_path / "p.py").read_text() == BROKEN
    assert not (tmp_path / "p.py.orig").exists()
    assert made[0].asked == [(1, 0.0), (2, 1.0)]
    status, out, _, _ = redline(*arguments, "--json", scripts=scripts)
    said = json.loads(out)
    assert (status, said["solved"], said["written"], said["backup"]) == (1, False, False, None)
    assert (said["passed_before"], said["passed"], said["total"]) == (1, 2, 3)
    assert [turn["command"] for turn in said["turns"]] == ["REPL 3 >>>    return 2 * a"]


def test_no_gain_at_all_says_so(redline):
    status, out, _, _ = redline("p.py", "--tests", "t.txt", "--samples", 2, scripts=[["DELL 9"]])
    assert status == 1
    assert "none of 2 episodes passes more than the 1 of 3 tests" in out


def test_a_repair_counts_even_if_the_policy_went_on_editing(redline):
    script = ["FOO", FIX, "DELL 3", "EXIT"]
    status, out, _, _ = redline("p.py", "--tests", "t.txt", scripts=[script])
    assert status == 0
    assert "FOO   ✗ 1 of 3 tests pass" in out
    assert "DELL 3" not in out


def test_a_program_that_passes_needs_no_engine(redline, tmp_path):
    (tmp_path / "p.py").write_text(FIXED)
    status, out, _, made = redline("p.py", "--tests", "t.txt", "--write")
    assert (status, made) == (0, [])
    assert "nothing to repair: 3 of 3 tests pass" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.py", "t.txt"]
    status, out, _, _ = redline("p.py", "--tests", "t.txt", "--json")
    assert json.loads(out)["already_passing"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.py", "--tests", "t.txt"], "no program at no.py"),
        (["p.py", "--tests", "no.txt"], "no tests at no.txt"),
        (["p.py", "--tests", "none.txt"], "no test in it"),
        (["p.py", "--tests", "bad.json"], "not JSON"),
        (["latin.py", "--tests", "t.txt"], "not UTF-8 text (byte 4)"),
        (["empty.py", "--tests", "t.txt"], "nothing to repair"),
        (["p.py", "--tests", "t.txt", "--policy", "no/such/model"], "no model folder"),
        (["p.py", "--tests", "t.txt", "--policy", "some/name"], "no model folder at some/name"),
        (["p.py", "--tests", "t.txt", "--policy", "model"], "no tokenizer"),
        (["p.py", "--tests", "t.txt", "--samples", "0"], "--samples"),
        (["p.py"], "Missing option '--tests'"),
        (["p.py", "--tests", "t.txt", "rollout.grp=1"], "unknown key"),
    ],
)
def test_bad_input_is_one_line_and_nothing_written(redline, tmp_path, arguments, message):
    (tmp_path / "none.txt").write_text("\n  \n")
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "latin.py").write_bytes(b"# \xc3\xa4\n"[:2] + b"# \xe4\n")
    (tmp_path / "empty.py").write_text("\n\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    status, out, err, _ = redline(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_newlines_marks_and_links_of_the_file_stay(tmp_path):
    real = tmp_path / "real.py"
    real.write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n\r\n")
    link = tmp_path / "link.py"
    link.symlink_to(real)
    source = SourceFile.read(link)
    assert source.program == "x = 1\ny = 2"
    backup = source.replace("x = 1\nz = 3")
    assert link.is_symlink()
    assert real.read_bytes() == b"\xef\xbb\xbfx = 1\r\nz = 3\r\n\r\n"
    assert backup.read_bytes() == b"\xef\xbb\xbfx = 1\r\ny = 2\r\n\r\n"


@given(st.text(alphabet="ab\n\r\ufeff\t é", max_size=30))
def test_an_unchanged_program_gives_the_same_bytes(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("s") / "p.py"
    path.write_bytes(text.encode())
    source = SourceFile.read(path)
    assert source.text_of(source.program) == text


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path, monkeypatch):
    path = tmp_path / "p.py"
    path.write_text("x")
    source = SourceFile.read(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        source.replace("y")
    assert path.read_text() == "x"


def test_what_a_program_says_it_does():
    assert prompt_of('"""Whole.\n\nMore."""\nx = 1') == "Whole."
    assert prompt_of('x = 1\ndef f():\n    """Of\n    f."""') == "Of f."
    assert prompt_of('def f(:\n    """Of f."""') == "Of f."
    assert prompt_of("def f(:") == prompt_of("x = 1") == ""
    assert ast.parse("x")


def test_the_diff_is_one_that_patch_reads(tmp_path):
    import subprocess

    (tmp_path / "p.py").write_text("a\nb\nc\n")
    text = unified_diff(tmp_path / "p.py", "a\nb\nc", "a\nB\nc")
    assert text.splitlines()[-3:] == ["-b", "+B", " c"]
    done = subprocess.run(["git", "apply", "--stat"], input=text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_engine_fits_the_model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({
        "max_position_embeddings": 512, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_size": 4096, "num_hidden_layers": 32,
    }))  # fmt: skip
    engine = repair_config(str(tmp_path), "demo", []).rollout.engine
    assert engine.max_model_len == 512
    assert engine.kv_cache_gib == 2.0
    mine = repair_config(str(tmp_path), "demo", ["rollout.engine.max_model_len=256"])
    assert mine.rollout.engine.max_model_len == 256


def test_the_newest_run_is_named(tmp_path):
    import os

    assert newest_run(tmp_path) == ""
    for age, name in enumerate(("new", "old")):
        folder = tmp_path / name / "checkpoints"
        folder.mkdir(parents=True)
        (folder / "latest").write_text("step_1\n")
        os.utime(folder / "latest", (1e9 - age, 1e9 - age))
    assert newest_run(tmp_path).endswith("/new")


def test_best_of_n_prefers_most_tests_then_fewest_turns():
    scripts = [
        ["REPL 3 >>>    return 3"], ["DELL 9", "REPL 3 >>>    return 2 * a"],
        ["REPL 3 >>>    return 2 * b"],
    ]  # fmt: skip

    async def main():
        request = RepairRequest(
            program=BROKEN.rstrip("\n"), prompt="", tests=tuple(TESTS.splitlines()), samples=3,
            max_turns=2,
        )  # fmt: skip
        async with SandboxPool(1) as pool:
            from redline.cluster.repair.repairing import judge

            before = await judge(request.task, request.program, pool, Limits())
            return await repair(
                request.task, before, Scripted(pool, scripts), samples=3, max_turns=2,
                sampling=SamplingSettings(),
            )  # fmt: skip

    outcome = asyncio.run(main())
    assert not outcome.solved
    assert outcome.best.sample == 2
    assert outcome.best.verdict.passing == 2
    assert len(outcome.best.turns) == 1
