"""What a weight update must hold, checked before the engine is touched."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redline.actors.errors import WeightMismatch
from redline.replay.records import TensorSpec, WeightUpdate

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTensor:
    """One tensor that the engine needs, by its name in the checkpoint."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As torch prints it without the prefix."""


def expected_tensors(model_path: str, dtype: str) -> tuple[ExpectedTensor, ...]:
    """Names and shapes of a policy's tensors, tied ones once (imports transformers).

    Read from the model's configuration alone: no weights are loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return tuple(
        ExpectedTensor(name=name, shape=tuple(p.shape), dtype=dtype)
        for name, p in model.named_parameters()
    )


def check_update(update: WeightUpdate, expected: Sequence[ExpectedTensor]) -> None:
    """Refuse an update that is not exactly the engine's tensors, or whose bytes changed.

    Raises WeightMismatch (not poisoned) naming the tensor, what came and what was expected.
    """
    wanted = {t.name: t for t in expected}
    given = {t.name: t for t in update.manifest}
    if len(given) != len(update.manifest):
        _refuse(update, "the manifest names a tensor twice")
    if missing := [name for name in wanted if name not in given]:
        _refuse(update, f"{len(missing)} tensors are missing, such as {_some(missing)}")
    if unknown := [name for name in given if name not in wanted]:
        _refuse(update, f"{len(unknown)} tensors are unknown, such as {_some(unknown)}")
    for name, spec in given.items():
        _check_tensor(update, spec, wanted[name])
    _check_payload(update)
    _check_probe(update)


def checksum(payload: np.ndarray) -> str:
    """Hex BLAKE2b-128 of the bytes."""
    return hashlib.blake2b(payload.data, digest_size=16).hexdigest()


def _check_tensor(update: WeightUpdate, got: TensorSpec, expected: ExpectedTensor) -> None:
    if got.shape != expected.shape:
        _refuse(update, f"tensor {got.name}: got shape {got.shape}, expected {expected.shape}")
    if got.dtype != expected.dtype:
        _refuse(update, f"tensor {got.name}: got dtype {got.dtype}, expected {expected.dtype}")
    size = int(np.prod(got.shape, dtype=np.int64)) * _BYTES[got.dtype]
    if got.nbytes != size:
        _refuse(update, f"tensor {got.name}: got {got.nbytes} bytes, expected {size}")
    if got.offset < 0 or got.offset + got.nbytes > len(update.payload):
        _refuse(
            update,
            f"tensor {got.name}: bytes {got.offset} to {got.offset + got.nbytes} lie outside of "
            f"the payload of {len(update.payload)} bytes",
        )


def _check_payload(update: WeightUpdate) -> None:
    if update.payload.dtype != np.uint8 or not update.payload.flags.c_contiguous:
        _refuse(update, f"payload: got {update.payload.dtype}, expected contiguous uint8")
    if (got := checksum(update.payload)) != update.checksum:
        _refuse(update, f"payload: got checksum {got}, expected {update.checksum}")


def _check_probe(update: WeightUpdate) -> None:
    tokens, scores = len(update.probe.token_ids), len(update.probe.logprobs)
    if tokens < 2 or scores != tokens - 1:
        _refuse(
            update,
            f"probe: got {tokens} tokens and {scores} log-probabilities, expected at least 2 and "
            "one less",
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN])


def _refuse(update: WeightUpdate, why: str) -> None:
    raise WeightMismatch(
        f"weight version {update.version} refused: {why}; the engine keeps its version",
        poisoned=False,
    )
