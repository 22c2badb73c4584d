"""Policies: loading one from a folder or by name, and making a tiny one from nothing."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from redline.learner.policy_folder import write_policy
from redline.learner.settings import TinyModelSettings
from redline.learner.tokenizer import train_tokenizer

transformers_logging.disable_progress_bar()
if not torch.cuda.is_available():
    # transformers imports DeepSpeed on its own, which would warn about the missing GPU.
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

MAX_POSITIONS = 4096
"""Longest context of a policy made from nothing."""


class PolicyNotFound(FileNotFoundError):
    """There is no model at the given path or under the given name."""


def torch_dtype(name: str) -> torch.dtype:
    """The torch type called `float32` or `bfloat16`; anything else is a ValueError."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise ValueError(f"dtype is {name!r}, expected one of {sorted(known)}")
    return known[name]


def check_policy_path(path: str) -> None:
    """Raise `PolicyNotFound` when `path` is meant as a folder and holds no model.

    A path counts as a folder when it exists, is absolute, starts with a dot, or has more than the
    one slash of a Hugging Face name.
    """
    folder = Path(path).expanduser()
    meant_as_folder = (
        folder.exists() or folder.is_absolute() or path.startswith(".") or path.count("/") != 1
    )
    if meant_as_folder and not (folder / "config.json").is_file():
        raise PolicyNotFound(
            f"no policy at {path!r}: expected a Hugging Face folder with config.json"
            f" ({'the folder has none' if folder.is_dir() else 'no such folder'})"
        )


def load_policy(path: str, dtype: str = "float32") -> PreTrainedModel:
    """Causal language model in evaluation mode, from a local folder or by Hugging Face name.

    Raises `PolicyNotFound` naming the path when there is none.
    """
    check_policy_path(path)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch_dtype(dtype), attn_implementation="sdpa"
        )
    except OSError as error:
        raise PolicyNotFound(f"no policy at {path!r}: {_first_line(error)}") from error
    model.eval()
    return model


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Tokenizer of the policy at `path`; raises `PolicyNotFound` when there is none."""
    check_policy_path(path)
    try:
        return AutoTokenizer.from_pretrained(path)
    except OSError as error:
        raise PolicyNotFound(f"no tokenizer at {path!r}: {_first_line(error)}") from error


def write_as(policy: str | Path, folder: str | Path, dtype: str) -> None:
    """Write the policy and its tokenizer to another folder.

    `dtype` is the name of a torch type of floating point numbers, also one that nothing is
    trained in: `float16` halves what is shipped.
    """
    whole = load_policy(str(policy), "float32")
    write_policy(folder, whole.to(getattr(torch, dtype)), load_tokenizer(str(policy)))


def make_tiny(
    folder: str | Path, settings: TinyModelSettings, corpus_texts: Sequence[str], seed: int = 0
) -> Path:
    """Save an untrained Llama and a tokenizer fitted to `corpus_texts` as a Hugging Face folder.

    The same arguments give the same weights. Returns the folder.
    """
    folder = Path(folder)
    tokenizer = train_tokenizer(corpus_texts, settings.vocab_size)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=MAX_POSITIONS,
        rms_norm_eps=1e-5,
        tie_word_embeddings=settings.tie_embeddings,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    write_policy(folder, model, tokenizer)
    return folder


def count_parameters(model: torch.nn.Module) -> int:
    """Number of trainable weights, shared ones counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
