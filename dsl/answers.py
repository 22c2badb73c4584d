"""Prompts of the evaluation arms that write the whole program, and the program in their replies.

The arms know what the editor's first state knows: the task, the broken program and the feedback of
its tests. `direct` goes on right inside a block of code; `thinking` writes free text first.
"""

import re

from redline.dsl.tasks import RepairTask

FENCE = "```"
OPEN_BLOCK = f"{FENCE}python\n"
"""What a direct answer goes on after."""
THOUGHT = "Let's think step by step.\n"
"""What a thought goes on after."""
FINAL_BLOCK = f"\n\nThe whole program:\n{OPEN_BLOCK}"
"""Written after a thought, so that an answer follows however the thought ended."""

_DIRECT = "Write the whole program so that its tests pass."
_THINKING = "Think about what is wrong. Then write the whole program so that its tests pass."
_BLOCK = re.compile(r"^```[A-Za-z0-9]*[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def render_request(task: RepairTask, feedback: str, *, thinking: bool) -> str:
    """What a policy is asked that writes the whole program; without the beginning of its reply."""
    parts = [task.prompt.rstrip(), f"{OPEN_BLOCK}{task.broken}\n{FENCE}", feedback]
    parts.append(_THINKING if thinking else _DIRECT)
    return "\n".join(part for part in parts if part)


def program_of_block(reply: str) -> str:
    """The program in a reply that goes on inside a block of code: up to the line that closes it."""
    lines = reply.split("\n")
    closing = next((i for i, line in enumerate(lines) if line.startswith(FENCE)), len(lines))
    return "\n".join(lines[:closing]).rstrip("\n")


def program_of_text(text: str) -> str | None:
    """The last closed block of code in free text; None when there is none."""
    blocks = _BLOCK.findall(text)
    return blocks[-1].rstrip("\n") if blocks else None
