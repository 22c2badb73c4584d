"""What the learner writes into a checkpoint folder, and how it comes back.

    learner/engine/…          DeepSpeed: weights and optimizer state
    learner/critic.pt         the critic and its optimizer, if there is one
    learner/progress.json     steps done and weight version
    learner/random.pt         state of torch's random generator
    hf/                       the policy with its tokenizer, for `from_pretrained`

The caller makes the folder as a whole appear atomically.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from redline.learner.critic import Critic
from redline.learner.engine import TrainingEngine
from redline.learner.progress import LearnerProgress
from redline.learner.whole_weights import whole_state

_TAG = "engine"


class CheckpointNotFound(FileNotFoundError):
    """A folder holds no learner state."""


def save_learner(
    folder: Path,
    engine: TrainingEngine,
    tokenizer: PreTrainedTokenizerBase,
    progress: LearnerProgress,
    critic: Critic | None = None,
) -> None:
    """Write a checkpoint into `folder`, which may exist."""
    learner = folder / "learner"
    learner.mkdir(parents=True, exist_ok=True)
    engine.save(str(learner), _TAG)
    if critic is not None:
        torch.save(critic.state(), learner / "critic.pt")
    torch.save(torch.get_rng_state(), learner / "random.pt")
    (learner / "progress.json").write_text(json.dumps(asdict(progress)) + "\n", encoding="utf-8")
    export_policy(folder / "hf", engine, tokenizer)


def load_learner(
    folder: Path, engine: TrainingEngine, critic: Critic | None = None
) -> LearnerProgress:
    """Bring an engine and its critic back to a checkpoint.

    Raises `CheckpointNotFound` naming the folder that lacks the learner's state, or its critic's.
    """
    learner = folder / "learner"
    if not (learner / "progress.json").is_file():
        raise CheckpointNotFound(f"no learner checkpoint at {folder}: expected {learner}")
    if critic is not None and not (learner / "critic.pt").is_file():
        raise CheckpointNotFound(
            f"no critic in {learner}: the checkpoint was written with learner.critic.kind=none, so"
            " a run with a critic cannot go on from it"
        )
    engine.load(str(learner), _TAG)
    if critic is not None:
        critic.restore(torch.load(learner / "critic.pt", weights_only=True))
    torch.set_rng_state(torch.load(learner / "random.pt", weights_only=True))
    fields = json.loads((learner / "progress.json").read_text(encoding="utf-8"))
    return LearnerProgress(**fields)


def export_policy(folder: Path, engine: TrainingEngine, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the policy and its tokenizer as a folder that `from_pretrained` loads.

    An adapter is merged into the written weights.
    """
    with engine.gathered() as policy:
        policy.save_pretrained(folder, state_dict=whole_state(policy))
    tokenizer.save_pretrained(folder)
