"""What the learner writes into a checkpoint folder, and how it comes back.

    learner/engine/…          DeepSpeed: weights and optimizer state
    learner/critic.pt         the critic and its optimizer, if there is one
    learner/progress.json     steps done, weight version, number of ranks
    learner/random….pt        states of torch's random generators, see `random_states`
    hf/                       the policy with its tokenizer, for `from_pretrained`

All ranks save and load together; what is not divided among them is written by rank 0. The caller
makes the folder as a whole appear atomically.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from redline.learner.critic import Critic
from redline.learner.engine import TrainingEngine
from redline.learner.policy_folder import write_policy
from redline.learner.progress import LearnerProgress
from redline.learner.publishing.whole_weights import whole_state
from redline.learner.random_states import load_random, save_random
from redline.learner.ranks import present_ranks

_TAG = "engine"


class CheckpointNotFound(FileNotFoundError):
    """A folder holds no learner state."""


class RanksChanged(ValueError):
    """A checkpoint's state is divided among another number of ranks."""


def save_learner(
    folder: Path,
    engine: TrainingEngine,
    tokenizer: PreTrainedTokenizerBase,
    progress: LearnerProgress,
    critic: Critic | None = None,
) -> None:
    """Write a checkpoint into `folder`, which may exist."""
    ranks = present_ranks()
    learner = folder / "learner"
    learner.mkdir(parents=True, exist_ok=True)
    engine.save(str(learner), _TAG)
    save_random(learner, engine.device, ranks.rank)
    if ranks.rank == 0:
        if critic is not None:
            torch.save(critic.state(), learner / "critic.pt")
        text = json.dumps({**asdict(progress), "ranks": ranks.size}) + "\n"
        (learner / "progress.json").write_text(text, encoding="utf-8")
    export_policy(folder / "hf", engine, tokenizer)
    ranks.everyones(None)  # nobody calls the folder complete before all have written


def load_learner(
    folder: Path, engine: TrainingEngine, critic: Critic | None = None
) -> LearnerProgress:
    """Bring an engine and its critic back to a checkpoint.

    Raises `CheckpointNotFound` naming the folder that lacks the learner's state, or its critic's,
    and `RanksChanged`. Without ZeRO any number of ranks may go on; the random generators of ranks
    that are new stay as they are.
    """
    learner = folder / "learner"
    if not (learner / "progress.json").is_file():
        raise CheckpointNotFound(f"no learner checkpoint at {folder}: expected {learner}")
    if critic is not None and not (learner / "critic.pt").is_file():
        raise CheckpointNotFound(
            f"no critic in {learner}: the checkpoint was written with learner.critic.kind=none, so"
            " a run with a critic cannot go on from it"
        )
    fields = json.loads((learner / "progress.json").read_text(encoding="utf-8"))
    ranks = present_ranks()
    _refuse_other_ranks(folder, fields.pop("ranks", 1), ranks.size, engine.zero_stage)
    engine.load(str(learner), _TAG)
    if critic is not None:
        critic.restore(torch.load(learner / "critic.pt", weights_only=True))
    load_random(learner, engine.device, ranks.rank)
    return LearnerProgress(**fields)


def _refuse_other_ranks(folder: Path, written: int, present: int, zero_stage: int) -> None:
    if written != present and zero_stage > 0:
        raise RanksChanged(
            f"{folder} was written by {written} learner ranks and cannot be loaded by {present}:"
            f" learner.deepspeed.zero_stage={zero_stage} divides its state among them; set"
            f" learner.ranks={written}"
        )


def export_policy(folder: Path, engine: TrainingEngine, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the policy and its tokenizer as a folder that `from_pretrained` loads.

    An adapter is merged into the written weights. All ranks call it, rank 0 writes.
    """
    with engine.gathered() as policy:
        if present_ranks().rank:
            return
        write_policy(folder, policy, tokenizer, state=whole_state(policy))
