"""Waiting lines, one for each client, served in turn.

A sampler that hands in a thousand programs at once must not keep another one's single program
waiting behind them.
"""

import collections
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First come first served within a client, round robin between clients.

    A client is at the end of the round after each of its turns, and out of it while it has nothing
    waiting, so `pop` takes the same time however many clients there were.
    """

    def __init__(self) -> None:
        self._lines: collections.OrderedDict[str, collections.deque[T]] = collections.OrderedDict()
        self._length = 0

    def push(self, client: str, item: T) -> None:
        """Put an item at the end of the client's line."""
        self._lines.setdefault(client, collections.deque()).append(item)
        self._length += 1

    def pop(self) -> T:
        """Take the first item of the client whose turn it is; raises IndexError if none waits."""
        if not self._length:
            raise IndexError("nothing waits")
        client, line = next(iter(self._lines.items()))
        item = line.popleft()
        self._length -= 1
        if line:
            self._lines.move_to_end(client)
        else:
            del self._lines[client]
        return item

    def __len__(self) -> int:
        return self._length
