"""Makes repair tasks from the built-in families: a reference, its tests, a broken version of it.

Everything is a function of the arguments: the same count, seed, split and edits give the same
tasks, on every machine. Broken programs are run by a judge of the caller, in few large batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from redline.dsl.corruption import corrupt
from redline.dsl.endless import may_run_forever
from redline.dsl.families import FAMILIES, Draft, Family
from redline.dsl.families.asserts import make_tests
from redline.dsl.generated import MAX_ROUNDS, BatchJudge, GeneratedTask, Seen, fill_slots
from redline.dsl.settings import CorruptionSettings
from redline.dsl.splits import HELDOUT_FAMILY, SPLITS, TRAIN, reference_split
from redline.dsl.tasks import RepairTask

_DONORS = 256
"""Programs that lend lines and words to one set of tasks."""
_DONORS_PER_TASK = 8
_MAX_DRAWS = 2_000
"""Programs drawn for one task until one is of the split."""
_MAX_CANDIDATES = 50
"""Draws for one task in one round, before its place is left to the next."""


class GenerationError(ValueError):
    """The asked number of different tasks cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What one call of `generate_tasks` asks for."""

    seed: int
    split: str
    edits: tuple[int, int]
    families: tuple[Family, ...]
    donors: tuple[str, ...]
    settings: CorruptionSettings


def generate_tasks(
    *,
    count: int,
    seed: int,
    split: str = TRAIN,
    edits: tuple[int, int] = (1, 5),
    families: Sequence[str] | None = None,
    judge: BatchJudge,
    settings: CorruptionSettings | None = None,
) -> list[GeneratedTask]:
    """Make `count` different tasks of one split whose broken programs fail.

    `edits` bounds the number of random edits of a task, both ends included. `families` names
    families or kinds to draw from (default: all of the split). No two tasks of a call share both
    reference and broken program. Raises ValueError for arguments without sense and
    GenerationError when the families do not hold that many tasks.
    """
    plan = _Plan(
        seed=seed,
        split=split,
        edits=checked_edits(edits),
        families=_families_of(split, families, seed),
        donors=_donors(seed),
        settings=settings or CorruptionSettings(),
    )
    if count < 0:
        raise ValueError(f"count: got {count}, expected 0 or more")
    made = fill_slots(count, lambda *place: _new_candidate(plan, *place), judge)
    if len(made) < count:
        raise GenerationError(
            f"{count} different tasks of split {split!r} with seed {seed}: got {len(made)} after "
            f"{MAX_ROUNDS} rounds; ask for fewer, or for more families or edits"
        )
    return made


def checked_edits(edits: tuple[int, int]) -> tuple[int, int]:
    """Bounds of a number of edits that make sense; raises ValueError for others."""
    low, high = edits
    if not 1 <= low <= high:
        raise ValueError(f"edits: got {low} to {high}, expected 1 <= least <= most")
    return low, high


def _families_of(split: str, names: Sequence[str] | None, seed: int) -> tuple[Family, ...]:
    """Families of the split in a shuffled order; checks the names."""
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}, expected one of {', '.join(SPLITS)}")
    of_split = [f for f in FAMILIES.values() if f.held_out == (split == HELDOUT_FAMILY)]
    wanted = [f.name for f in of_split] if names is None else list(names)
    known = {f.name for f in of_split} | {f.kind for f in of_split}
    if not wanted or not known.issuperset(wanted):
        raise ValueError(
            f"families of split {split!r}: got {sorted(set(wanted) - known) or 'none'}, expected "
            f"some of {', '.join(sorted(known))}"
        )
    chosen = [family for family in of_split if {family.name, family.kind} & set(wanted)]
    Random(f"families:{seed}").shuffle(chosen)
    return tuple(chosen)


def _donors(seed: int) -> tuple[str, ...]:
    """References that lend lines: of trained families and of the training split only."""
    rng = Random(f"donors:{seed}")
    trained = [family for family in FAMILIES.values() if not family.held_out]
    return tuple(_draw(rng.choice(trained), rng, TRAIN).reference for _ in range(_DONORS))


def _draw(family: Family, rng: Random, split: str) -> Draft:
    """A program of the family whose reference belongs to the split."""
    for _ in range(_MAX_DRAWS):
        draft = family.draft(rng)
        if split == HELDOUT_FAMILY or reference_split(draft.reference) == split:
            return draft
    raise GenerationError(f"family {family.name!r} gave no reference of split {split!r}")


def _new_candidate(plan: _Plan, slot: int, attempt: int, seen: Seen) -> GeneratedTask | None:
    """A task for one place of the answer, not judged yet, and none of `seen`, where it is noted.

    None after too many draws in vain.
    """
    rng = Random(f"{plan.split}:{plan.seed}:{slot}:{attempt}")
    for _ in range(_MAX_CANDIDATES):
        made = _candidate(plan, slot, rng)
        if made is not None and (pair := (made.task.reference, made.task.broken)) not in seen:
            seen.add(pair)
            return made
    return None


def _candidate(plan: _Plan, slot: int, rng: Random) -> GeneratedTask | None:
    """One draw of a task; None if its tests tell too little or it may run forever."""
    family = plan.families[slot % len(plan.families)]
    draft = _draw(family, rng, plan.split)
    tests = make_tests(draft)
    if tests is None:
        return None
    donors = [
        donor for donor in rng.sample(plan.donors, _DONORS_PER_TASK) if donor != draft.reference
    ]
    num_edits = rng.randint(*plan.edits)
    corruption = corrupt(draft.reference, rng, num_edits, donors, plan.settings)
    if may_run_forever(corruption.broken, draft.reference):
        return None
    task = RepairTask(
        task_id=f"{plan.split}-{plan.seed}-{slot:06d}",
        prompt=draft.prompt,
        broken=corruption.broken,
        tests=tests,
        reference=draft.reference,
        entry_point=draft.entry_point,
        split=plan.split,
        source=f"builtin/{family.name}",
    )
    return GeneratedTask(task=task, repair=corruption.repair, kinds=corruption.kinds)
