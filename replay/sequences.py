"""Sets of sequence numbers as sorted ranges: compact, as groups are finished nearly in order."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class SequenceSet:
    """A set of non-negative integers kept as disjoint ranges, first and last included."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add_range(first, last)

    @staticmethod
    def of(numbers: Iterable[int]) -> "SequenceSet":
        """The set of these numbers."""
        return SequenceSet((number, number) for number in numbers)

    def add_range(self, first: int, last: int) -> None:
        """Add every number from `first` to `last`, both included."""
        if not 0 <= first <= last:
            raise ValueError(f"range {first}..{last}: expected 0 <= first <= last")
        start = bisect_right(self._lasts, first - 2) if first > 1 else 0
        stop = bisect_right(self._firsts, last + 1)
        if start < stop:
            first = min(first, self._firsts[start])
            last = max(last, self._lasts[stop - 1])
        self._firsts[start:stop] = [first]
        self._lasts[start:stop] = [last]

    def update(self, other: "SequenceSet") -> None:
        """Add every number of `other`."""
        for first, last in other.ranges():
            self.add_range(first, last)

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges in rising order, first and last included."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def copy(self) -> "SequenceSet":
        """An independent copy."""
        return SequenceSet(self.ranges())

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges():
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SequenceSet) and self.ranges() == other.ranges()

    def __repr__(self) -> str:
        return f"SequenceSet({self.ranges()})"
