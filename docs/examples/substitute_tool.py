"""A tool environment of two commands: `SUB old => new` and `DONE`.

redline train --config mine.yaml plugins=[substitute_tool] prompt.tool=substitute
"""

from redline.dsl.prompts import render_first_state, render_state
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.dsl.tools import TOOLS, ToolResult


class Substitute:
    """Replaces the first occurrence of a string, wherever in the program it is."""

    def act(self, program: str, text: str) -> ToolResult:
        """What one line of the policy does; it never raises for what a policy may write."""
        line = text.rstrip("\n")
        if line == "DONE":
            return ToolResult(program=program, command=line, is_exit=True)
        old, arrow, new = line.removeprefix("SUB ").partition(" => ")
        if not line.startswith("SUB ") or not arrow or not old:
            return ToolResult(program=program, command=None, error="error: SUB old => new, or DONE")
        if old not in program:
            return ToolResult(program=program, command=line, error=f"error: no {old!r}")
        return ToolResult(program=program.replace(old, new, 1), command=line)

    def first_state(self, task: RepairTask, feedback: str, settings: PromptSettings) -> str:
        """Shown as the editor shows it; a tool is free to show something else."""
        return render_first_state(task, feedback, settings)

    def next_state(self, program: str, feedback: str, settings: PromptSettings) -> str:
        """The same after an action."""
        return render_state(program, feedback, settings)


TOOLS.add("substitute", Substitute())
