"""Which tasks may be trained on.

Of the built-in ones the text of the reference alone decides, so two runs with other seeds, sizes
or families agree: no held-out reference is ever a training reference. Tasks of files carry the
split that they were published with, and those of an evaluation split are never trained on.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from redline.dsl.tasks import RepairTask

TRAIN: Final = "train"
HELDOUT: Final = "heldout"
HELDOUT_FAMILY: Final = "heldout_family"
SPLITS: Final = (TRAIN, HELDOUT, HELDOUT_FAMILY)

TEST: Final = "test"
PROMPT: Final = "prompt"
"""Split that holds the examples of few-shot prompts."""
EVALUATION_SPLITS: Final = frozenset({TEST, "validation", PROMPT, HELDOUT, HELDOUT_FAMILY})
"""Splits that nothing is trained on."""

HELDOUT_SHARE: Final = 0.12
"""Share of the references of trained families that are held out."""
_SALT: Final = b"redline/split/1"  # another salt is another benchmark


def reference_split(reference: str) -> str:
    """`train` or `heldout` for a reference of a family that is trained on."""
    digest = blake2b(reference.encode(), digest_size=8, salt=_SALT).digest()
    return HELDOUT if int.from_bytes(digest) < HELDOUT_SHARE * 2**64 else TRAIN


class SplitError(ValueError):
    """The tasks of a file cannot serve what they were asked for; one line."""


def tasks_to_train_on(tasks: Sequence[RepairTask], split: str | None = None) -> list[RepairTask]:
    """The tasks of `split`, or of every split that is not for evaluation.

    Raises SplitError for an evaluation split and when no task is left.
    """
    if split in EVALUATION_SPLITS:
        raise SplitError(
            f"split {split!r} is for evaluation and never trained on; use a training split, "
            "such as 'train'"
        )
    chosen = [
        task
        for task in tasks
        if (task.split not in EVALUATION_SPLITS if split is None else task.split == split)
    ]
    if not chosen:
        wanted = "that may be trained on" if split is None else f"of split {split!r}"
        raise SplitError(f"no task {wanted}, the file has {count_splits(tasks)}")
    return chosen


def tasks_to_evaluate_on(tasks: Sequence[RepairTask], split: str | None = None) -> list[RepairTask]:
    """The tasks of `split`; without one those of split `test`, or all if there are none.

    Raises SplitError when no task is left.
    """
    wanted = TEST if split is None else split
    chosen = [task for task in tasks if task.split == wanted]
    if chosen:
        return chosen
    if split is None:
        return list(tasks)
    raise SplitError(f"no task of split {split!r}, the file has {count_splits(tasks)}")


def count_splits(tasks: Sequence[RepairTask]) -> str:
    """The splits of some tasks with their sizes, such as `500 of 'test', 90 of 'validation'`."""
    counts = Counter(task.split for task in tasks)
    return ", ".join(f"{count} of {split!r}" for split, count in counts.most_common()) or "none"
