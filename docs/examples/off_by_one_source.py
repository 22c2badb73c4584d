"""A task source: sums that count one number too few.

redline train --config mine.yaml plugins=[off_by_one_source] tasks.train_file=off_by_one:500
"""

from collections.abc import Iterator, Mapping
from typing import Any

from redline.dsl.readers.sources import SOURCES


def off_by_one(count: str) -> Iterator[Mapping[str, Any]]:
    """As many tasks as asked for, as objects with the fields of a task file."""
    if not count.isdecimal():
        raise OSError(f"off_by_one:{count}: expected a number of tasks")
    for number in range(1, int(count) + 1):
        right = f"def total(n):\n    return sum(range(n + {number}))\n"
        yield {
            "task_id": f"off_by_one/{number}",
            "prompt": f"Add up the numbers below n + {number}.",
            "broken": right.replace(f"n + {number}", f"n + {number - 1}"),
            "reference": right,
            "entry_point": "total",
            "tests": [f"assert total({n}) == {sum(range(n + number))}" for n in (1, 2, 5)],
            "source": "off_by_one",
        }


SOURCES.add("off_by_one", off_by_one)
