"""Settings of the editor language: prompt format and rewards.

Plain dataclasses, composed into the run configuration by `redline.cluster.config`.
"""

from dataclasses import dataclass

CHAT_INSTRUCTION = """\
Repair the program until its tests pass. Answer with one command at a time:
ADDL n >>>text    insert a line before line n
DELL n    delete line n
REPL n >>>text    replace line n
REPW n >>>old >>>new    replace a string in line n
EXIT    when all tests pass"""
"""What an instruct model is told once, at the top of its first message."""


EDITOR = "editor"
"""Name of the tool that comes with redline."""


@dataclass(kw_only=True)
class PromptSettings:
    """How a task and the editor's state are written for the policy."""

    tool: str = EDITOR
    """What the policy works with: `editor`, or a tool that a module of `plugins` registers."""
    command_prefix: str = "### "
    """Written at the end of each state, right before the policy's command."""
    max_feedback_chars: int = 240
    """Feedback is cut to this many characters."""
    show_expected: bool = True
    """Whether feedback may tell the value that a failing test expected."""
    chat: str = "auto"
    """`auto`: states are messages of the tokenizer's chat template if it has one; `never`: always
    plain text. Training and sampling must agree on it."""
    chat_instruction: str = CHAT_INSTRUCTION
    """Written before the first state where a chat template is used; may be empty."""


@dataclass(kw_only=True)
class RewardSettings:
    """Rewards of one turn (Rainone et al., arXiv 2507.05065, section on RL)."""

    solved: float = 1.0
    """Given on the turn in which all tests first pass."""
    malformed: float = -0.5
    """Given for a command that does not parse."""
    impossible: float = -0.5
    """Given for a well-formed command that cannot be applied (no such line or word)."""
    no_exit: float = -0.5
    """Given on the last turn of an episode that ends without EXIT."""
    truncated: float = -0.5
    """Given instead of `no_exit` when the episode ends because its context is full."""
    wrong_exit: float = 0.0
    """Given for EXIT while a test fails."""
    per_turn: float = 0.0
    """Added on every turn; a small negative value favours short repairs."""


@dataclass(kw_only=True)
class CorruptionSettings:
    """How correct programs are broken: shares of the four kinds of edit, and their order."""

    delete: float = 1.0
    """Share of deleted lines."""
    add: float = 1.0
    """Share of added lines."""
    replace_line: float = 1.0
    """Share of replaced lines."""
    replace_word: float = 1.0
    """Share of replaced words."""
    order: str = "top_down"
    """`top_down`: edits go to lines of their own where there are enough, and the repair goes
    from the top to the bottom, so that there is one right next command to learn; `random`: each
    edit anywhere, as in Rainone et al."""
