"""What an evaluation found: the share of tasks solved, and by what it was solved.

A task counts with the share of its episodes whose program passes; episodes that the system cut off
are left out. One run with the largest number of turns also answers for fewer turns and for fewer
tokens, since the program after turn k does not depend on what came later.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from redline.actors.intervals import Difference, Rate, paired_difference, pass_at_k, wilson
from redline.dsl.tasks import RepairTask
from redline.replay.records import Trajectory, TrajectoryStatus

TURNS = (1, 2, 4, 8)
"""Numbers of allowed turns that a result tells apart."""
_FEWEST_TOKENS = 8
"""Smallest budget of sampled tokens that a result tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRate:
    """Solve rate on one family of tasks."""

    family: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsRate:
    """Solve rate when an episode is cut after `turns` turns."""

    turns: int
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRate:
    """Solve rate when an episode is cut after `tokens` sampled tokens."""

    tokens: int
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCount:
    """Episodes that ended in one way."""

    status: TrajectoryStatus
    episodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthCount:
    """Episodes that took one number of turns."""

    turns: int
    episodes: int
    solved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassAtK:
    """Mean unbiased pass@k over tasks (Chen et al. 2021), with the 95 % interval over tasks."""

    k: int
    value: float
    ci_low: float = 0.0
    ci_high: float = 1.0
    tokens: float = 0.0
    """Mean number of tokens sampled for a task with k samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScore:
    """How one task went."""

    task_id: str
    family: str
    episodes: int
    """Episodes that came to an end of their own; aborted ones are not counted."""
    solved: int

    @property
    def share(self) -> float:
        """Share of episodes that solved the task."""
        return self.solved / self.episodes


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """One arm of an evaluation."""

    rate: Rate
    scores: tuple[TaskScore, ...]
    by_family: tuple[FamilyRate, ...]
    by_turns: tuple[TurnsRate, ...]
    pass_at: tuple[PassAtK, ...]
    aborted: int
    """Episodes without a result."""
    num_turns: float
    """Mean length of an episode."""
    num_tokens: float = 0.0
    """Mean number of tokens sampled in an episode."""
    by_tokens: tuple[TokensRate, ...] = ()
    by_status: tuple[StatusCount, ...] = ()
    by_length: tuple[LengthCount, ...] = ()


def summarise(
    trajectories: Iterable[Trajectory],
    tasks: Iterable[RepairTask],
    *,
    turns: Sequence[int] = TURNS,
    ks: Sequence[int] | None = None,
) -> EvalResult:
    """Turn trajectories into rates; `ks` defaults to the powers of two up to the samples.

    Raises ValueError for a trajectory of a task that is not among `tasks`.
    """
    families = {task.task_id: task.family for task in tasks}
    episodes, aborted = _by_task(trajectories, families)
    scores = tuple(
        TaskScore(
            task_id=task_id,
            family=families[task_id],
            episodes=len(group),
            solved=sum(t.solved for t in group),
        )
        for task_id, group in episodes.items()
    )
    fewest = min((s.episodes for s in scores), default=0)
    every = [t for group in episodes.values() for t in group]
    tokens = _mean(_mean(sampled_tokens(t) for t in group) for group in episodes.values())
    return EvalResult(
        rate=_rate(s.share for s in scores),
        scores=scores,
        by_family=_family_rates(scores),
        by_turns=tuple(TurnsRate(turns=k, rate=_rate_after(episodes, k)) for k in turns),
        pass_at=_pass_at(scores, ks if ks is not None else _powers_of_two(fewest), tokens),
        aborted=aborted,
        num_turns=_mean(len(t.turns) for t in every),
        num_tokens=_mean(sampled_tokens(t) for t in every),
        by_tokens=_token_rates(episodes, every),
        by_status=_status_counts(every),
        by_length=_length_counts(every),
    )


def compare(before: EvalResult, after: EvalResult, *, seed: int = 0) -> Difference:
    """Difference on the tasks that both results hold; raises ValueError when there is none."""
    old = {s.task_id: s.share for s in before.scores}
    new = {s.task_id: s.share for s in after.scores}
    common = [task_id for task_id in old if task_id in new]
    return paired_difference([old[i] for i in common], [new[i] for i in common], seed=seed)


def solved_after(trajectory: Trajectory, turns: int) -> bool:
    """Whether the program passes every test after the first `turns` turns.

    A turn without a verdict left the program as it was.
    """
    passed = False
    for turn in trajectory.turns[:turns]:
        if turn.verdict is not None:
            passed = turn.verdict.passed
    return passed


def solved_within(trajectory: Trajectory, tokens: int) -> bool:
    """Whether the program passes every test after the turns that so many tokens pay for."""
    ends = accumulate(len(turn.action_token_ids) for turn in trajectory.turns)
    return solved_after(trajectory, sum(end <= tokens for end in ends))


def sampled_tokens(trajectory: Trajectory) -> int:
    """Tokens that the policy sampled: what the attempt cost at test time."""
    return sum(len(turn.action_token_ids) for turn in trajectory.turns)


def _by_task(
    trajectories: Iterable[Trajectory], families: Mapping[str, str]
) -> tuple[dict[str, list[Trajectory]], int]:
    """Finished episodes of each task, and how many were aborted."""
    episodes: dict[str, list[Trajectory]] = defaultdict(list)
    aborted = 0
    for trajectory in trajectories:
        if trajectory.task_id not in families:
            raise ValueError(
                f"trajectory {trajectory.trajectory_id} is of task {trajectory.task_id}, "
                "which is not among the evaluated tasks"
            )
        if trajectory.status is TrajectoryStatus.ABORTED:
            aborted += 1
        else:
            episodes[trajectory.task_id].append(trajectory)
    return episodes, aborted


def _rate(shares: Iterable[float]) -> Rate:
    values = list(shares)
    return wilson(sum(values), len(values))


def _rate_after(episodes: Mapping[str, Sequence[Trajectory]], turns: int) -> Rate:
    return _rate(
        sum(solved_after(t, turns) for t in group) / len(group) for group in episodes.values()
    )


def _family_rates(scores: Iterable[TaskScore]) -> tuple[FamilyRate, ...]:
    shares: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        shares[score.family].append(score.share)
    return tuple(FamilyRate(family=f, rate=_rate(shares[f])) for f in sorted(shares))


def _pass_at(scores: Sequence[TaskScore], ks: Sequence[int], tokens: float) -> tuple[PassAtK, ...]:
    """`tokens` is the mean cost of one sample of a task."""
    made = []
    for k in ks:
        rate = _rate(pass_at_k(s.episodes, s.solved, k) for s in scores)
        made.append(
            PassAtK(
                k=k, value=rate.rate, ci_low=rate.ci_low, ci_high=rate.ci_high, tokens=k * tokens
            )
        )
    return tuple(made)


def _token_rates(
    episodes: Mapping[str, Sequence[Trajectory]], every: Sequence[Trajectory]
) -> tuple[TokensRate, ...]:
    """Rates at budgets that double, up to what the longest episode spent."""
    most = max((sampled_tokens(t) for t in every), default=0)
    budgets = [_FEWEST_TOKENS * 2**i for i in range(32) if _FEWEST_TOKENS * 2**i < 2 * most]
    return tuple(
        TokensRate(
            tokens=budget,
            rate=_rate(
                _mean(solved_within(t, budget) for t in group) for group in episodes.values()
            ),
        )
        for budget in budgets
    )


def _status_counts(every: Iterable[Trajectory]) -> tuple[StatusCount, ...]:
    counts = Counter(t.status for t in every)
    return tuple(StatusCount(status=status, episodes=n) for status, n in counts.most_common())


def _length_counts(every: Iterable[Trajectory]) -> tuple[LengthCount, ...]:
    counts: Counter[int] = Counter()
    solved: Counter[int] = Counter()
    for trajectory in every:
        counts[len(trajectory.turns)] += 1
        solved[len(trajectory.turns)] += trajectory.solved
    return tuple(LengthCount(turns=k, episodes=counts[k], solved=solved[k]) for k in sorted(counts))


def _mean(values: Iterable[float]) -> float:
    """Mean of numbers; 0 of none."""
    listed = list(values)
    return sum(listed) / max(1, len(listed))


def _powers_of_two(largest: int) -> list[int]:
    return [2**i for i in range(largest.bit_length())]
