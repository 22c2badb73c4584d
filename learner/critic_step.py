"""What a critic adds to a step: values before it, advantages and targets from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from redline.learner.advantages.normalizing import normalized
from redline.learner.advantages.returns import Float64
from redline.learner.batches.micro_batches import resolve_packing
from redline.learner.course import Course, Judgement, judge, make_course
from redline.learner.critic import Critic
from redline.learner.engine import TrainingEngine
from redline.learner.ranks import Division, scoring_batches
from redline.learner.samples import SampleBatch
from redline.learner.settings import LearnerSettings
from redline.learner.signal import Penalties
from redline.replay.records import TrainingSample


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueTargets:
    """One sample's states and what the critic is to learn of them."""

    states: np.ndarray  # (p,) int64, last token of each
    old_values: Float64  # (p,)
    targets: Float64  # (p,)
    trained: np.ndarray  # (p,) bool, whether there is a target


NO_STATES = ValueTargets(
    states=np.empty(0, dtype=np.int64),
    old_values=np.empty(0),
    targets=np.empty(0),
    trained=np.empty(0, dtype=np.bool_),
)
"""Of a sample that the critic learns nothing from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedBatch:
    """Samples with advantages filled in, and the critic's part of the step."""

    samples: tuple[TrainingSample, ...]
    values: tuple[ValueTargets, ...]
    explained_variance: float
    """1 - Var(G - V) / Var(G) over all trained states: 1 is a perfect critic, 0 a constant one."""


def judge_batch(
    engine: TrainingEngine,
    critic: Critic,
    batch: SampleBatch,
    settings: LearnerSettings,
    division: Division,
    penalties: Penalties | None = None,
) -> JudgedBatch:
    """Advantages of all samples by generalised advantage estimation."""
    courses = [
        make_course(sample, trajectory, settings.critic, penalties)
        for sample, trajectory in zip(batch.samples, batch.trajectories, strict=True)
    ]
    values = value_states(engine, critic, batch.samples, courses, settings, division)
    judged = [judge(c, v, settings.critic) for c, v in zip(courses, values, strict=True)]
    advantages = [j.advantages for j in judged]
    if settings.critic.normalize_advantages:
        tokens_of_steps = [np.bincount(c.step_of_token).astype(np.float64) for c in courses]
        advantages = normalized(advantages, tokens_of_steps)
    samples = tuple(
        _with_advantages(sample, own[course.step_of_token])
        for sample, course, own in zip(batch.samples, courses, advantages, strict=True)
    )
    targets = tuple(
        ValueTargets(states=c.states, old_values=v, targets=j.targets, trained=c.trained)
        for c, v, j in zip(courses, values, judged, strict=True)
    )
    return JudgedBatch(
        samples=samples,
        values=targets,
        explained_variance=_explained_variance(courses, values, judged),
    )


@torch.no_grad()
def value_states(
    engine: TrainingEngine,
    critic: Critic,
    samples: Sequence[TrainingSample],
    courses: Sequence[Course],
    settings: LearnerSettings,
    division: Division,
) -> list[Float64]:
    """Values of the states of every course, with one forward pass over the samples."""
    values: list[Float64] = [np.empty(0)] * len(samples)
    for batch in scoring_batches(
        division,
        [s.token_ids for s in samples],
        [np.zeros(len(s.token_ids), dtype=np.bool_) for s in samples],
        token_budget=settings.micro_batch_tokens,
        packing=resolve_packing(settings.packing, engine.can_pack),
        groups=[s.group_id for s in samples],
        states=[c.states for c in courses],
    ):
        scores = engine.score(batch.tokens)
        found = critic.values(scores.hidden).double().cpu().numpy()
        ends = np.cumsum([len(courses[i].states) for i in batch.members])
        for index, own in zip(batch.members, np.split(found, ends[:-1]), strict=True):
            values[index] = own
    return division.completed(values)


def _with_advantages(sample: TrainingSample, advantages: Float64) -> TrainingSample:
    filled = np.zeros_like(sample.advantages)
    filled[sample.loss_mask] = advantages
    return replace(sample, advantages=filled)


def _explained_variance(
    courses: Sequence[Course], values: Sequence[Float64], judged: Sequence[Judgement]
) -> float:
    targets = np.concatenate([j.targets[c.trained] for c, j in zip(courses, judged, strict=True)])
    known = np.concatenate([v[c.trained] for c, v in zip(courses, values, strict=True)])
    spread = float(targets.var())
    return 1.0 - float((targets - known).var()) / spread if spread > 0 else 0.0
