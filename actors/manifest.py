"""What a weight update must hold, checked before the engine is touched.

Its tensors may be of another floating point type than the engine's, which converts them as it does
those of a file; the probe bounds what that changes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from redline.actors.errors import WeightMismatch
from redline.replay.records import BucketContent, TensorSpec, WeightUpdate

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTensor:
    """One tensor that the engine needs, by its name in the checkpoint."""

    name: str
    shape: tuple[int, ...]


def expected_tensors(model_path: str) -> tuple[ExpectedTensor, ...]:
    """Names and shapes of a policy's tensors, tied ones once (imports transformers).

    Read from the model's configuration alone: no weights are loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return tuple(
        ExpectedTensor(name=name, shape=tuple(p.shape)) for name, p in model.named_parameters()
    )


def check_update(
    update: WeightUpdate, contents: Sequence[BucketContent], expected: Sequence[ExpectedTensor]
) -> None:
    """Refuse an update that does not make up exactly the engine's weights, or whose bytes changed.

    Raises WeightMismatch (not poisoned) naming the tensor, what came and what was expected.
    """
    given = {t.name: t for t in update.manifest}
    if len(given) != len(update.manifest):
        _refuse(update, "the manifest names a tensor twice")
    order = [t.bucket for t in update.manifest]
    if order != sorted(order):
        _refuse(update, "the manifest is not in the order of the buckets")
    known = {t.name: t for t in expected}
    wanted = _adapter_tensors(update, given, known) if update.adapter else known
    if missing := [name for name in wanted if name not in given]:
        _refuse(update, f"{len(missing)} tensors are missing, such as {_some(missing)}")
    if unknown := [name for name in given if name not in wanted]:
        _refuse(update, f"{len(unknown)} tensors are unknown, such as {_some(unknown)}")
    for name, spec in given.items():
        _check_tensor(update, spec, wanted[name])
    _check_contents(update, contents)
    _check_probe(update)


def checksum(content: np.ndarray) -> str:
    """Hex BLAKE2b-128 of the bytes."""
    return hashlib.blake2b(content.data, digest_size=16).hexdigest()


def _adapter_tensors(
    update: WeightUpdate, given: dict[str, TensorSpec], known: dict[str, ExpectedTensor]
) -> dict[str, ExpectedTensor]:
    """What an adapter of these weights consists of; its rank is its own affair."""
    wanted: dict[str, ExpectedTensor] = {}
    for entry in update.adapter:
        weight = known.get(entry.weight)
        if weight is None or len(weight.shape) != 2:
            _refuse(update, f"the adapter changes {entry.weight}, which is no matrix of the engine")
        down = given.get(entry.down)
        rank = down.shape[0] if down and down.shape else 0
        rows, columns = weight.shape[::-1] if entry.transposed else weight.shape
        for name, shape in ((entry.down, (rank, columns)), (entry.up, (rows, rank))):
            wanted[name] = ExpectedTensor(name=name, shape=shape)
    return wanted


def _check_tensor(update: WeightUpdate, got: TensorSpec, expected: ExpectedTensor) -> None:
    if got.shape != expected.shape:
        _refuse(update, f"tensor {got.name}: got shape {got.shape}, expected {expected.shape}")
    if got.dtype not in _BYTES:
        known = ", ".join(_BYTES)
        _refuse(update, f"tensor {got.name}: got dtype {got.dtype}, expected one of {known}")
    size = int(np.prod(got.shape, dtype=np.int64)) * _BYTES[got.dtype]
    if got.nbytes != size:
        _refuse(update, f"tensor {got.name}: got {got.nbytes} bytes, expected {size}")
    if not 0 <= got.bucket < len(update.buckets):
        _refuse(
            update, f"tensor {got.name}: got bucket {got.bucket} of {len(update.buckets)} buckets"
        )
    bucket = update.buckets[got.bucket].nbytes
    if got.offset < 0 or got.offset + got.nbytes > bucket or got.offset % _BYTES[got.dtype]:
        _refuse(
            update,
            f"tensor {got.name}: bytes {got.offset} to {got.offset + got.nbytes} do not lie in "
            f"elements of bucket {got.bucket} of {bucket} bytes",
        )


def _check_contents(update: WeightUpdate, contents: Sequence[BucketContent]) -> None:
    """What passes through the host is compared byte by byte; of the rest the probe tells."""
    if update.transport == "nccl":
        return
    if len(contents) != len(update.buckets):
        _refuse(update, f"got {len(contents)} buckets, expected {len(update.buckets)}")
    for index, (spec, content) in enumerate(zip(update.buckets, contents, strict=True)):
        if isinstance(content, bytes):
            continue
        if content.dtype != np.uint8 or not content.flags.c_contiguous:
            _refuse(update, f"bucket {index}: got {content.dtype}, expected contiguous uint8")
        if len(content) != spec.nbytes:
            _refuse(update, f"bucket {index}: got {len(content)} bytes, expected {spec.nbytes}")
        if (got := checksum(content)) != spec.checksum:
            _refuse(update, f"bucket {index}: got checksum {got}, expected {spec.checksum}")


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


def _refuse(update: WeightUpdate, why: str) -> NoReturn:
    raise WeightMismatch(
        f"weight version {update.version} refused: {why}; the engine keeps its version",
        poisoned=False,
    )
