"""Text of unknown origin made safe for a terminal."""

from rich.text import Text

# Control characters become their Unicode pictures (␛ for escape); a policy, a program or an
# error message could otherwise move the cursor or rewrite what is on the screen.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def visible(text: str) -> str:
    """`text` with every control character but newline and tab replaced by a visible one."""
    return text.translate(_PICTURES)


def safe_text(text: str, style: str = "") -> Text:
    """A Rich text of `visible(text)`."""
    return Text(visible(text), style)
