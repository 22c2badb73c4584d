"""What constrained decoding is given: the grammar of an action, and the tokens that end one.

Sampler and learner read both from here, so that they mean the same distribution.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from redline.dsl.dialogue import end_of_reply

_ROOT = 'root    ::= command "\\n"'


class StopTokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    eos_token_id: int | None
    all_special_ids: list[int]

    def __len__(self) -> int: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Text of token ids."""
        ...


@cache
def action_grammar() -> str:
    """The written grammar, in XGrammar's EBNF, with an optional newline after the command.

    The newline may be part of a last token such as `)` and newline; one that is a token of its own
    is a stop token, see `command_stop_ids`, and no part of the text.
    """
    text = Path(__file__).with_name("grammar.ebnf").read_text(encoding="utf-8")
    if text.count(_ROOT) != 1:
        raise ValueError(f"grammar.ebnf: expected the rule {_ROOT!r} once")
    return text.replace(_ROOT, _ROOT + "?")


def command_stop_ids(tokenizer: StopTokenizer) -> tuple[int, ...]:
    """Tokens that may follow a whole command and end it, sorted.

    The newline alone, the end of text and the end of a message. Raises ValueError if a tokenizer
    has none of them.
    """
    special = set(tokenizer.all_special_ids)
    found = {
        token
        for token in range(len(tokenizer))
        if token not in special and tokenizer.decode([token], skip_special_tokens=False) == "\n"
    }
    if tokenizer.eos_token_id is not None:
        found.add(tokenizer.eos_token_id)
    reply_end = end_of_reply(tokenizer)
    ids = tokenizer.encode(reply_end, add_special_tokens=False) if reply_end else []
    if len(ids) == 1:
        found.add(ids[0])
    if not found:
        raise ValueError(
            "the tokenizer has neither a newline token nor an end of text, so no command could end "
            "under a grammar: set rollout.sampling.grammar=false"
        )
    return tuple(sorted(found))
