"""Test calls of a draft, with the values that its own reference gives.

Drafts are run in this process, which is safe only because they come from the families of this
package: nothing that a policy or a random edit wrote is ever run here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from redline.dsl.families.base import Draft

TESTS = 3
MAX_VALUE_CHARS = 40
MAX_INTEGER = 999
_DRAWS = 24
_TWIN = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call of the reference and what a test of it would show."""

    text: str
    expected: str
    shows: frozenset[object]
    """Numbers of the lines that ran, and `"edge"` if moving the comparisons by one matters."""


def make_tests(draft: Draft) -> tuple[str, ...] | None:
    """Three different `assert` lines that together run every line of the reference.

    Where a program compares, one of them lies on the edge, if the drawn arguments reach it. None
    if they miss a line or all calls return the same: the caller draws another program.
    """
    calls = _draw_calls(draft)
    lines = set(_marked_lines(draft.reference))
    chosen = _choose(calls)
    shown = set().union(*(call.shows for call in chosen))
    if len(chosen) < TESTS or not lines <= shown or len({c.expected for c in chosen}) < 2:
        return None
    return tuple(f"assert {call.text} == {call.expected}" for call in chosen)


def _draw_calls(draft: Draft) -> list[_Call]:
    """Draw short calls until they show all there is to see."""
    ran: set[object] = set()
    function = _load(_marked(draft.reference), draft.entry_point, ran)
    twin_text = _moved(draft.reference)
    twin = None if twin_text == draft.reference else _load(twin_text, draft.entry_point, set())
    goals = {*_marked_lines(draft.reference), *(["edge"] if twin else [])}
    calls: dict[str, _Call] = {}
    for _ in range(_DRAWS):
        arguments = draft.arguments()
        written = ", ".join(map(repr, arguments))  # before a function can change them
        ran.clear()
        value = function(*arguments)
        if not _is_short(value) or written in calls:
            continue
        if twin and repr(twin(*eval(f"({written},)"))) != repr(value):
            ran.add("edge")
        text, expected = f"{draft.entry_point}({written})", repr(value)
        calls[written] = _Call(text=text, expected=expected, shows=frozenset(ran))
        goals -= ran
        if not goals and len({call.expected for call in calls.values()}) >= TESTS:
            break
    return list(calls.values())


def _choose(calls: Collection[_Call]) -> list[_Call]:
    """Greedily the calls that show most that was not shown, other values before the same."""
    left, chosen = list(calls), list[_Call]()
    shown: set[object] = set()
    values: set[str] = set()
    while left and len(chosen) < TESTS:
        best = max(left, key=lambda c: (len(c.shows - shown), c.expected not in values))
        left.remove(best)
        chosen.append(best)
        shown |= best.shows
        values.add(best.expected)
    return chosen


def _marked_lines(program: str) -> list[int]:
    """Numbers (from 1) of the lines that are statements of their own, not block headers."""
    lines = program.split("\n")
    return [n for n, line in enumerate(lines, start=1) if not line.endswith(":")]


def _marked(program: str) -> str:
    """The program with a note of its number in front of each statement."""
    lines = program.split("\n")
    for number in _marked_lines(program):
        line = lines[number - 1]
        body = line.lstrip()
        lines[number - 1] = f"{line[: len(line) - len(body)]}_ran.add({number}); {body}"
    return "\n".join(lines)


def _moved(program: str) -> str:
    """The program with `<` for `<=` and so on; as it is with a `while`, which might not end."""
    if "while " in program:
        return program
    return " ".join(_TWIN.get(word, word) for word in program.split(" "))


def _load(program: str, name: str, ran: set[object]) -> Callable[..., object]:
    """The function that a program defines; statements note in `ran` that they ran."""
    namespace: dict[str, object] = {"_ran": ran}
    exec(program, namespace)
    function = namespace[name]
    assert callable(function)
    return function


def _is_short(value: object) -> bool:
    """Whether a value is small enough to be read in one line of feedback."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return False
    return len(repr(value)) <= MAX_VALUE_CHARS
