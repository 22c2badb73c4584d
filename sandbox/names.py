"""Which names of a test are the candidate's.

A name that neither test nor setup binds is a builtin, or else the candidate's, with exceptions:
- The entry point is the candidate's even if a builtin has its name; so is a builtin that is the
  only open name of a test (`assert sum(10, 15) == 6` is about somebody's `sum`).
- Some helpers that tests leave to the program to import are always the judge's own, since their
  answer decides: `isclose` and the like, and standard modules by their name and a dot.

Loaded by the fork server; standard library only.
"""

import builtins
from dataclasses import dataclass
from typing import Any

from redline.sandbox.judge_side import JudgeSide
from redline.sandbox.standard import standard_module


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTest:
    """A test for the judge child."""

    text: str
    own_builtin: str | None
    """The only open name of the test, if that is all there is to call."""
    modules: list[str]
    """Open names that the test takes attributes of."""


class Names(dict[str, Any]):
    """The globals of setup or test; what is missing is asked from the candidate."""

    def __init__(
        self, known: dict[str, Any], entry_point: str | None, side: JudgeSide, *, keep: bool
    ) -> None:
        """`keep`: whether what was asked once is kept, as is right within one test."""
        super().__init__(known)
        self._keep = keep
        self._entry_point = entry_point
        self._side = side

    def __missing__(self, name: str) -> Any:
        if name.startswith("__") or (name in vars(builtins) and name != self._entry_point):
            raise KeyError(name)
        try:
            value = self._side.name(name)
        except NameError as error:
            raise self._side.note(NameError(f"name {name!r} is not defined")) from error
        if self._keep:
            self[name] = value
        return value

    def for_test(self, test: JudgedTest) -> "Names":
        """Names of one test, in which the setup's are known."""
        names = Names(self, test.own_builtin or self._entry_point, self._side, keep=True)
        names["__name__"] = "__main__"
        for name in test.modules:
            module = standard_module(name)
            if module is not None:
                names[name] = module
        return names
