"""Tiny random Llamas with byte-level tokenizers, made without any code of the learner."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

LINES = (
    "def f(a, b):\n    return a + b\n",
    "1|def f(a, b):\n2|    return a - b\n***\nf(1, 2) returned -1, expected 3\n### ",
    "REPL 2 >>>    return a + b\nDELL 1\nADDL 3 >>>x\nREPW 1 >>>a >>>b\nEXIT\n",
)


def byte_level_tokenizer(
    special: tuple[str, ...],
    *,
    lines: tuple[str, ...] = LINES,
    joined: bool = False,
    **names: str,
) -> PreTrainedTokenizerFast:
    """384 tokens of `lines`, and `special` ones; `names` says which is the `bos_token`, and so on.

    `joined` lets tokens reach over blanks and newlines, as many published tokenizers do.
    """
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not joined)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(lines * 5, trainer)
    extra = [token for token in special if token not in names.values()]
    return PreTrainedTokenizerFast(tokenizer_object=inner, additional_special_tokens=extra, **names)


def save_tiny_llama(folder: Path, tokenizer: PreTrainedTokenizerFast, **changes: object) -> Path:
    """A random two-layer Llama of 0.1 M parameters with this tokenizer, as a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "dtype": "float32",
    }
    LlamaForCausalLM(LlamaConfig(**{**config, **changes})).save_pretrained(folder)
    return folder
