"""Which tokens the sampler could draw at each place of a command, rebuilt from the tokens.

Under `rollout.sampling.grammar` the sampler draws from the policy renormalised over the tokens that
the grammar allows. Grammar, stop tokens and matcher are the sampler's own, so the masks are equal
bit by bit.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from redline.dsl.decoding import action_grammar, command_stop_ids
from redline.learner.batches.packing import TokenBatch

_CACHE_BYTES = 64 * 2**20
_USUAL_TOKENS = 16
"""Tokens of a command, roughly: the cache is bounded by bytes, but counts commands."""


class NotOfGrammar(ValueError):
    """An action that cannot have been drawn under the grammar."""


class GrammarMask:
    """Masks of whole commands under one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        """`vocab_size` is that of the policy's logits. Imports xgrammar."""
        import xgrammar

        self._words = -(-vocab_size // 32)
        self._stops = list(command_stop_ids(tokenizer))
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocab_size)
        compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        self._compiled = compiler.compile_grammar(action_grammar())
        kept = max(64, _CACHE_BYTES // (self._words * 4 * _USUAL_TOKENS))
        self._of_action = lru_cache(maxsize=kept)(self._match)

    def allowed(
        self, tokens: NDArray[np.integer], starts: NDArray[np.bool_]
    ) -> torch.Tensor:  # (n, ceil(vocabulary / 32)) int32, one bit a token
        """Masks of n action tokens in their order; `starts` (n,) marks each action's first.

        Raises NotOfGrammar for an action that its own mask forbids.
        """
        if not len(tokens):
            return torch.zeros(0, self._words, dtype=torch.int32)
        ends = np.flatnonzero(starts)[1:]
        actions = np.split(np.asarray(tokens, dtype=np.int64), ends)
        return torch.cat([self._of_action(tuple(action.tolist())) for action in actions])

    def of_batch(self, batch: TokenBatch) -> torch.Tensor:  # (n, ceil(vocabulary / 32)) int32
        """Masks of the wanted tokens, where an action is a run of neighbours in one sequence.

        Between two actions of an episode there is always a state. On the batch's device.
        """
        sequence, places = batch.sequence, batch.targets
        starts = torch.ones(len(places), dtype=torch.bool, device=places.device)
        starts[1:] = (sequence[1:] != sequence[:-1]) | (places[1:] != places[:-1] + 1)
        tokens = batch.input_ids.flatten()[places]
        return self.allowed(tokens.cpu().numpy(), starts.cpu().numpy()).to(places.device)

    def _match(self, action: tuple[int, ...]) -> torch.Tensor:
        import xgrammar

        masks = torch.full((len(action), self._words), -1, dtype=torch.int32)
        matcher = xgrammar.GrammarMatcher(self._compiled, override_stop_tokens=self._stops)
        for place, token in enumerate(action):
            if not matcher.is_terminated():
                matcher.fill_next_token_bitmask(masks, place)
            if matcher.is_terminated() or not matcher.accept_token(token):
                raise NotOfGrammar(
                    f"token {place} of action {list(action)} is {token}, which the grammar forbids:"
                    " it was drawn without rollout.sampling.grammar; start a new run"
                )
        return masks


def unpack_mask(allowed: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Bits (n, words) int32 as truth values (n, vocab_size)."""
    places = torch.arange(32, dtype=torch.int32, device=allowed.device)
    bits = ((allowed[:, :, None] >> places) & 1).bool()
    return bits.flatten(1)[:, :vocab_size]
