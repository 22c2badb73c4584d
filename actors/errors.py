"""What can go wrong on the rollout side, told apart by what has to happen next."""

from functools import partial
from typing import Any


class EngineError(RuntimeError):
    """The engine cannot go on: its worker must be replaced."""


class WeightMismatch(EngineError):
    """A weight update does not fit the engine, or did not arrive as it was sent.

    `poisoned` tells the two apart. False: the update was refused before anything was touched and
    the engine serves its old version. True: the weights in the engine are unknown; the worker must
    be replaced and never resumed.
    """

    def __init__(self, message: str, *, poisoned: bool) -> None:
        super().__init__(message)
        self.poisoned = poisoned

    def __reduce__(self) -> tuple[Any, ...]:
        """Crosses processes whole: by itself an exception is made again from its message alone."""
        return partial(WeightMismatch, poisoned=self.poisoned), self.args


class StartError(EngineError):
    """The engine could not be started with these settings on this machine."""
