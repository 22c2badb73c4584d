"""A small byte-level tokenizer made for editing Python.

Cuts a text so that a small model finds copying easy:
- a newline, each digit, `|` and `>>>` are tokens of their own, so the content of a line reads the
  same in a numbered state line (`3|    return x`) and in a command (`REPL 3 >>>    return x`);
- names never absorb the blanks around them, so a name is the same tokens wherever it stands;
- keywords and punctuation do absorb single blanks (`return `, ` = `, `) `), which saves tokens;
- frequent pieces are whole tokens of their own, without the detour of byte-pair merges.

Every byte is in the vocabulary, so any text survives encode and decode.
"""

import json
from collections import Counter
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"
SPECIAL_TOKENS = (BOS, EOS, PAD)

REQUIRED = (
    *("\n", "|", ">>>", " >>>", "***", "### "),
    *("ADDL ", "DELL ", "REPL ", "REPW ", "EXIT", "error", ": "),
    *("  ", "    ", "        ", "            "),
)
"""Pieces that are whole tokens whatever the corpus says."""

_KEYWORDS = (
    "return|if|elif|else|for|while|in|not|and|or|is|def|break|continue|pass|None|True|False|lambda"
    "|the|of|to|with|that|from|by|each|every|than|when|an|The|Return|function|Write"
)
_PATTERN = "|".join(
    (
        r"\n",
        r"\|",
        r" ?>>>",
        r"\*\*\*",
        r"### ",
        r"(?:ADDL|DELL|REPL|REPW) ",
        r"[0-9]",
        rf" ?(?:{_KEYWORDS})\b ?",
        r"[A-Za-z_]+",
        r"(?:(?! ?>>>|\*\*\*|### )[^A-Za-z0-9_\n|])+",
    )
)
_MERGE_SHARE = 0.35
"""Share of the free vocabulary given to byte-pair merges; the rest goes to whole pieces."""


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Tokenizer of at most `vocab_size` tokens, special tokens included, fitted to `texts`.

    Raises ValueError when `vocab_size` cannot hold all bytes, specials and required pieces.
    """
    cutter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    required = [_byte_letters(piece) for piece in REQUIRED]
    fixed = list(dict.fromkeys([*sorted(pre_tokenizers.ByteLevel.alphabet()), *required]))
    free = vocab_size - len(fixed) - len(SPECIAL_TOKENS)
    if free < 0:
        raise ValueError(
            f"vocab_size is {vocab_size}, expected at least {vocab_size - free}: all bytes, "
            f"the special tokens and the {len(REQUIRED)} pieces that commands are made of"
        )
    merges = _train_merges(texts, cutter, int(free * _MERGE_SHARE))
    pieces = list(dict.fromkeys([*fixed, *(left + right for left, right in merges)]))
    room = vocab_size - len(SPECIAL_TOKENS) - len(pieces)
    pieces += _frequent_pieces(texts, cutter, set(pieces), room)

    vocab = {piece: index for index, piece in enumerate((*SPECIAL_TOKENS, *pieces))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = cutter
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=1_000_000,
    )


def _byte_letters(text: str) -> str:
    """The letters that stand for the bytes of `text` in a byte-level vocabulary."""
    cutter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(piece for piece, _ in cutter.pre_tokenize_str(text))


def _train_merges(
    texts: Sequence[str], cutter: pre_tokenizers.PreTokenizer, count: int
) -> list[tuple[str, str]]:
    """The first `count` byte-pair merges of the texts."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cutter
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + count,
        initial_alphabet=sorted(alphabet),
        show_progress=False,
        special_tokens=[],
    )
    tokenizer.train_from_iterator(texts, trainer)
    return [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]


def _frequent_pieces(
    texts: Sequence[str], cutter: pre_tokenizers.PreTokenizer, known: set[str], count: int
) -> list[str]:
    """The `count` pieces whose becoming one token saves most, ties broken by spelling."""
    pieces: Counter[str] = Counter()
    for text in texts:
        pieces.update(piece for piece, _ in cutter.pre_tokenize_str(text))
    new = [piece for piece in pieces if piece not in known]
    new.sort(key=lambda piece: (-pieces[piece] * min(len(piece) - 1, 4), piece))
    return new[:count]
