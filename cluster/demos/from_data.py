"""`redline tasks demos --data`: what was asked for, checked, and turned into work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redline.cluster.checks.references import drop_failing_references
from redline.cluster.demos.made import Encode
from redline.cluster.demos.plan import CORRUPTION, DIFF, METHODS, DemoPlan
from redline.cluster.demos.run import DemoWork, make_demonstration_file
from redline.cluster.errors import UserError
from redline.cluster.judging import LocalJudge, local_workers
from redline.cluster.ray_address import address_of
from redline.cluster.task_supply import read_user_file
from redline.dsl.corruption import ORDERS
from redline.dsl.settings import CorruptionSettings
from redline.dsl.splits import count_splits
from redline.dsl.task_files import TaskFile
from redline.dsl.tasks import RepairTask
from redline.sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from redline.cluster.sandbox_fleet import RaySandboxRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """The options of the command."""

    data: str
    split: str
    seed: int
    edits: tuple[int, int]
    per_task: int
    method: str | None
    mix: str
    order: str
    keep_passing: bool
    tokenizer: str | None
    max_tokens: int | None
    limit: int | None
    workers: int | None
    """Fork servers, with `ray` those of each actor."""
    ray: str | None
    """Address of a Ray cluster or `local`; None means fork servers of this process."""
    actors: int | None
    sandbox: SandboxSettings
    strict: bool


def demonstrate_data(output: Path, asked: DataRequest) -> dict[str, Any]:
    """Make the file and return its figures; UserError for options or data that cannot work."""
    if output.suffix not in (".jsonl", ".arrow"):
        raise UserError(f"--output {output}: expected a name ending in .arrow or .jsonl")
    settings = _corruption(asked)
    ray = _ray(asked)
    file = read_user_file(asked.data)
    method = _method(asked, file)
    tasks = _chosen(asked, file.tasks, method)
    plan = DemoPlan(
        method=method,
        per_task=asked.per_task,
        edits=asked.edits,
        seed=asked.seed,
        keep_passing=asked.keep_passing,
        tokenizer=asked.tokenizer,
        max_tokens=asked.max_tokens,
        corruption=settings,
        sandbox=asked.sandbox,
    )
    encode = _encoder(asked)
    judge = LocalJudge(asked.sandbox)
    tasks = drop_failing_references(tasks, judge, origin=asked.data, strict=asked.strict)
    work = DemoWork(
        tasks=tuple(tasks),
        plan=plan,
        workers=asked.workers or local_workers(),
        ray=ray,
        encode=encode,
    )
    return make_demonstration_file(output, work)


def _ray(asked: DataRequest) -> "RaySandboxRequest | None":
    if asked.ray is None:
        if asked.actors is not None:
            raise UserError("--actors are workers of a Ray cluster: give its address with --ray")
        return None
    from redline.cluster.sandbox_fleet import RaySandboxRequest

    return RaySandboxRequest(
        address=address_of(asked.ray),
        actors=asked.actors,
        workers=asked.workers or min(asked.sandbox.workers_per_actor, local_workers()),
    )


def _corruption(asked: DataRequest) -> CorruptionSettings:
    low, high = asked.edits
    if low > high:
        raise UserError(f"--edits-min {low} is above --edits-max {high}")
    if asked.order not in ORDERS:
        raise UserError(f"--order {asked.order!r}: expected one of {', '.join(ORDERS)}")
    try:
        delete, add, line, word = (float(share) for share in asked.mix.split(","))
    except ValueError as error:
        raise UserError(
            f"--mix {asked.mix!r}: expected four numbers with commas between, such as 1,1,1,1 "
            "(delete, add, replace_line, replace_word)"
        ) from error
    if min(delete, add, line, word) < 0 or delete + add + line + word <= 0:
        raise UserError(f"--mix {asked.mix!r}: expected numbers >= 0 that are not all 0")
    return CorruptionSettings(
        delete=delete, add=add, replace_line=line, replace_word=word, order=asked.order
    )


def _method(asked: DataRequest, file: TaskFile) -> str:
    """How demonstrations are made: as asked, else as the format gives it."""
    if asked.method is None:
        return CORRUPTION if file.format.references_only else DIFF
    if asked.method not in METHODS:
        raise UserError(f"--by {asked.method!r}: expected one of {', '.join(METHODS)}")
    if asked.method == DIFF and file.format.references_only:
        raise UserError(
            f"--by diff: {asked.data} holds {file.format.name}s, which have no broken program; "
            "use --by corruption"
        )
    return asked.method


def _chosen(asked: DataRequest, tasks: Sequence[RepairTask], method: str) -> list[RepairTask]:
    """The tasks of the split that have a reference, thinned out to the limit."""
    of_split = [task for task in tasks if task.split == asked.split]
    if not of_split:
        raise UserError(
            f"{asked.data}: no task of split {asked.split!r}, it has {count_splits(tasks)}; "
            "choose one with --split"
        )
    chosen = [task for task in of_split if task.reference is not None]
    if not chosen:
        raise UserError(f"{asked.data}: no task of split {asked.split!r} has a reference")
    if asked.limit is None or asked.limit >= len(chosen):
        return chosen
    return [chosen[number * len(chosen) // asked.limit] for number in range(asked.limit)]


def _encoder(asked: DataRequest) -> Encode | None:
    if asked.max_tokens is not None and asked.tokenizer is None:
        raise UserError("--max-tokens counts tokens: give the --tokenizer that makes them")
    if asked.tokenizer is None:
        return None
    from redline.cluster.demos.encoding import open_encoder

    return open_encoder(asked.tokenizer)
