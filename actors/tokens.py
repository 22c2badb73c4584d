"""The policy's tokenizer as the rollout needs it: states in, actions out, nothing re-tokenised.

Each state text is tokenised on its own and appended to the context; sampled tokens are kept as
they are. An action ends at the first token whose text holds a newline, so the engine is given the
set of all such tokens and needs neither stop strings nor incremental detokenisation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np

from redline.dsl.decoding import command_stop_ids
from redline.dsl.dialogue import Dialogue, end_of_reply, make_dialogue
from redline.dsl.settings import PromptSettings
from redline.replay.records import Int32

_CACHED_STATES = 4096


class HfTokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    bos_token_id: int | None
    eos_token_id: int | None
    all_special_ids: list[int]

    def __len__(self) -> int: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Text of token ids."""
        ...


class PolicyTokenizer:
    """Encodes states and decodes actions."""

    def __init__(self, tokenizer: HfTokenizer) -> None:
        self._tokenizer = tokenizer
        self._encode = lru_cache(maxsize=_CACHED_STATES)(self._encode_now)
        self._dialogues: list[tuple[PromptSettings, Dialogue]] = []

    @classmethod
    def load(cls, path: str) -> "PolicyTokenizer":
        """Load from a policy folder or by Hugging Face name (imports transformers)."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(path))

    @property
    def eos_token_id(self) -> int | None:
        """Token that ends a text, if the tokenizer has one."""
        return self._tokenizer.eos_token_id

    def dialogue(self, settings: PromptSettings) -> Dialogue:
        """How states stand in the context; raises ChatTemplateError."""
        for known, dialogue in self._dialogues:
            if known == settings:
                return dialogue
        made = make_dialogue(self._tokenizer, settings)
        self._dialogues.append((replace(settings), made))
        return made

    def request_dialogue(self, settings: PromptSettings) -> Dialogue:
        """The same for a single request, without the editor's instruction."""
        return self.dialogue(replace(settings, chat_instruction=""))

    def encode_first(self, dialogue: Dialogue, text: str) -> Int32:
        """Token ids of the beginning of a context.

        Plain text gets the BOS token, if there is one; a chat template writes its own.
        """
        return self.encode_state(text, first=not dialogue.is_chat)

    def encode_state(self, text: str, *, first: bool = False) -> Int32:
        """Token ids of one state, with the BOS token before it if `first` and there is one."""
        ids = self._encode(text)
        bos = self._tokenizer.bos_token_id
        if first and bos is not None:
            return np.concatenate((np.asarray([bos], dtype=np.int32), ids))
        return ids

    def decode_action(self, token_ids: Iterable[int]) -> str:
        """Text of an action up to its first newline, special tokens left out."""
        ids = [int(i) for i in token_ids]
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text.split("\n", 1)[0]

    def decode_reply(self, token_ids: Iterable[int]) -> str:
        """Text of a whole reply, special tokens left out."""
        return self._tokenizer.decode([int(i) for i in token_ids], skip_special_tokens=True)

    def ends_line(self, token_ids: Sequence[int] | Int32) -> bool:
        """Whether the last of the tokens holds the newline that ends an action."""
        return len(token_ids) > 0 and int(token_ids[-1]) in self.newline_token_ids

    def ends_reply(self, token_ids: Sequence[int] | Int32) -> bool:
        """Whether the last of the tokens is the one that ends a reply in the chat template."""
        return len(token_ids) > 0 and int(token_ids[-1]) == self._end_of_reply

    @cached_property
    def newline_token_ids(self) -> frozenset[int]:
        """All tokens whose text contains a newline."""
        return self._tokens_with("\n")

    @cached_property
    def stop_token_ids(self) -> tuple[int, ...]:
        """Tokens that end an action: every newline token and the end of text, sorted."""
        return tuple(sorted(self.newline_token_ids | set(self.end_token_ids)))

    @cached_property
    def command_stop_ids(self) -> tuple[int, ...]:
        """Tokens that end a command drawn under the grammar, sorted; raises ValueError."""
        return command_stop_ids(self._tokenizer)

    @cached_property
    def end_token_ids(self) -> tuple[int, ...]:
        """Tokens that end a reply: the end of text and the end of a message, sorted."""
        ends = (self.eos_token_id, self._end_of_reply)
        return tuple(sorted({token for token in ends if token is not None}))

    @cached_property
    def fence_token_ids(self) -> frozenset[int]:
        """All tokens whose text contains the three backquotes that close a block of code."""
        return self._tokens_with("```")

    @cached_property
    def _end_of_reply(self) -> int | None:
        text = end_of_reply(self._tokenizer)
        ids = self._tokenizer.encode(text, add_special_tokens=False) if text else []
        return ids[0] if len(ids) == 1 else None

    def _tokens_with(self, piece: str) -> frozenset[int]:
        special = set(self._tokenizer.all_special_ids)
        return frozenset(
            i
            for i in range(len(self._tokenizer))
            if i not in special and piece in self._tokenizer.decode([i], skip_special_tokens=False)
        )

    def _encode_now(self, text: str) -> Int32:
        ids = np.asarray(self._tokenizer.encode(text, add_special_tokens=False), dtype=np.int32)
        ids.setflags(write=False)
        return ids
