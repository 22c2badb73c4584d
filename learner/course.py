"""An episode as a critic sees it: its steps, their rewards, and the states between them.

A step is one action token or one whole turn. A state is named by the place of its last token; the
state before an action token ends right before it. The state after the last action token of a turn
is judged too, with what follows as its target: it is the last that a cut episode has, and the
critic must know states of its kind. The state after an episode's own end has no value to learn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redline.learner.advantages.gae import gae
from redline.learner.advantages.returns import Float64
from redline.learner.settings import CriticSettings
from redline.learner.signal import Penalties
from redline.replay.records import TrainingSample, Trajectory, TrajectoryStatus

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """The k steps and p states of one sample."""

    states: Places  # (p,) ascending
    before: Places  # (k,) index into states of the state before each step
    after: Places  # (j,) index into states of the state after a turn that another one follows
    onward: Places  # (j,) the step that follows each of those
    last: int
    """Index into states of the state after the last step; -1 when the episode ended there."""
    rewards: Float64  # (k,)
    step_of_token: Places  # (n,) the step that each action token belongs to

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Which states have a target, (p,)."""
        marks = np.zeros(len(self.states), dtype=np.bool_)
        marks[self.before] = marks[self.after] = True
        return marks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What comes of a course and the values of its states."""

    advantages: Float64  # (k,)
    targets: Float64  # (p,) 0 where a state has none


def make_course(
    sample: TrainingSample,
    trajectory: Trajectory,
    settings: CriticSettings,
    penalties: Penalties | None = None,
) -> Course:
    """The course of a trajectory and the sample that was made of it."""
    tokens = np.flatnonzero(sample.loss_mask)
    turns = sample.turn_index[tokens].astype(np.int64)
    starts = np.flatnonzero(np.diff(turns, prepend=-1))  # first token of each turn with tokens
    ends = np.append(starts[1:], len(tokens)) - 1
    by_token = settings.level == "token"
    first = np.arange(len(tokens)) if by_token else starts
    decisions, afterwards = tokens[first] - 1, tokens[ends]
    cut = is_cut(trajectory, settings)
    states = np.unique(np.concatenate([decisions, afterwards if cut else afterwards[:-1]]))
    step_of_token = np.searchsorted(first, np.arange(len(tokens)), side="right") - 1
    return Course(
        states=states,
        before=np.searchsorted(states, decisions),
        after=np.searchsorted(states, afterwards[:-1]),
        onward=step_of_token[starts[1:]],
        last=int(np.searchsorted(states, afterwards[-1])) if cut else -1,
        rewards=_rewards(trajectory, turns, ends, step_of_token, penalties),
        step_of_token=step_of_token,
    )


def is_cut(trajectory: Trajectory, settings: CriticSettings) -> bool:
    """Whether an episode would have gone on, had there been room."""
    if trajectory.status is TrajectoryStatus.TURN_LIMIT:
        return settings.bootstrap_turn_limit
    return trajectory.status is TrajectoryStatus.TRUNCATED


def _rewards(
    trajectory: Trajectory,
    turns: Places,  # (n,) turn of each action token
    ends: Places,  # (j,) last action token of each turn that has any
    step_of_token: Places,  # (n,)
    penalties: Penalties | None,
) -> Float64:
    """A turn's reward comes with its last token; without tokens, with the turn before."""
    rewards = np.zeros(int(step_of_token[-1]) + 1)
    present = turns[ends]
    for index, turn in enumerate(trajectory.turns):
        place = max(int(np.searchsorted(present, index, side="right")) - 1, 0)
        rewards[step_of_token[ends[place]]] += turn.reward
    known = None if penalties is None else penalties.get(trajectory.trajectory_id)
    if known is not None:
        np.subtract.at(rewards, step_of_token, np.concatenate(known))
    return rewards


def judge(course: Course, values: Float64, settings: CriticSettings) -> Judgement:
    """Advantages of the steps and targets of the states, from the values (p,) of the states."""
    own = values[course.before]
    last = float(values[course.last]) if course.last >= 0 else 0.0
    advantages = gae(
        course.rewards, own, last, gamma=settings.gamma, gae_lambda=settings.gae_lambda
    )
    targets = np.zeros(len(course.states))
    returns = advantages + own
    targets[course.after] = returns[course.onward]
    targets[course.before] = returns
    return Judgement(advantages=advantages, targets=targets)
