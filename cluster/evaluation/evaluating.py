"""The evaluation of a policy: its arms, each greedy and sampled, and the file that keeps one.

coe        edits the program, command by command: what is trained
direct     writes the whole program at once
thinking   writes free text first, within a budget of tokens, then the whole program
"""

import dataclasses
import functools
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from redline.actors.all_or_cancel import all_or_cancel
from redline.actors.evaluation import GroupSampler, evaluate
from redline.actors.evaluation_summary import TURNS, EvalResult, compare, summarise
from redline.actors.intervals import Difference
from redline.actors.settings import AnswerSettings
from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Phase
from redline.cluster.evaluation.archive import EvaluationArchive
from redline.cluster.files import write_atomically
from redline.dsl.tasks import RepairTask
from redline.replay.records import Trajectory

T = TypeVar("T")
COE, DIRECT, THINKING = "coe", "direct", "thinking"
ARMS = (COE, DIRECT, THINKING)
KINDS = ("greedy", "sampled")
"""How the episodes of an arm are sampled: always the likeliest token, or at a temperature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Solve rates on the held-out tasks: always the likeliest token, and sampled."""

    greedy: EvalResult
    sampled: EvalResult

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(dataclasses.asdict(self)) + "\n")

    @staticmethod
    def load(path: Path) -> "Evaluation | None":
        """What `save` wrote; None when there is no such file."""
        if not path.is_file():
            return None
        return rebuild(Evaluation, json.loads(path.read_text(encoding="utf-8")))

    def summary(self) -> str:
        """Both rates in one line."""
        arms = (("greedy", self.greedy), ("sampled", self.sampled))
        return ", ".join(
            f"{name} {arm.rate.rate:.1%} ({arm.rate.ci_low:.1%} to {arm.rate.ci_high:.1%})"
            for name, arm in arms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What training did to both arms."""

    greedy: Difference
    sampled: Difference

    @staticmethod
    def of(before: Evaluation, after: Evaluation) -> "Comparison":
        """Differences on the tasks that both evaluations hold."""
        return Comparison(
            greedy=compare(before.greedy, after.greedy),
            sampled=compare(before.sampled, after.sampled),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm's evaluation."""

    arm: str
    found: Evaluation


class SamplerSource(Protocol):
    """Whoever has samplers."""

    def each(self) -> Sequence[GroupSampler]:
        """Every sound sampler by itself."""
        ...


class NoSamplers:
    """For an evaluation whose groups are all kept already."""

    def each(self) -> Sequence[GroupSampler]:
        """None."""
        return []


def group_names(arms: Sequence[str], tasks: int) -> set[str]:
    """Ids of all groups of an evaluation."""
    return {f"{arm}-{kind}/{i}" for arm in arms for kind in KINDS for i in range(tasks)}


async def evaluate_arms(
    samplers: SamplerSource,
    tasks: Sequence[RepairTask],
    config: RunConfig,
    arms: Sequence[str],
    phase: Phase,
    archive: EvaluationArchive | None = None,
) -> list[ArmResult]:
    """Evaluate several arms on the same tasks, one after the other."""
    return [
        ArmResult(
            arm=arm,
            found=(await evaluate_policy(samplers, tasks, config, phase, arm, archive))[0],
        )
        for arm in arms
    ]


async def evaluate_policy(
    samplers: SamplerSource,
    tasks: Sequence[RepairTask],
    config: RunConfig,
    phase: Phase,
    arm: str = COE,
    archive: EvaluationArchive | None = None,
) -> tuple[Evaluation, list[Trajectory]]:
    """Evaluate one arm on the first `eval.tasks` tasks; returns the rates and every episode."""
    chosen = spread(tasks, config.eval.tasks)
    done = dict.fromkeys(KINDS, 0)

    async def play(kind: str, temperature: float, samples: int) -> list[Trajectory]:
        at_once = max(1, config.rollout.concurrent_episodes // samples)
        return await evaluate(
            samplers.each(),
            chosen,
            name=f"{arm}-{kind}",
            samples=samples,
            sampling=dataclasses.replace(config.rollout.sampling, temperature=temperature),
            max_turns=config.eval.max_turns,
            answering=answering(arm, config),
            groups_at_once=min(at_once, len(chosen)),
            known=None if archive is None else archive.known,
            keep=None if archive is None else archive.keep,
            progress=functools.partial(_tell, phase, arm, done, kind),
        )

    # Side by side: the last long episodes of the one leave the engine to the other.
    greedy, sampled = await all_or_cancel(
        [play("greedy", 0.0, 1), play("sampled", config.eval.temperature, config.eval.samples)]
    )
    turns = turns_told(config.eval.max_turns)
    found = Evaluation(
        greedy=summarise(greedy, chosen, turns=turns),
        sampled=summarise(sampled, chosen, turns=turns),
    )
    return found, greedy + sampled


def answering(arm: str, config: RunConfig) -> AnswerSettings | None:
    """The budgets of an arm that writes whole programs; None for the editor."""
    if arm == COE:
        return None
    return AnswerSettings(
        answer_tokens=config.eval.answer_tokens,
        thinking_tokens=config.eval.thinking_tokens if arm == THINKING else 0,
    )


def turns_told(most: int) -> list[int]:
    """Numbers of allowed turns to tell apart when an episode has at most so many."""
    return [turns for turns in TURNS if turns < most] + [most]


def _tell(
    phase: Phase, arm: str, done: dict[str, int], kind: str, tasks_done: int, total: int
) -> None:
    """Show how many tasks of each kind are done."""
    done[kind] = tasks_done
    counts = ", ".join(f"{count} {name}" for name, count in done.items())
    phase.wait_for([f"{arm}, done of {total} tasks: {counts}"])


def spread(tasks: Sequence[RepairTask], count: int) -> list[RepairTask]:
    """`count` tasks taken evenly over the whole file, so that no split is left out."""
    if count >= len(tasks):
        return list(tasks)
    return [tasks[index * len(tasks) // count] for index in range(count)]


def rebuild(kind: type[T], fields: dict[str, Any]) -> T:
    """A dataclass from what `dataclasses.asdict` made of it and JSON of that."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: _rebuild_value(hints[name], value) for name, value in fields.items()})


def _rebuild_value(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return rebuild(hint, value)
    if typing.get_origin(hint) is tuple:
        return tuple(_rebuild_value(typing.get_args(hint)[0], entry) for entry in value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return value
