"""What `redline tasks wrong` is asked for, checked before anything starts, as work."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redline.actors.settings import SamplingSettings
from redline.cluster.checks.models import find_model
from redline.cluster.checks.references import drop_failing_references
from redline.cluster.config import RunConfig
from redline.cluster.errors import UserError
from redline.cluster.evaluation.run import policy_path
from redline.cluster.judging import LocalJudge, local_workers
from redline.cluster.load import load_config
from redline.cluster.local_engine import engine_overrides
from redline.cluster.provenance import fingerprint_of_policy, fingerprint_of_tasks
from redline.cluster.ray_address import address_of
from redline.cluster.task_supply import read_user_tasks
from redline.dsl.splits import EVALUATION_SPLITS, PROMPT, count_splits
from redline.dsl.tasks import RepairTask

_EPISODES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRequest:
    """The options of the command."""

    data: str
    split: str
    policy: str
    samples: int
    shots: int
    shots_data: str | None
    """Where the examples come from; None means `data`."""
    shots_split: str
    sampling: SamplingSettings
    """With a seed; `max_command_tokens` has no meaning here."""
    max_tokens: int
    """Of one program."""
    limit: int | None
    keep_unfinished: bool
    strict: bool
    ray: str | None
    """Address of a Ray cluster or `local`; None means an engine of this process."""
    config: str
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongWork:
    """The same with what it names: tasks, examples, a model that is there, settings."""

    asked: WrongRequest
    tasks: tuple[RepairTask, ...]
    examples: tuple[RepairTask, ...]
    """One more than the shots where a task might be its own example."""
    model: str
    model_name: str
    config: RunConfig

    def examples_for(self, task: RepairTask) -> list[RepairTask]:
        """The examples of one task's prompt: never the task itself."""
        others = [example for example in self.examples if example.task_id != task.task_id]
        return others[: self.asked.shots]

    def describe(self) -> dict[str, Any]:
        """Everything that decides the outcome, as JSON values: equal for equal work."""
        asked = self.asked
        return {
            "policy": asked.policy,
            "weights": fingerprint_of_policy(self.model),
            "tasks": len(self.tasks),
            "tasks_fingerprint": fingerprint_of_tasks(self.tasks),
            "shots": asked.shots,
            "examples": [example.task_id for example in self.examples],
            "examples_fingerprint": fingerprint_of_tasks(self.examples),
            "samples": asked.samples,
            "sampling": asdict(asked.sampling),
            "max_tokens": asked.max_tokens,
            "max_context": self.config.rollout.engine.max_model_len,
            "dtype": self.config.rollout.engine.dtype,
            "chat": self.config.prompt.chat,
            "keep_unfinished": asked.keep_unfinished,
            "cpu_seconds": self.config.sandbox.cpu_seconds,
        }


def prepare(asked: WrongRequest) -> WrongWork:
    """Check the options, read the files, judge the references; raises UserError."""
    if asked.sampling.temperature == 0 and asked.samples > 1:
        raise UserError(
            f"--temperature 0 writes the same program each time, --samples is {asked.samples}: "
            "give --samples 1 or a higher temperature"
        )
    model = find_model(policy_path(asked.policy))
    config = load_config(asked.config, [*_fitted(asked, model), *asked.overrides])
    if asked.max_tokens >= config.rollout.engine.max_model_len:
        raise UserError(
            f"--max-tokens {asked.max_tokens} leaves no room for a prompt in "
            f"rollout.engine.max_model_len={config.rollout.engine.max_model_len} tokens"
        )
    tasks = _of_split(read_user_tasks(asked.data), asked.split, asked.data, "--split")
    examples = _examples(asked)
    judge = LocalJudge(config.sandbox)
    sound = drop_failing_references(tasks, judge, origin=asked.data, strict=asked.strict)
    return WrongWork(
        asked=asked,
        tasks=tuple(_thinned(sound, asked.limit)),
        examples=tuple(examples),
        model=model,
        model_name=Path(asked.policy).resolve().name,
        config=config,
    )


def _fitted(asked: WrongRequest, model: str) -> list[str]:
    """Settings of where the engine is; what is given as an override wins."""
    if asked.ray is not None:
        return [f"ray.address={address_of(asked.ray) or 'null'}"]
    workers = f"sandbox.workers_per_actor={local_workers()}"
    return [*engine_overrides(model, episodes=_EPISODES_AT_ONCE), workers]


def _examples(asked: WrongRequest) -> list[RepairTask]:
    """The first tasks with a reference of the split that lends examples, one to spare."""
    if asked.shots == 0:
        return []
    apart = {PROMPT, asked.split}
    if asked.shots_split in EVALUATION_SPLITS - apart:
        raise UserError(
            f"--shots-split {asked.shots_split}: it is for evaluation, and its programs must not "
            f"reach those of split {asked.split!r}; take examples of prompt or {asked.split}"
        )
    origin = asked.shots_data or asked.data
    lending = _of_split(read_user_tasks(origin), asked.shots_split, origin, "--shots-split")
    worked = [task for task in lending if task.reference is not None]
    needed = asked.shots + (asked.shots_split == asked.split)
    if len(worked) < needed:
        raise UserError(
            f"{origin}: {len(worked)} tasks of split {asked.shots_split!r} have a reference, "
            f"--shots {asked.shots} needs {needed}; give fewer shots or another --shots-data"
        )
    return worked[:needed]


def _of_split(
    tasks: Sequence[RepairTask], split: str, origin: str, option: str
) -> list[RepairTask]:
    chosen = [task for task in tasks if task.split == split]
    if not chosen:
        raise UserError(
            f"{origin}: no task of split {split!r}, it has {count_splits(tasks)}; choose one with "
            f"{option}"
        )
    return chosen


def _thinned(tasks: Sequence[RepairTask], limit: int | None) -> Sequence[RepairTask]:
    """At most `limit` tasks, spread over the file."""
    if limit is None or limit >= len(tasks):
        return tasks
    return [tasks[number * len(tasks) // limit] for number in range(limit)]
