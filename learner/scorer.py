"""Log-probabilities of chosen tokens: the one forward pass that every objective is built on.

Logits are computed only where a token is wanted, so the head costs nothing on prompts and states.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from redline.learner.batches.packing import TokenBatch
from redline.learner.sampled_distribution import sampled_logits

_SCALED_LOGITS = ("final_logit_softcapping", "logits_scaling", "logit_scale")
"""Configuration fields of models whose head is more than one matrix product."""


class TokenScores(NamedTuple):
    """What the policy says about n wanted tokens, in float32."""

    logprobs: torch.Tensor  # (n,)
    entropy: torch.Tensor  # (n,) of the distribution each token was drawn from; 0 if not asked
    is_top: torch.Tensor  # (n,) bool, whether the token was the most likely one
    hidden: torch.Tensor  # (m, hidden size) what a critic reads; no gradient


class Scorer(nn.Module):
    """Wraps a causal language model; its forward pass returns `TokenScores`."""

    def __init__(
        self,
        policy: PreTrainedModel,
        *,
        autocast: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        entropy_gradient: bool = False,
    ) -> None:
        """`autocast` runs matrix products in bfloat16; `temperature` and `top_p` are the sampler's.

        Without `entropy_gradient` the entropy is a number to look at, which saves memory.
        """
        super().__init__()
        self.policy = policy
        self.autocast = autocast
        self.temperature = temperature
        self.top_p = top_p
        self._entropy_gradient = entropy_gradient
        self._plain_head = all(
            getattr(policy.config, field, None) in (None, 1, 1.0) for field in _SCALED_LOGITS
        )

    def forward(
        self,
        batch: TokenBatch,
        with_entropy: bool = False,
        whole: bool = False,
        allowed: torch.Tensor | None = None,
    ) -> TokenScores:
        """Scores of the wanted tokens of a batch.

        `whole` leaves top-p out: a reference gives every token a probability. `allowed`
        (n, ceil(vocabulary / 32)) has the bits of a grammar.
        """
        with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=self.autocast):
            logits, hidden = self._logits(batch)
        targets = batch.input_ids.flatten()[batch.targets]
        top_p = 1.0 if whole else self.top_p
        logits = sampled_logits(logits.float(), targets, self.temperature, top_p, allowed)
        log_all = torch.log_softmax(logits, dim=-1)  # (n, vocabulary)
        logprobs = log_all.gather(-1, targets[:, None]).squeeze(-1)
        fixed = log_all.detach()
        entropy = torch.zeros_like(logprobs)
        if with_entropy:
            source = log_all if self._entropy_gradient else fixed
            entropy = -(source.exp() * source).sum(-1)
        read = hidden.new_zeros(0, hidden.shape[-1])
        if batch.state_places is not None:
            read = hidden[batch.state_places]
        is_top = fixed.amax(-1) <= logprobs.detach()
        return TokenScores(logprobs, entropy, is_top, read.detach().float())

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Meanwhile the policy's own distribution, computed in the type of its weights."""
        chosen = self.autocast, self.temperature
        self.autocast, self.temperature = False, 1.0
        try:
            yield
        finally:
            self.autocast, self.temperature = chosen

    def _logits(self, batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, vocabulary) of the wanted tokens, and all hidden states (b * t, hidden)."""
        options: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
        if batch.layout is not None:
            options |= {"position_ids": batch.position_ids, "packed_layout": batch.layout}
        if not self._plain_head:
            output = self.policy(**options, output_hidden_states=True)
            return output.logits.flatten(0, 1)[batch.sources], output.hidden_states[-1].flatten(
                0, 1
            )
        hidden = self.policy.base_model(**options).last_hidden_state.flatten(0, 1)
        return self.policy.get_output_embeddings()(hidden[batch.sources]), hidden
