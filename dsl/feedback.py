"""What the policy is told about a program that does not pass: the first failing test."""

from collections.abc import Sequence

from redline.dsl.settings import PromptSettings

CUT_MARK = " [...]"
"""Ends feedback that was longer than allowed."""


def feedback_from_details(
    passed: Sequence[bool], details: Sequence[str], settings: PromptSettings
) -> str:
    """Return the first failing test's detail, cut to size; empty when all tests passed.

    `passed` and `details` hold one entry per test, in the order of the task. The text has no
    blank lines and no newline at its end, and never more than `max_feedback_chars` characters.
    A failing test without a detail is named by its number, since silence means success; so is
    the case that there was no test at all.

    Raises ValueError when the two sequences differ in length.
    """
    if not passed:
        return cut("no test was run", settings.max_feedback_chars)
    for number, (ok, detail) in enumerate(zip(passed, details, strict=True), start=1):
        if not ok:
            text = _without_blank_lines(detail) or f"test {number} failed"
            return cut(text, settings.max_feedback_chars)
    return ""


def cut(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters, ending in `CUT_MARK` if some are missing."""
    if len(text) <= limit:
        return text
    kept = max(0, limit - len(CUT_MARK))
    return (text[:kept].rstrip() + CUT_MARK)[:limit]


def _without_blank_lines(text: str) -> str:
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
