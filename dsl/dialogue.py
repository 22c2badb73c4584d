"""Where states and commands stand in the context: plain text, or messages of a chat template.

This is the one place that decides it, for sampling and for training alike. A tokenizer without a
chat template gets plain text: state, command, state, command. With a template, each state is a
user's message and each command the beginning of the model's reply:

    opening  instruction, first state  closing  ### command
    between  next state                closing  ### command   ...

`opening`, `closing` and `between` are cut out of what the template makes of a conversation of
marks, so that no template is known here by name. The context only grows: `between` ends the reply
and opens the next message, and nothing that was sampled is written or tokenised again.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from redline.dsl.settings import PromptSettings

_FIRST, _REPLY, _NEXT = "redline-first-state", "redline-reply", "redline-next-state"
_OPTIONS: dict[str, Any] = {
    # Llama 3.1 and 3.2 write today's date into their system message unless they are given one:
    # the same episode would have other tokens tomorrow.
    "date_string": "26 Jul 2024",
    # Qwen 3 would begin its reply with free text.
    "enable_thinking": False,
}


class ChatTemplateError(ValueError):
    """A chat template that no dialogue of states and commands can be made of."""


class ChatTokenizer(Protocol):
    """The part of a transformers tokenizer with a chat template that is used here."""

    def get_added_vocab(self) -> dict[str, int]:
        """All tokens that stand for themselves, special ones included."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """The conversation as text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """The texts around the states of an episode."""

    prefix: str
    """What each state ends in, right before the command."""
    is_chat: bool = False
    opening: str = ""
    closing: str = ""
    between: str = ""
    end_of_reply: str = ""
    """Special token at the start of `between`: a reply that ends in it needs no second one."""

    def first_state(self, state: str) -> str:
        """The text of an episode's first state, given as `render_first_state` writes it."""
        return self.opening + self._framed(state) if self.is_chat else state

    def next_state(self, state: str, *, ends_line: bool = True, ends_reply: bool = False) -> str:
        """The text that follows a command: the state as `render_state` writes it, and its frame.

        ends_line:  the command's last token holds its newline.
        ends_reply: the command's last token is `end_of_reply`.
        """
        if not self.is_chat:
            return state if ends_line else "\n" + state
        between = self.between.removeprefix(self.end_of_reply) if ends_reply else self.between
        return between + self._framed(state)

    def request(self, text: str, prefill: str) -> str:
        """The text of a single request, whose answer goes on after `prefill`."""
        if not self.is_chat:
            return f"{text}\n{prefill}"
        return self.opening + text.strip("\n") + self.closing + prefill

    def _framed(self, state: str) -> str:
        body = state.removesuffix(self.prefix).strip("\n")
        return body + self.closing + self.prefix


def make_dialogue(
    tokenizer: object, settings: PromptSettings, *, instruct: bool = True
) -> Dialogue:
    """The dialogue for a tokenizer: its chat template's if it has one and `settings.chat` is auto.

    `instruct` puts `settings.chat_instruction` before the first state. Raises ChatTemplateError.
    """
    template = getattr(tokenizer, "chat_template", None)
    if settings.chat == "never" or not template:
        return Dialogue(prefix=settings.command_prefix)
    opening, between, closing = _cut(tokenizer)  # type: ignore[arg-type]
    instruction = settings.chat_instruction.strip()
    if instruct and instruction:
        opening += f"{instruction}\n\n"
    return Dialogue(
        prefix=settings.command_prefix,
        is_chat=True,
        opening=opening,
        closing=closing,
        between=between,
        end_of_reply=_leading_special(tokenizer, between),  # type: ignore[arg-type]
    )


def end_of_reply(tokenizer: object) -> str:
    """The special token that ends a reply in the tokenizer's chat template; empty without one."""
    if not getattr(tokenizer, "chat_template", None):
        return ""
    try:
        return make_dialogue(tokenizer, PromptSettings()).end_of_reply
    except ChatTemplateError:
        return ""


def _cut(tokenizer: ChatTokenizer) -> tuple[str, str, str]:
    """What the template writes before, between and after two user's messages and a reply."""
    conversation = [
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": _REPLY},
        {"role": "user", "content": _NEXT},
    ]
    try:
        text = tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True, **_OPTIONS
        )
    except Exception as error:  # jinja2's errors, which this room does not import
        raise ChatTemplateError(
            f"the tokenizer's chat template refuses user, assistant, user: {error}; set "
            "prompt.chat=never to write plain text"
        ) from error
    if not all(text.count(mark) == 1 for mark in (_FIRST, _REPLY, _NEXT)):
        raise ChatTemplateError(
            "the tokenizer's chat template does not write each message once: expected user, "
            "assistant and user as they are; set prompt.chat=never to write plain text"
        )
    opening, rest = text.split(_FIRST)
    # What opens an earlier reply is not used: it may lack what the template ends a prompt with.
    between, closing = rest.split(_REPLY)[1].split(_NEXT)
    return opening, between, closing


def _leading_special(tokenizer: ChatTokenizer, text: str) -> str:
    """The longest token of its own that a text begins with."""
    found = (token for token in tokenizer.get_added_vocab() if text.startswith(token))
    return max(found, key=len, default="")
