"""The tool that a policy works with: it reads an action, changes the program, shows the state.

The editor is the one that comes with redline. Another one registers itself under a name, which
`prompt.tool` then chooses; the episode's turns, rewards and limits are the same for all.
"""

from dataclasses import dataclass
from typing import Protocol

from redline.dsl.commands import Exit, ImpossibleCommand, MalformedCommand
from redline.dsl.editor import apply
from redline.dsl.parser import parse
from redline.dsl.printer import print_command
from redline.dsl.prompts import render_first_state, render_state
from redline.dsl.registry import Registry
from redline.dsl.settings import EDITOR, PromptSettings
from redline.dsl.tasks import RepairTask


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What one action did."""

    program: str
    """As it is now: as it was, when there is an error."""
    command: str | None
    """The action in the tool's own writing; None when it could not be read."""
    error: str | None = None
    """What was wrong with the action, as the policy is told."""
    is_exit: bool = False
    """Whether the action ends the episode."""


class Tool(Protocol):
    """One for all episodes: it keeps nothing between calls."""

    def act(self, program: str, text: str) -> ToolResult:
        """Read the sampled text, up to and with its newline, and do what it says."""
        ...

    def first_state(self, task: RepairTask, feedback: str, settings: PromptSettings) -> str:
        """What the policy is shown first, the task included."""
        ...

    def next_state(self, program: str, feedback: str, settings: PromptSettings) -> str:
        """What it is shown after an action."""
        ...


class Editor:
    """The five commands of docs: ADDL, DELL, REPL, REPW, EXIT."""

    def act(self, program: str, text: str) -> ToolResult:
        """Parse one command and apply it."""
        command = parse(text)
        if isinstance(command, MalformedCommand):
            return ToolResult(program=program, command=None, error=command.reason)
        written = print_command(command)
        edited = apply(program, command)
        if isinstance(edited, ImpossibleCommand):
            return ToolResult(program=program, command=written, error=edited.reason)
        return ToolResult(program=edited, command=written, is_exit=isinstance(command, Exit))

    def first_state(self, task: RepairTask, feedback: str, settings: PromptSettings) -> str:
        """Task, numbered lines, feedback."""
        return render_first_state(task, feedback, settings)

    def next_state(self, program: str, feedback: str, settings: PromptSettings) -> str:
        """Numbered lines, feedback."""
        return render_state(program, feedback, settings)


TOOLS: Registry[Tool] = Registry("prompt.tool")
TOOLS.add(EDITOR, Editor())
