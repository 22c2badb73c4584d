"""The learner: trajectory groups in, weights out. Plain Python; a cluster wraps it as an actor.

Importing this module is cheap: torch and DeepSpeed are loaded by `start`.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from redline.learner.contradictions import refuse_contradictions
from redline.learner.meeting import Meeting, Seat
from redline.learner.settings import LearnerSettings
from redline.replay.records import BucketContent, StepResult, TrajectoryGroup, WeightUpdate
from redline.replay.settings import WeightSettings

if TYPE_CHECKING:
    from torch.distributed import Store
    from transformers import PreTrainedTokenizerBase

    from redline.learner.critic import Critic
    from redline.learner.engine import TrainingEngine
    from redline.learner.grammar_mask import GrammarMask
    from redline.learner.progress import LearnerProgress
    from redline.learner.publishing.outlets import NcclOutlet, Outlet
    from redline.learner.reference import Reference

_SECONDS = 1800.0


class Learner:
    """Trains one policy; its weight version grows by one with each update.

    With `ranks` above 1 it is one of several processes that train together: rank 0 opens the
    meeting, all of them start with it, and from then on every method but `close` is called on all
    with the same arguments. They wait for each other within it.
    """

    def __init__(
        self,
        *,
        model_path: str,
        settings: LearnerSettings,
        temperature: float = 1.0,
        top_p: float = 1.0,
        grammar: bool = False,
        seed: int = 0,
        reference_path: str | None = None,
        weights: WeightSettings | None = None,
        rank: int = 0,
        seconds: float = _SECONDS,
    ) -> None:
        """`temperature`, `top_p` and `grammar` are those that the samplers draw with.

        The reference of the KL penalty is the policy at `reference_path`, or else the starting
        policy; it is loaded only when `kl_coef` is above zero. With an adapter (`lora.rank`) it is
        the starting policy, which the learner holds anyway. `weights` says how new ones
        leave. A rank waits `seconds` for the others.
        Raises ValueError for settings that this learner cannot follow.
        """
        _refuse_unsupported(settings)
        if settings.lora.rank > 0 and reference_path not in (None, model_path):
            raise ValueError(
                f"reference_path is {reference_path!r}: with learner.lora.rank above 0 the"
                " reference is the starting policy; leave the path out"
            )
        self._model_path = model_path
        self._reference_path = reference_path or model_path
        self._settings = settings
        self._temperature = temperature
        self._top_p = top_p
        self._under_grammar = grammar
        self._grammar: GrammarMask | None = None
        self._seed = seed
        self._rank = rank
        self._seconds = seconds
        self._store: Store | None = None
        self._engine: TrainingEngine | None = None
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._reference: Reference | None = None
        self._critic: Critic | None = None
        self._weights = weights or WeightSettings()
        self._outlet: Outlet | NcclOutlet | None = None
        self._progress: LearnerProgress | None = None

    def open_meeting(self, host: str) -> Meeting:
        """Let the other ranks find this one, rank 0, at an address of its machine."""
        from redline.learner.process_group import open_meeting

        meeting, self._store = open_meeting(self._seat(), host)
        return meeting

    def start(self, meeting: Meeting | None = None) -> None:
        """Load the policy and set up its engine; raises `PolicyNotFound`.

        Several ranks need the meeting that rank 0 opened; a ValueError says so.
        """
        import torch

        from redline.learner.engine import TrainingEngine
        from redline.learner.lora import add_adapter
        from redline.learner.model import load_policy, load_tokenizer
        from redline.learner.progress import LearnerProgress

        settings = self._settings
        torch.manual_seed(self._seed)
        self._tokenizer = load_tokenizer(self._model_path)
        policy = load_policy(self._model_path, settings.dtype)
        self._join(meeting)
        if settings.lora.rank > 0:
            add_adapter(policy, settings.lora)
        if self._under_grammar:
            from redline.learner.grammar_mask import GrammarMask

            self._grammar = GrammarMask(self._tokenizer, policy.config.get_text_config().vocab_size)
        self._engine = TrainingEngine(
            policy,
            optimizer=settings.optimizer,
            deepspeed=settings.deepspeed,
            autocast=settings.autocast,
            temperature=self._temperature,
            top_p=self._top_p,
            entropy_gradient=settings.loss.entropy_coef != 0,
            threads=settings.threads,
            grammar=self._grammar,
        )
        if settings.loss.kl_coef > 0:
            self._reference = self._make_reference(self._engine)
        if settings.critic.kind != "none":
            self._critic = self._make_critic(self._engine)
        if self._rank:
            torch.manual_seed(self._seed + self._rank)  # dropout differs, the start does not
        self._progress = LearnerProgress()

    def _join(self, meeting: Meeting | None) -> None:
        from redline.learner.process_group import find_meeting, join_ranks

        if self._settings.ranks == 1:
            return
        if meeting is None:
            raise ValueError(f"learner.ranks is {self._settings.ranks}: a rank needs a meeting")
        if self._store is None:
            self._store = find_meeting(self._seat(), meeting)
        join_ranks(self._seat(), self._store)

    def _seat(self) -> Seat:
        return Seat(rank=self._rank, ranks=self._settings.ranks, seconds=self._seconds)

    def _make_reference(self, engine: "TrainingEngine") -> "Reference":
        """The policy without its adapter if it has one, else a copy."""
        from redline.learner.reference import AdapterOffReference, FrozenReference

        if self._settings.lora.rank > 0:
            return AdapterOffReference(engine)
        return FrozenReference(
            self._reference_path,
            dtype=self._settings.dtype,
            autocast=self._settings.autocast,
            temperature=self._temperature,
            device=engine.device,
            grammar=self._grammar,
        )

    def _make_critic(self, engine: "TrainingEngine") -> "Critic":
        from redline.learner.critic import Critic

        return Critic(
            engine.policy.config.get_text_config().hidden_size,
            self._settings.critic,
            device=engine.device,
            seed=self._seed,
        )

    @property
    def weight_version(self) -> int:
        """Version of the present weights."""
        return self._started()[1].weight_version

    def train_step(
        self, groups: Sequence[TrajectoryGroup], seconds_lease: float = 0.0
    ) -> StepResult:
        """Train on `groups` once.

        When nothing carries signal or no gradient was finite, the result is marked as skipped and
        the weight version stays. Raises `NonFiniteTraining` after `max_skipped_steps` optimizer
        steps in a row that had to be left out, and `BrokenTrajectory` naming a trajectory whose
        lengths disagree.
        """
        from redline.learner.skipping import advanced, check_skipped
        from redline.learner.summary import make_step_result
        from redline.learner.training_step import take_step

        began = time.perf_counter()
        engine, before = self._started()
        outcome = take_step(
            groups,
            engine=engine,
            reference=self._reference,
            critic=self._critic,
            settings=self._settings,
            first_index=before.optimizer_steps,
        )
        after = advanced(before, outcome.figures)
        self._progress = after
        check_skipped(after, self._settings.max_skipped_steps)
        return make_step_result(
            groups=groups,
            outcome=outcome,
            before=before,
            after=after,
            epochs=self._settings.epochs_per_batch,
            seconds_lease=seconds_lease,
            seconds_train=time.perf_counter() - began,
            device=engine.device,
            ranks=self._settings.ranks,
        )

    def publish(self) -> Iterator[BucketContent | WeightUpdate]:
        """The present weights, or the adapter: the content of each bucket, last what proves them.

        Of rank 0; the others yield nothing, but take part.
        """
        from redline.learner.publishing.publish import publish

        engine, progress = self._started()
        outlet = self._open_outlet(engine)
        yield from publish(engine, progress.weight_version, outlet, sender=self._rank == 0)

    def open_channel(self, host: str, sampler: str, ranks: int) -> Meeting:
        """Let a sampler's workers find rank 0 at an address of its machine, to be sent weights.

        `ranks` are they and this one. What was open to that sampler before is given up.
        """
        seat = Seat(rank=0, ranks=ranks, seconds=self._seconds)
        return self._sending_outlet().open(sampler, seat, host)

    def send_weights(self, sampler: str, version: int) -> None:
        """Send the weights that `publish` told of to a sampler.

        Raises RuntimeError when they are of another version by now.
        """
        from redline.learner.publishing.publish import send

        engine, progress = self._started()
        if progress.weight_version != version:
            raise RuntimeError(
                f"weights of version {version} are to be sent to {sampler}, but the learner has"
                f" version {progress.weight_version}"
            )
        send(engine, self._sending_outlet(), sampler, sender=self._rank == 0)

    def _open_outlet(self, engine: "TrainingEngine") -> "Outlet | NcclOutlet":
        from redline.learner.publishing.outlets import make_outlet

        self._outlet = self._outlet or make_outlet(self._weights, engine.device)
        return self._outlet

    def _sending_outlet(self) -> "NcclOutlet":
        from redline.learner.publishing.outlets import NcclOutlet

        outlet = self._open_outlet(self._started()[0])
        if not isinstance(outlet, NcclOutlet):
            raise RuntimeError(f"transport {outlet.transport} sends nothing by itself")
        return outlet

    def set_version(self, version: int) -> None:
        """Number the present weights anew, as a resumed run may need it."""
        from dataclasses import replace

        self._progress = replace(self._started()[1], weight_version=version)

    def save_checkpoint(self, folder: str | Path) -> None:
        """Write `learner/` and `hf/` into `folder`, which all ranks see."""
        from redline.learner.checkpoint import save_learner

        engine, progress = self._started()
        assert self._tokenizer is not None
        save_learner(Path(folder), engine, self._tokenizer, progress, self._critic)

    def load_checkpoint(self, folder: str | Path) -> None:
        """Return to what `save_checkpoint` wrote.

        Raises `CheckpointNotFound`, and `RanksChanged` where another number of ranks wrote it and
        the ZeRO stage divided the state among them.
        """
        from redline.learner.checkpoint import load_learner

        engine, _ = self._started()
        self._progress = load_learner(Path(folder), engine, self._critic)

    def export_hf(self, folder: str | Path) -> None:
        """Write the policy and its tokenizer as a Hugging Face folder."""
        from redline.learner.checkpoint import export_policy

        engine, _ = self._started()
        assert self._tokenizer is not None
        export_policy(Path(folder), engine, self._tokenizer)

    def close(self) -> None:
        """Free the engine; a closed learner can be started again."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._reference = self._critic = self._progress = self._outlet = None

    def _started(self) -> "tuple[TrainingEngine, LearnerProgress]":
        if self._engine is None or self._progress is None:
            raise RuntimeError("the learner is not started: call start() first")
        return self._engine, self._progress


def _refuse_unsupported(settings: LearnerSettings) -> None:
    """ValueError naming the setting that has to change."""
    if settings.ranks < 1:
        raise ValueError(f"learner.ranks is {settings.ranks}, expected 1 or more")
    if settings.lora.rank < 0:
        raise ValueError(f"learner.lora.rank is {settings.lora.rank}, expected 0 or more")
    if settings.epochs_per_batch < 1:
        raise ValueError(f"learner.epochs_per_batch is {settings.epochs_per_batch}, expected >= 1")
    refuse_contradictions(settings)
