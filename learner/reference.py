"""The frozen policy that a KL penalty holds the trained one to.

It is scored under the sampler's grammar and temperature but without top-p: what the policy sampled
must have a probability, and the distance of a nucleus to the whole reference is finite.
"""

from typing import Protocol

import torch

from redline.learner.batches.attention import use_packed_attention
from redline.learner.batches.packing import TokenBatch
from redline.learner.engine import TrainingEngine
from redline.learner.grammar_mask import GrammarMask
from redline.learner.lora import adapter_off
from redline.learner.model import load_policy
from redline.learner.precision import bfloat16_is_fast
from redline.learner.scorer import Scorer


class Reference(Protocol):
    """What a policy step asks of a reference."""

    can_pack: bool
    """Whether it can score packed batches."""

    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        """Log-probabilities (n,) of the wanted tokens."""


class AdapterOffReference:
    """The trained policy without its adapter: no second copy of the weights."""

    def __init__(self, engine: TrainingEngine) -> None:
        """`engine` trains a policy with an adapter."""
        self._engine = engine
        self.can_pack = engine.can_pack

    @torch.no_grad()
    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        """Log-probabilities (n,) of the wanted tokens."""
        with adapter_off(self._engine.policy):
            return self._engine.score(batch, whole=True).logprobs


class FrozenReference:
    """A copy of a policy that never changes."""

    def __init__(
        self,
        path: str,
        *,
        dtype: str,
        autocast: bool,
        temperature: float,
        device: torch.device,
        grammar: GrammarMask | None = None,
    ) -> None:
        """Loads the policy at `path`; raises `PolicyNotFound`."""
        policy = load_policy(path, dtype).to(device)
        policy.requires_grad_(False)
        self.can_pack = use_packed_attention(policy)
        autocast = autocast and bfloat16_is_fast()
        self._scorer = Scorer(policy, autocast=autocast, temperature=temperature)
        self._scorer.eval()
        self._grammar = grammar

    @torch.no_grad()
    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        """Log-probabilities (n,) of the wanted tokens."""
        allowed = None if self._grammar is None else self._grammar.of_batch(batch)
        batch = batch.to(next(self._scorer.parameters()).device)
        return self._scorer(batch, allowed=allowed).logprobs
