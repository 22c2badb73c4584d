"""Supervised fine-tuning on demonstrations, with the loss on the command tokens.

Segments are tokenised one by one, as the episode loop does it, so the policy sees in training the
very tokens that it meets in an episode.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from redline.dsl.demonstrations import RenderedTurn
from redline.dsl.dialogue import make_dialogue
from redline.dsl.settings import PromptSettings
from redline.learner.batches.micro_batches import MicroBatchOf, micro_batches
from redline.learner.batches.packing import gather_wanted
from redline.learner.checkpoint import export_policy
from redline.learner.engine import TrainingEngine
from redline.learner.lora import add_adapter
from redline.learner.model import load_policy, load_tokenizer
from redline.learner.settings import DeepSpeedSettings, SftSettings
from redline.learner.sft_checkpoint import SftCheckpoints, SftPosition
from redline.replay.records import Bool, Float32, Int32

SolveRate = Callable[[PreTrainedModel], float]
"""Share of held-out tasks that a policy solves as it is."""
MAX_HELDOUT = 500
"""Demonstrations used for the held-out loss at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SftSequence:
    """One encoded demonstration."""

    token_ids: Int32  # (t,)
    weights: Float32  # (t,) of each token's loss; 1 on commands
    is_action: Bool  # (t,)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldoutScore:
    """How well the policy predicts demonstrations that it was not trained on."""

    loss: float
    """Mean negative log-likelihood of a command token, in nats."""
    exact: float
    """Share of command tokens that were the policy's first choice."""
    solved: float | None = None
    """Share of held-out tasks that the policy solves; None when none were tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftProgress:
    """State of a run after one optimizer step."""

    step: int
    """Steps done."""
    progress: float
    """Share of the training done, 0 to 1."""
    tokens: int
    """Tokens trained on so far."""
    loss: float
    """Weighted mean loss of this step."""
    grad_norm: float
    learning_rate: float
    seconds: float
    heldout: HeldoutScore | None
    """Given on the steps that evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftResult:
    """What a finished run did."""

    steps: int
    skipped_steps: int
    tokens: int
    seconds: float
    before: HeldoutScore | None
    after: HeldoutScore | None


def encode_demonstration(
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[RenderedTurn],
    state_loss_weight: float = 0.0,
    prompts: PromptSettings | None = None,
) -> SftSequence:
    """Encode the turns of one demonstration; their actions end with a newline.

    States stand in plain text or in messages of the tokenizer's chat template, as
    `redline.dsl.dialogue` says and as the episode loop does it. Raises ChatTemplateError.
    """
    dialogue = make_dialogue(tokenizer, prompts or PromptSettings())
    ids: list[int] = []
    marks: list[bool] = []
    if tokenizer.bos_token_id is not None and not dialogue.is_chat:
        ids.append(tokenizer.bos_token_id)
        marks.append(False)
    for index, turn in enumerate(turns):
        state = dialogue.next_state(turn.state) if index else dialogue.first_state(turn.state)
        for text, mark in ((state, False), (turn.action, True)):
            encoded = tokenizer.encode(text, add_special_tokens=False)
            ids.extend(encoded)
            marks.extend([mark] * len(encoded))
    is_action = np.array(marks, dtype=np.bool_)
    weights = np.where(is_action, 1.0, state_loss_weight).astype(np.float32)
    weights[:1] = 0.0
    return SftSequence(
        token_ids=np.array(ids, dtype=np.int32), weights=weights, is_action=is_action
    )


def train_sft(
    model_path: str,
    output: str | Path,
    sequences: Sequence[SftSequence],
    settings: SftSettings,
    *,
    seed: int = 0,
    deepspeed: DeepSpeedSettings | None = None,
    on_progress: Callable[[SftProgress], None] | None = None,
    solve_rate: SolveRate | None = None,
    checkpoints: Path | None = None,
) -> SftResult:
    """Train the policy at `model_path` and save it as a Hugging Face folder at `output`.

    An adapter (`settings.lora`) is merged into what is saved. `solve_rate` is asked along with
    each held-out loss. A run that was interrupted goes on exactly from what it left in the folder
    `checkpoints`. Sequences longer than the micro-batch budget are a `SequenceTooLong` error.
    """
    torch.manual_seed(seed)
    policy = load_policy(model_path)
    if settings.lora.rank > 0:
        add_adapter(policy, settings.lora)
    engine = TrainingEngine(
        policy,
        optimizer=settings.optimizer,
        deepspeed=deepspeed or DeepSpeedSettings(),
        autocast=settings.autocast,
        threads=settings.threads,
    )
    try:
        run = _Run(engine, sequences, settings, seed, on_progress, solve_rate)
        result = run.train(None if checkpoints is None else SftCheckpoints(checkpoints))
        export_policy(Path(output), engine, load_tokenizer(model_path))
    finally:
        engine.close()
    return result


class _Run:
    """One run over the data: what it trains on, what it is measured on, where it stands."""

    def __init__(
        self,
        engine: TrainingEngine,
        sequences: Sequence[SftSequence],
        settings: SftSettings,
        seed: int,
        on_progress: Callable[[SftProgress], None] | None,
        solve_rate: SolveRate | None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._rng = np.random.default_rng(seed)
        self._on_progress = on_progress
        self._solve_rate = solve_rate
        order = self._rng.permutation(len(sequences))
        kept = min(int(len(sequences) * settings.heldout_fraction), MAX_HELDOUT)
        self._heldout = [sequences[i] for i in order[:kept]]
        self._train = [sequences[i] for i in order[kept:]]
        self._total = settings.epochs * sum(len(s.token_ids) for s in self._train)
        self._position = SftPosition()
        self._began = 0.0

    def train(self, checkpoints: SftCheckpoints | None) -> SftResult:
        """Go through the batches until the epochs or the time are used up."""
        before = self._evaluate()
        if checkpoints is not None:
            self._position = checkpoints.restore(self._engine)
        self._began = time.perf_counter() - self._position.seconds
        every = self._settings.checkpoint_every
        batches = _batches(self._train, self._settings, self._rng)
        for batch in islice(batches, self._position.step, None):
            progress = self._progress()
            if progress >= 1.0:
                break
            self._step(batch, progress)
            if checkpoints is not None and every and self._position.step % every == 0:
                checkpoints.save(self._engine, self._position)
        after = self._evaluate()
        return SftResult(
            steps=self._position.step,
            skipped_steps=self._position.skipped,
            tokens=self._position.tokens,
            seconds=time.perf_counter() - self._began,
            before=before,
            after=after,
        )

    def _progress(self) -> float:
        """Share of the work that is done."""
        progress = self._position.tokens / self._total
        limit = self._settings.max_seconds
        if limit > 0:
            progress = max(progress, (time.perf_counter() - self._began) / limit)
        return progress

    def _step(self, batch: Sequence[SftSequence], progress: float) -> None:
        loss = _accumulate(self._engine, batch, self._settings.micro_batch_tokens)
        outcome = self._engine.step(self._position.step, progress)
        done = self._position = SftPosition(
            step=self._position.step + 1,
            tokens=self._position.tokens + sum(len(s.token_ids) for s in batch),
            skipped=self._position.skipped + (not outcome.applied),
            seconds=time.perf_counter() - self._began,
        )
        score = self._evaluate() if done.step % self._settings.evaluate_every == 0 else None
        if self._on_progress:
            self._on_progress(
                SftProgress(
                    step=done.step,
                    progress=min(progress, 1.0),
                    tokens=done.tokens,
                    loss=loss,
                    grad_norm=outcome.grad_norm,
                    learning_rate=outcome.learning_rate,
                    seconds=done.seconds,
                    heldout=score,
                )
            )

    def _evaluate(self) -> HeldoutScore | None:
        """Held-out loss and solve rate; None without held-out demonstrations."""
        if not self._heldout:
            return None
        score = evaluate(self._engine, self._heldout, self._settings.micro_batch_tokens)
        if self._solve_rate is None:
            return score
        with self._engine.gathered() as policy:
            return replace(score, solved=self._solve_rate(policy))


def _batches(
    train: Sequence[SftSequence], settings: SftSettings, rng: np.random.Generator
) -> Iterator[list[SftSequence]]:
    """Batches of about `batch_tokens` tokens for ever, each epoch in a new order."""
    batch: list[SftSequence] = []
    size = 0
    while train:
        for index in rng.permutation(len(train)):
            batch.append(train[index])
            size += len(train[index].token_ids)
            if size >= settings.batch_tokens:
                yield batch
                batch, size = [], 0
        if size:
            yield batch
            batch, size = [], 0


def _accumulate(engine: TrainingEngine, batch: Sequence[SftSequence], token_budget: int) -> float:
    """Backward over all micro-batches of a step; returns the weighted mean loss."""
    total_weight = float(sum(s.weights.sum() for s in batch))
    loss = 0.0
    wanted = [s.weights > 0 for s in batch]
    for micro in _packed(engine, batch, wanted, token_budget):
        scores = engine.score(micro.tokens)
        weights = torch.from_numpy(
            gather_wanted(
                [batch[i].weights for i in micro.members], [wanted[i] for i in micro.members]
            )
        )
        part_loss = -(scores.logprobs * weights.to(engine.device)).sum() / total_weight
        engine.backward(part_loss)
        loss += float(part_loss.detach())
    return loss


@torch.no_grad()
def evaluate(
    engine: TrainingEngine, sequences: Sequence[SftSequence], token_budget: int
) -> HeldoutScore:
    """Score the command tokens of `sequences`."""
    loss = hits = count = 0.0
    for micro in _packed(engine, sequences, [s.is_action for s in sequences], token_budget):
        scores = engine.score(micro.tokens)
        loss -= float(scores.logprobs.sum())
        hits += float(scores.is_top.sum())
        count += micro.tokens.num_wanted
    return HeldoutScore(loss=loss / max(count, 1), exact=hits / max(count, 1))


def _packed(
    engine: TrainingEngine,
    sequences: Sequence[SftSequence],
    wanted: Sequence[Bool],
    token_budget: int,
) -> Iterator[MicroBatchOf]:
    return micro_batches(
        [s.token_ids for s in sequences],
        wanted,
        token_budget=token_budget,
        packing="packed" if engine.can_pack else "padded",
    )
