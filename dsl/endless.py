"""Guesses whether a broken program may run forever, so that such tasks stay rare.

The sandbox stops endless programs, but each costs its whole CPU limit. The guess looks at the
text only and errs on the side of caution: a program that may loop is drawn again.
"""

import re

_LOOP = re.compile(r"(?P<indent>\s*)(?:while\b(?P<condition>.+):|for \w+ in (?P<walked>\w+)\s*:)$")
_WORD = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"\s*(?P<name>\w+)\s*(?:[-+*/%]|//)?=(?!=)")
_GROWTH = ("append", "insert", "extend")


def may_run_forever(broken: str, reference: str) -> bool:
    """Whether a `while` loop advances otherwise than in the reference, or a `for` loop grows
    the list that it walks over.
    """
    if _grows_while_walking(broken):
        return True
    return "while" in broken and not set(_while_loops(broken)) <= set(_while_loops(reference))


def _while_loops(program: str) -> list[tuple[str, ...]]:
    """Per `while` loop its header and the lines that assign what its condition reads."""
    found: list[tuple[str, ...]] = []
    for header, condition, _, body in _loops(program):
        if condition:
            read = set(_WORD.findall(condition))
            steps = (line.strip() for line in body if _assigned(line) in read)
            found.append((header, *steps))
    return found


def _grows_while_walking(program: str) -> bool:
    """Whether the body of a `for` loop over a name makes that list longer."""
    for _, _, walked, body in _loops(program):
        calls = tuple(f"{walked}.{method}(" for method in _GROWTH)
        if walked and any(line.lstrip().startswith((*calls, f"{walked} +=")) for line in body):
            return True
    return False


def _loops(program: str) -> list[tuple[str, str, str, list[str]]]:
    """Header, condition (of `while`), walked name (of `for`) and body lines of each loop."""
    found: list[tuple[str, str, str, list[str]]] = []
    lines = program.split("\n")
    for number, line in enumerate(lines):
        if match := _LOOP.match(line.rstrip()):
            body: list[str] = []
            for inner in lines[number + 1 :]:
                indent = inner[: len(inner) - len(inner.lstrip())]
                if inner.strip() and len(indent) <= len(match["indent"]):
                    break
                body.append(inner)
            found.append((line.strip(), match["condition"] or "", match["walked"] or "", body))
    return found


def _assigned(line: str) -> str | None:
    """The name that a line assigns, if it is a plain or an augmented assignment."""
    match = _ASSIGNMENT.match(line)
    return match["name"] if match else None
