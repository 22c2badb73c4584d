"""What runs inside vLLM's worker (imports vllm): loading weights, and ending with the sampler.

vLLM mixes `WeightLoader` into its worker class, so these methods see the model itself. The bucket
of bytes comes through a file in shared memory; it is mapped, not copied.

Importing this module in a worker makes the process end with its sampler. vLLM's engine would
outlive a sampler that was killed, and keep its memory; the import comes before the model is loaded
and compiled, so a sampler that dies while it starts leaves nothing behind either.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from redline.actors.follow import follow_owner

follow_owner()

TensorRow = tuple[str, list[int], str, int, int]
"""Name, shape, dtype, offset and number of bytes of one tensor."""


class WeightLoader:
    """Methods added to the worker; called with `collective_rpc`."""

    model_runner: Any
    reload_weights: Callable[..., None]

    def redline_load_bucket(self, path: str, nbytes: int, rows: list[TensorRow]) -> None:
        """Replace all weights of the model by those of a bucket."""
        bucket = torch.from_file(path, shared=True, size=nbytes, dtype=torch.uint8)
        with torch.inference_mode():
            self.reload_weights(weights_iterator=_tensors(bucket, rows))
            _repack_embeddings(self.model_runner.get_model())


def _tensors(bucket: torch.Tensor, rows: list[TensorRow]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, shape, dtype, offset, nbytes in rows:
        flat = bucket[offset : offset + nbytes]
        yield name, flat.view(getattr(torch, dtype)).view(shape)


def _repack_embeddings(model: torch.nn.Module) -> None:
    """Refresh the packed copy that CPU builds keep of a tied output head.

    Loading replaces the embedding's weight, but the output head multiplies by a packed copy that
    was made at start: without this the head would silently keep its old weights.
    """
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding):
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)
