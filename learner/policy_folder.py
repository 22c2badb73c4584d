"""Writing a policy as a folder that `from_pretrained` loads."""

from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def write_policy(
    folder: str | Path,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    state: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a policy, or the weights of `state` in their place, with its tokenizer.

    The weights may be read by whom the user's other files may be read: safetensors itself would
    leave them to their owner alone, which a cluster's other users then stumble over.
    """
    policy.save_pretrained(folder, state_dict=state)
    tokenizer.save_pretrained(folder)
    mode = (Path(folder) / "config.json").stat().st_mode
    for weights in Path(folder).glob("*.safetensors"):
        weights.chmod(mode)
