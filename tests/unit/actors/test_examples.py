"""The examples of docs/extending.md: loaded as plugins, chosen by a setting, doing their work."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.judging import TaskJudge
from redline.actors.sandbox_actor import SandboxActor
from redline.actors.settings import SamplingSettings
from redline.cluster.errors import UserError
from redline.cluster.load import load_config
from redline.dsl.readers.sources import SOURCES
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.dsl.task_files import TaskFileError, read_task_file
from redline.dsl.tools import TOOLS
from redline.learner.registries import ESTIMATORS, SURROGATES
from redline.replay.records import TrajectoryStatus
from redline.sandbox.backends import BACKENDS
from redline.sandbox.blocking import run_all
from redline.sandbox.records import ExecutionRequest, Limits
from redline.sandbox.settings import SandboxSettings

from .fakes import FIXED, FakeSandbox, ScriptedPolicy, task, tokenizer

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = sorted(path.stem for path in (DOCS / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def _in_the_examples_folder(monkeypatch):
    """What the examples register is forgotten after each test."""
    import redline.learner.advantages  # noqa: F401 - the built-in ones belong to what is kept

    for registry in (TOOLS, SOURCES, ESTIMATORS, SURROGATES, BACKENDS):
        monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    monkeypatch.chdir(DOCS / "examples")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in EXAMPLES:
        sys.modules.pop(name, None)


def config_with(plugin, *overrides):
    return load_config("demo", [f"plugins=[{plugin}]", *overrides])


def test_every_example_is_in_the_text_and_says_how_it_is_used():
    text = (DOCS / "extending.md").read_text()
    for name in EXAMPLES:
        assert f"examples/{name}.py" in text
        assert f"plugins=[{name}]" in (DOCS / "examples" / f"{name}.py").read_text()


def test_a_tool_of_ones_own():
    config = config_with("substitute_tool", "prompt.tool=substitute")
    broken = task()
    trajectory = asyncio.run(
        run_episode(
            broken,
            generate=ScriptedPolicy([["FOO\n", "SUB zzz => y\n", "SUB  + 1 => \n", "DONE\n"]]),
            judge=TaskJudge(broken, FakeSandbox(good=[FIXED]), Limits()),
            tokenizer=tokenizer(),
            rules=EpisodeRules(
                max_turns=4, max_context=2000, sampling=SamplingSettings(max_command_tokens=40),
                prompts=config.prompt, rewards=RewardSettings(),
            ),
            identity=EpisodeId(group_id="g", sample_index=0, worker="w"),
        )
    )  # fmt: skip
    assert trajectory.status is TrajectoryStatus.SOLVED
    assert [turn.command for turn in trajectory.turns] == [
        None, "SUB zzz => y", "SUB  + 1 => ", "DONE",
    ]  # fmt: skip
    assert [turn.reward for turn in trajectory.turns] == [-0.5, -0.5, 1.0, 0.0]
    assert trajectory.turns[1].feedback == "error: no 'zzz'"
    with pytest.raises(UserError, match="grammar of the tool 'editor'"):
        config_with("substitute_tool", "prompt.tool=substitute", "rollout.sampling.grammar=true")


def test_an_estimator_of_ones_own():
    config = config_with("median_estimator", "learner.loss.estimator=median")
    from redline.learner.advantages import estimate

    rewards = [[np.array([0.0, 1.0]), np.array([3.0]), np.array([0.0])]]
    (group,) = estimate(config.learner.loss.estimator, rewards, [], "reward_to_go")
    assert [advantages.tolist() for advantages in group] == [[0.0, 0.0], [2.0], [-1.0]]


def test_a_loss_of_ones_own():
    torch = pytest.importorskip("torch")
    config = config_with("unclipped_loss", "learner.loss.kind=unclipped")
    from redline.learner.losses.objective import surrogate

    old = torch.log(torch.tensor([0.5, 0.25]))
    new = torch.log(torch.tensor([0.75, 0.25])).requires_grad_()
    loss, clipped = surrogate(
        new, old, torch.tensor([2.0, -1.0]), torch.zeros(2), config.learner.loss
    )
    assert loss.tolist() == pytest.approx([-3.0, 1.0])
    assert not clipped.any()
    loss.sum().backward()
    assert new.grad.tolist() == pytest.approx([-3.0, 1.0])


def test_a_task_source_of_ones_own():
    config = config_with("off_by_one_source", "tasks.train_file=off_by_one:3")
    found = read_task_file(config.tasks.train_file).tasks
    assert [each.task_id for each in found] == [f"off_by_one/{n}" for n in (1, 2, 3)]
    requests = [
        ExecutionRequest(program=program, tests=found[1].tests)
        for program in (found[1].broken, found[1].reference)
    ]
    assert [verdict.passed for verdict in run_all(requests, workers=1)] == [False, True]
    with pytest.raises(TaskFileError, match="expected a number of tasks"):
        read_task_file("off_by_one:many")


def test_a_sandbox_backend_of_ones_own():
    config = config_with("remembering_backend", "sandbox.backend=remembering")
    request = ExecutionRequest(program="x = 1", tests=("assert x == 1",))

    async def ask():
        actor = SandboxActor(replace(config.sandbox, workers_per_actor=1))
        start = await actor.start()
        try:
            first = await actor.run_many([request])
            again = await actor.run_many([request, replace(request, program="x = 2")], client="c")
            return start, first + again, await actor.stats()
        finally:
            await actor.close()

    start, verdicts, stats = asyncio.run(ask())
    assert start.tier
    assert [verdict.passed for verdict in verdicts] == [True, True, False]
    assert stats.executions == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["plugins=[nowhere_at_all]"], "plugins: 'nowhere_at_all' cannot be imported"),
        (["prompt.tool=other"], "prompt.tool='other': expected one of editor"),
        (["sandbox.backend=other"], "sandbox.backend='other': expected one of fork_servers"),
        (["learner.loss.kind=other"], "learner.loss.kind='other': expected one of clipped, gspo"),
    ],
)
def test_what_nobody_registered_is_refused_in_one_line(overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config("demo", overrides)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="'editor' is registered already"):
        TOOLS.add("editor", TOOLS["editor"])
    assert PromptSettings().tool in TOOLS.names
    assert SandboxSettings().backend in BACKENDS.names
