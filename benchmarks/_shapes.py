"""Models of published sizes with random weights, for machines with a GPU; and the choice of one.

Random weights cost what trained ones cost. Every shape has a tokenizer of 512 tokens, since none of
the measured paths looks at more of it than how a text ends.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

from redline.learner.model import torch_dtype
from redline.learner.policy_folder import write_policy
from redline.learner.tokenizer import train_tokenizer

DTYPE = "bfloat16"
SHAPES: dict[str, PretrainedConfig] = {
    # Qwen2.5-0.5B
    "0.5b": Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    ),
    # Llama-3.2-1B
    "1b": LlamaConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    ),
    # Llama-3.2-3B
    "3b": LlamaConfig(
        vocab_size=128_256,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=28,
        num_attention_heads=24,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    ),
}
TOKENIZER_SIZE = 512
DEMO = "demo"


def add_shape_arguments(parser: argparse.ArgumentParser) -> None:
    """`--shape`, `--lora` and `--device`."""
    parser.add_argument(
        "--shape",
        choices=[DEMO, *SHAPES],
        default=DEMO,
        help="model to measure: the demo's, or a published size with random weights on a GPU",
    )
    parser.add_argument(
        "--lora",
        type=int,
        default=0,
        metavar="RANK",
        help="train an adapter of this rank instead of all weights of a published size",
    )
    parser.add_argument(
        "--device",
        choices=["cuda", "cpu"],
        default="cuda",
        help="cpu: try a published size without a GPU, slowly",
    )


def shape_problem(options: argparse.Namespace) -> str | None:
    """What is wrong with the choice, in one line; None when it can be measured."""
    if options.lora < 0:
        return f"--lora is {options.lora}, expected a rank of 1 or more, or 0 for all weights"
    if options.shape == DEMO:
        if options.lora:
            smallest = next(iter(SHAPES))
            return f"--lora {options.lora} goes with a published size: add --shape {smallest}"
        return None
    seen = torch.cuda.is_available()
    if options.device == "cuda" and not seen:
        return (
            f"--shape {options.shape} needs a CUDA device and torch sees none: run it on a machine"
            " that has one, or try it slowly with --device cpu"
        )
    if options.device == "cpu" and seen:
        return (
            "--device cpu where torch sees a CUDA device, which the learner would take: leave it"
            " out, or hide the device with CUDA_VISIBLE_DEVICES="
        )
    return None


def label(options: argparse.Namespace) -> str:
    """What is measured, for the names of figures: `1b_full`, `1b_lora16`."""
    return f"{options.shape}_{f'lora{options.lora}' if options.lora else 'full'}"


def make_policy(folder: str, shape: str, device: str) -> None:
    """Write a policy of a shape, its weights drawn on the device, as a Hugging Face folder."""
    tokenizer = train_tokenizer(["x = 1\n"] * 2, TOKENIZER_SIZE)
    config = SHAPES[shape]
    config.bos_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(0)
    with torch.device(device):
        policy = AutoModelForCausalLM.from_config(config, dtype=torch_dtype(DTYPE))
    write_policy(Path(folder), policy, tokenizer)
