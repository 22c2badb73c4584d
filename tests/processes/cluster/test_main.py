"""The command line: exit statuses, one line on stderr, results on stdout."""

import errno
import json
import subprocess
import sys
import time

import pytest

from redline.cluster.main import run


@pytest.fixture
def redline(capfd, tmp_path, monkeypatch):
    """Run a command in an empty folder; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command"),
        (["train"], "Missing option '--config'"),
        (["train", "--config", "dmo"], "did you mean 'demo'"),
        (["train", "--config", "demo", "seeed=1"], "did you mean 'seed'"),
        (
            ["train", "--config", "demo", "model=nowhere/at/all"],
            "no model folder at nowhere/at/all",
        ),
        (["train", "--config", "demo", "--resume"], "no run to resume"),
        (["dsl", "diff", "a.py", "b.py"], "no program at a.py"),
        (["dsl", "diff", "--wrong"], "No such option"),
        (["tasks", "generate", "--count", "0", "--output", "x"], "--count"),
        (["tasks", "check", "nowhere.jsonl"], "nowhere.jsonl"),
        (["tasks", "generate", "--count", "1", "--output", "no/x.jsonl"], "no folder no"),
        (["tasks", "demos", "--output", "x.arrow"], "either --count N (built-in tasks) or --data"),
        (["tasks", "demos", "--data", "no.jsonl", "--output", "x.arrow"], "no.jsonl: cannot be"),
        (["tasks", "demos", "--data", "no.jsonl", "--output", "x.csv"], ".arrow or .jsonl"),
        (["tasks", "demos", "--data", "n", "--output", "x.arrow", "--mix", "1,2"], "four numbers"),
        (["tasks", "demos", "--data", "n", "--output", "x.arrow", "--order", "up"], "--order 'up'"),
        (["tasks", "check", "hf:mbpp"], "pip install datasets"),
        (["sft", "--config", "demo_sft", "demonstrations=no.arrow"], "no.arrow: cannot be read"),
        (["sandbox", "run", "a.py", "--tests", "t.txt"], "no tests at t.txt"),
        (["replay", "ls", "nowhere"], "nowhere"),
        (["export", "nowhere", "out"], "neither a policy"),
        (["sft", "--config", "demo"], "no preset 'demo'"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(redline, tmp_path, arguments, message):
    status, out, err = redline(*arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("redline: ")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_status_1(redline, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "x.jsonl")

    monkeypatch.setattr("redline.dsl.task_files.write_tasks", full)
    status, out, err = redline("tasks", "generate", "--count", "1", "--output", "x.jsonl")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("redline: [Errno 28] No space left on device: 'x.jsonl'")


def test_a_model_folder_without_weights_is_refused(redline, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    status, _, err = redline("train", "--config", "demo", "model=./model", "run_root=./runs")
    assert status == 2
    assert "no weights" in err
    assert not (tmp_path / "runs").exists()


def test_a_bad_task_line_names_its_number(redline, tmp_path):
    good = {"task_id": "a", "prompt": "p", "broken": "x", "tests": ["assert x"]}
    (tmp_path / "t.jsonl").write_text(json.dumps(good) + "\nnot json\n")
    status, _, err = redline("tasks", "check", "t.jsonl")
    assert status == 2
    assert "t.jsonl:2" in err


def test_diff_and_apply_round_trip(redline, tmp_path):
    (tmp_path / "broken.py").write_text("def f(a):\n    return a")
    (tmp_path / "fixed.py").write_text("def f(a):\n    b = a + 1\n    return b\n")
    status, commands, _ = redline("dsl", "diff", "broken.py", "fixed.py")
    assert status == 0
    assert commands.endswith("EXIT\n")
    (tmp_path / "commands").write_text(commands)
    status, out, _ = redline("dsl", "apply", "broken.py", "commands")
    assert status == 0
    assert out == (tmp_path / "fixed.py").read_text()
    status, out, _ = redline("dsl", "apply", "broken.py", "commands", "--json")
    assert json.loads(out) == {"program": (tmp_path / "fixed.py").read_text()}


def test_apply_names_the_line_that_does_not_fit(redline, tmp_path):
    (tmp_path / "p.py").write_text("x = 1")
    (tmp_path / "c").write_text("DELL 1\nDELL 9\n")
    status, _, err = redline("dsl", "apply", "p.py", "c")
    assert status == 2
    assert "c:2: no line 9" in err


def test_sandbox_run_reports_each_test_and_the_status(redline, tmp_path):
    (tmp_path / "p.py").write_text("def f(a):\n    return a")
    (tmp_path / "t.json").write_text(json.dumps(["assert f(1) == 1", "assert f(1) == 2"]))
    status, out, _ = redline("sandbox", "run", "p.py", "--tests", "t.json", "--json")
    found = json.loads(out)
    assert status == 1
    assert [t["status"] for t in found["tests"]] == ["pass", "fail"]
    assert (found["passed"], found["total"]) == (1, 2)


@pytest.mark.parametrize(
    ("program", "tests", "message"),
    [
        (b"\xff\xfe", "assert f(1) == 1", "p.py is not UTF-8 text (byte 0)"),
        (b" \n", "assert f(1) == 1", "p.py is empty"),
        (b"x = 1\ndef f(:\n", "assert f(1) == 1", "p.py is not Python: invalid syntax (line 2)"),
        (b"def f(a): pass", "assert f(1)\nassert f(", "t.txt, line 2: the test is not Python"),
        (b"def f(a): pass", "\n\n", "t.txt: no test in it"),
        (b"def f(a): pass", "assert f(1)\nassert 1 == 1", "test 2 of 2 never uses the program"),
    ],
)
def test_a_program_or_test_that_cannot_be_judged_is_refused(
    redline, tmp_path, program, tests, message
):
    (tmp_path / "p.py").write_bytes(program)
    (tmp_path / "t.txt").write_text(tests)
    status, out, err = redline("sandbox", "run", "p.py", "--tests", "t.txt", "--json")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_unknown_tier_is_refused(redline, tmp_path):
    (tmp_path / "p.py").write_text("def f(a): pass")
    (tmp_path / "t.txt").write_text("assert f(1) is None")
    status, _, err = redline("sandbox", "run", "p.py", "--tests", "t.txt", "--min-tier", "chroot")
    assert status == 2
    assert "chroot" in err and "landlock" in err
    assert err.count("\n") == 1


def test_generated_tasks_check_out_and_a_false_one_is_found(redline, tmp_path):
    status, out, _ = redline("tasks", "generate", "--count", "5", "--output", "t.jsonl", "--json")
    assert (status, json.loads(out)["tasks"]) == (0, 5)
    status, out, _ = redline("tasks", "check", "t.jsonl", "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["tasks"], found["broken_failing"], found["references_passing"]) == (5, 5, 5)
    assert found["infrastructure_errors"] == 0
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    lines[2]["broken"] = lines[2]["reference"]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, out, err = redline("tasks", "check", "f.jsonl", "--json")
    assert status == 1
    assert json.loads(out)["broken_failing"] == 4
    assert lines[2]["task_id"] in err


MBPP = {
    "task_id": 601,
    "text": "Write a function to add one.",
    "code": "def f(a):\r\n\tb = a + 1 \r\n\treturn b\r\n",
    "test_setup_code": "",
    "test_list": ["assert f(1) == 2", "assert f(5) == 6"],
}


def write_mbpp(path, *changes):
    path.write_text("".join(json.dumps(MBPP | change) + "\n" for change in changes))


def test_demonstrations_of_a_published_file(redline, tmp_path):
    write_mbpp(tmp_path / "m.jsonl", {"task_id": 11}, {}, {"task_id": 602, "test_list": ["f(1)"]})
    options = ["tasks", "demos", "--data", "m.jsonl", "--per-task", "6"]
    status, out, err = redline(*options, "--output", "d.jsonl", "--json")
    figures = json.loads(out)
    assert status == 0
    assert (figures["demonstrations"], figures["tasks"]) == (12, 2)
    assert figures["paper_mean_edit_distance"] == 39.9 and figures["mean_edit_distance"] > 0
    assert sum(figures["statuses"].values()) == 12
    assert "each verified to end in passing tests" in err and "(the paper: 39.9)" in err
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert {line["split"] for line in lines} == {"train"}
    for line in lines:
        assert line["turns"][-1]["action"] == "EXIT\n"
        assert line["turns"][-1]["state"].endswith("3|    return b\n***\n### ")
    assert {path.name for path in tmp_path.iterdir()} == {"m.jsonl", "d.jsonl"}


def test_failing_references_of_a_file_are_dropped_or_refused(redline, tmp_path):
    write_mbpp(tmp_path / "m.jsonl", {}, {"task_id": 602, "test_list": ["assert f(1) == 3"]})
    options = ["tasks", "demos", "--data", "m.jsonl", "--per-task", "2", "--output", "d.arrow"]
    status, _, err = redline(*options, "--strict")
    assert status == 2
    assert "references of 1 of 2 tasks fail their tests (mbpp/602)" in err
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]
    status, _, err = redline(*options)
    assert status == 0
    assert "task mbpp/602 dropped" in err
    status, out, err = redline("tasks", "check", "m.jsonl", "--json")
    assert (status, json.loads(out)["references_passing"]) == (1, 1)
    status, _, err = redline("tasks", "check", "m.jsonl", "--strict")
    assert status == 2


def test_a_test_split_is_never_trained_on(redline, tmp_path):
    write_mbpp(tmp_path / "m.jsonl", {"task_id": 11})
    for command, config in (("train", "demo"), ("sft", "demo_sft")):
        status, out, err = redline(command, "--config", config, "tasks.train_file=m.jsonl")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "no task that may be trained on, the file has 1 of 'test'" in err
    status, _, err = redline("tasks", "demos", "--data", "m.jsonl", "--output", "d.arrow")
    assert status == 2
    assert "no task of split 'train', it has 1 of 'test'" in err
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]
    redline(
        "tasks", "demos", "--data", "m.jsonl", "--split", "test", "--per-task", "2",
        "--output", "d.arrow",
    )  # fmt: skip
    status, _, err = redline("sft", "--config", "demo_sft", "demonstrations=d.arrow")
    assert status == 2
    assert "d.arrow:1: demonstration 'mbpp/11#0' is of split 'test'" in err


def test_an_existing_output_is_not_overwritten(redline, tmp_path):
    (tmp_path / "t.jsonl").write_text("mine")
    status, _, err = redline("tasks", "generate", "--count", "1", "--output", "t.jsonl")
    assert status == 2
    assert "exists" in err
    assert (tmp_path / "t.jsonl").read_text() == "mine"


def test_dry_run_prints_configuration_and_plan_and_starts_nothing(redline, tmp_path):
    status, out, _ = redline("train", "--config", "demo", "steps=7", "--dry-run")
    assert status == 0
    assert "steps: 7" in out
    assert "trajectories per step" in out
    status, out, _ = redline("train", "--config", "demo", "steps=7", "--dry-run", "--json")
    assert json.loads(out)["plan"]["steps"] == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["learner.critic.kind=head"], ("learner.critic.kind", "learner.loss.estimator")),
        (
            ["learner.micro_batch_tokens=64"],
            ("learner.micro_batch_tokens", "rollout.engine.max_model_len"),
        ),
        (
            ["learner.deepspeed.offload_optimizer=true"],
            ("learner.deepspeed.offload_optimizer", "learner.deepspeed.zero_stage"),
        ),
    ],
)
def test_dry_run_refuses_contradictions_with_both_names(redline, tmp_path, settings, named):
    status, out, err = redline("train", "--config", "demo", *settings, "--dry-run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert all(name in err for name in named)
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_engine_and_is_quick():
    code = (
        "import sys; from redline.cluster.main import run; run(['--help']);"
        "print([m for m in ('torch', 'ray', 'vllm', 'transformers', 'pyarrow', 'numpy')"
        " if m in sys.modules], file=sys.stderr)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert time.monotonic() - began < 5.0  # 0.1 s on an idle machine; the bound is for a busy one
