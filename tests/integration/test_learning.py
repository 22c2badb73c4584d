"""With every estimator and every loss the demo's policy solves more of a few tasks than before.

The policy plays real episodes in the real sandbox, the learner trains on them under DeepSpeed, and
the policy plays on with what was learned. All draws are seeded. That the bar is one which luck does
not pass is shown at the end: without learning, and with the wrong sign, nobody gets there.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import redline.cluster
from redline.actors.episode import EpisodeRules
from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.generator import generate_tasks
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.learner.learner import Learner
from redline.learner.settings import (
    CriticSettings,
    LearnerSettings,
    LossSettings,
    OptimizerSettings,
)
from redline.sandbox.pool import SandboxPool
from redline.sandbox.settings import SandboxSettings

from .batched_policy import sample_groups

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

POLICY = str(Path(next(iter(redline.cluster.__path__))) / "demo_policy")
TASKS = (8, 31, 67, 88)
"""Of the tasks made below, those that the policy solves now and then."""
SIZE = 16
"""Episodes of each task in a batch; twice as many measure a policy, four times the first one."""
ROUNDS = 2
"""Batches that are played and trained on."""
BAR = 0.25
"""What the solve rate has to gain: more than four standard errors of the difference."""
RULES = EpisodeRules(
    max_turns=2,  # one to mend the single fault, one to EXIT
    max_context=512,
    sampling=SamplingSettings(max_command_tokens=32),
    prompts=PromptSettings(),
    rewards=RewardSettings(wrong_exit=-1.0, malformed=-0.1, impossible=-0.1, no_exit=-0.1),
)
LEARNING = LearnerSettings(
    threads=2,
    micro_batch_tokens=4096,
    epochs_per_batch=4,  # with a single one every ratio is 1, and the losses are all the same
    optimizer=OptimizerSettings(learning_rate=3e-4),
)
SOON = ("grpo", "gae")
"""Cases that do not wait for `make long`."""
CASES = {
    "grpo": {},
    "grpo_per_turn": {"estimator": "grpo_per_turn"},
    "dr_grpo": {"estimator": "dr_grpo", "aggregation": "constant", "constant_length": 16},
    "rloo": {"estimator": "rloo"},
    "reinforce_pp": {"estimator": "reinforce_pp"},
    "gae": {"estimator": "gae"},
    "dual_clip": {"dual_clip": 3.0},
    "gspo": {"kind": "gspo", "aggregation": "sequence_mean"},
    "cispo": {"kind": "cispo"},
    "ratios_to_the_sampler": {"old_policy": "sampler", "tis_cap": 0.0},
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Tasks, a policy to play them with, and a sandbox that runs on the runner's loop."""

    tasks: list
    model: object
    tokenizer: PolicyTokenizer
    sandbox: SandboxPool
    runner: asyncio.Runner

    def play(self, seed, size=SIZE):
        return self.runner.run(
            sample_groups(
                self.tasks, size, self.model, self.tokenizer, self.sandbox, seed=seed, rules=RULES
            )
        )

    def follow(self, learner):
        self.model.load_state_dict(learner._engine.policy.state_dict())


def few_tasks():
    """Short ones with a single fault."""
    made = generate_tasks(
        count=160, seed=5, edits=(1, 1), families=["lists"], judge=lambda t, p: [False] * len(p)
    )
    short = sorted((m.task for m in made), key=lambda task: len(task.prompt + task.broken))
    return [short[number] for number in TASKS]


@pytest.fixture(scope="module")
def stage():
    from redline.learner.model import load_policy

    sandbox = SandboxPool(2, SandboxSettings())
    with asyncio.Runner() as runner:
        runner.run(sandbox.start())
        yield Stage(
            tasks=few_tasks(),
            model=load_policy(POLICY).eval(),
            tokenizer=PolicyTokenizer.load(POLICY),
            sandbox=sandbox,
            runner=runner,
        )
        runner.run(sandbox.close())


@pytest.fixture(scope="module")
def start(stage):
    """What the policy plays before it is trained, and how much of it it solves."""
    before = solve_rate(stage.play(seed=1, size=4 * SIZE))
    assert 0.2 < before < 0.7
    return stage.play(seed=2), before


def solve_rate(groups):
    return float(np.mean([t.solved for group in groups for t in group.trajectories]))


def gain(stage, start, settings, change=lambda groups: groups):
    """How much of the tasks is solved after a few updates that was not before."""
    groups, before = start
    learner = Learner(model_path=POLICY, settings=settings)
    learner.start()
    for number in range(ROUNDS):
        groups = stage.play(seed=2 + number) if number else groups
        result = learner.train_step(change(groups))
        assert not result.skipped
        stage.follow(learner)
    learner.close()
    return solve_rate(stage.play(seed=9, size=2 * SIZE)) - before


@pytest.mark.parametrize(
    "name",
    [case if case in SOON else pytest.param(case, marks=pytest.mark.long) for case in CASES],
)
def test_the_policy_solves_more_after_training(stage, start, name):
    loss = replace(LossSettings(), **CASES[name])
    critic = CriticSettings(kind="head" if loss.estimator == "gae" else "none")
    assert gain(stage, start, replace(LEARNING, loss=loss, critic=critic)) > BAR


def test_without_learning_it_stays_below_the_bar(stage, start):
    still = replace(LEARNING, optimizer=OptimizerSettings(learning_rate=0.0))
    assert gain(stage, start, still) < BAR


def test_with_the_wrong_sign_it_solves_less(stage, start):
    assert gain(stage, start, LEARNING, with_opposite_rewards) < -BAR / 2


def with_opposite_rewards(groups):
    """What an advantage whose sign is broken would come to."""
    return [
        replace(
            group,
            trajectories=tuple(
                replace(t, turns=tuple(replace(turn, reward=-turn.reward) for turn in t.turns))
                for t in group.trajectories
            ),
        )
        for group in groups
    ]
