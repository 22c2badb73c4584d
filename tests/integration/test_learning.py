"""With every estimator and every loss the demo's policy solves more of a few tasks than before.

The policy plays real episodes in the real sandbox, is trained on them, and plays again. Draws are
seeded, so that a run is repeated, not chanced.
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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POLICY = str(Path(next(iter(redline.cluster.__path__))) / "demo_policy")
TASKS = (0, 1, 2, 7)
"""Of the tasks made below, those that the policy solves now and then."""
SIZE = 16
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
    optimizer=OptimizerSettings(learning_rate=1e-3),
)
STEPS = 6
CASES = {
    "grpo": {},
    "grpo_per_turn": {"estimator": "grpo_per_turn"},
    "dr_grpo": {"estimator": "dr_grpo", "aggregation": "constant", "constant_length": 16},
    "rloo": {"estimator": "rloo", "aggregation": "sequence_mean"},
    "reinforce_pp": {"estimator": "reinforce_pp"},
    "gae": {"estimator": "gae"},
    "gspo": {"kind": "gspo", "aggregation": "sequence_mean"},
    "cispo": {"kind": "cispo"},
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Tasks and a policy to play them with; its weights come from a learner."""

    tasks: list
    model: object
    tokenizer: PolicyTokenizer

    def play(self, seed):
        async def played():
            async with SandboxPool(2, SandboxSettings()) as sandbox:
                return await sample_groups(
                    self.tasks, SIZE, self.model, self.tokenizer, sandbox, seed=seed, rules=RULES
                )

        return asyncio.run(played())

    def follow(self, learner):
        self.model.load_state_dict(learner._engine.policy.state_dict())


@pytest.fixture(scope="module")
def stage():
    from redline.learner.model import load_policy

    made = generate_tasks(
        count=40, seed=5, edits=(1, 1), families=["lists"], judge=lambda t, p: [False] * len(p)
    )
    short = sorted((m.task for m in made), key=lambda task: len(task.prompt + task.broken))
    return Stage(
        tasks=[short[number] for number in TASKS],
        model=load_policy(POLICY).eval(),
        tokenizer=PolicyTokenizer.load(POLICY),
    )


@pytest.fixture(scope="module")
def batch(stage):
    """What the policy plays before it is trained."""
    groups = stage.play(seed=1)
    assert 0.2 < solve_rate(groups) < 0.8
    return groups


def solve_rate(groups):
    return float(np.mean([t.solved for group in groups for t in group.trajectories]))


def after_training(stage, batch, **loss):
    """Solve rate of the policy after a few steps on the batch."""
    critic = CriticSettings(kind="head" if loss.get("estimator") == "gae" else "none")
    settings = replace(LEARNING, loss=replace(LossSettings(), **loss), critic=critic)
    learner = Learner(model_path=POLICY, settings=settings)
    learner.start()
    for _ in range(STEPS):
        assert not learner.train_step(batch).skipped
    stage.follow(learner)
    learner.close()
    return solve_rate(stage.play(seed=2))


@pytest.mark.parametrize("name", CASES)
def test_the_policy_solves_more_after_training(stage, batch, name):
    assert after_training(stage, batch, **CASES[name]) > solve_rate(batch) + 0.1


def test_with_the_wrong_sign_it_solves_less(stage, batch):
    """What the tests above would see of an advantage whose sign is broken."""
    wrong = [
        replace(
            group,
            trajectories=tuple(
                replace(t, turns=tuple(replace(turn, reward=-turn.reward) for turn in t.turns))
                for t in group.trajectories
            ),
        )
        for group in batch
    ]
    assert after_training(stage, wrong) < solve_rate(batch) - 0.1
