"""What runs inside vLLM's worker (imports vllm): loading weights, and ending with the sampler.

vLLM mixes `WeightLoader` into its worker class, so these methods see the model itself. Whatever the
transport, an update becomes a stream of all weights by name, and takes the same way into the model.
Of an adapter, the weights are those of the policy's own files with the adapter's change added; the
files are mapped, not held.

Importing this module in a worker makes the process end with its sampler. vLLM's engine would
outlive a sampler that was killed, and keep its memory; the import comes before the model is loaded
and compiled, so a sampler that dies while it starts leaves nothing behind either.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from redline.actors.follow import follow_owner
from redline.actors.gpu_buckets import Receiver, open_handle
from redline.actors.intakes import Source
from redline.actors.low_rank import LowRankRow, merged

follow_owner()

TensorRow = tuple[str, list[int], str, int, int, int]
"""Name, shape, dtype, bucket, offset in it and number of bytes of one tensor."""
NamedTensor = tuple[str, torch.Tensor]


class WeightLoader:
    """Methods added to the worker; called with `collective_rpc`."""

    model_runner: Any
    device: torch.device
    reload_weights: Callable[..., None]
    rank: int
    _base: dict[str, torch.Tensor] | None = None
    _receiver: Receiver | None = None

    def redline_load(
        self, source: Source, rows: list[TensorRow], adapter: list[LowRankRow]
    ) -> None:
        """Replace all weights of the model by those of an update."""
        sent = _tensors(self._buckets(source), rows)
        with torch.inference_mode():
            weights = self._merged(dict(sent), adapter) if adapter else sent
            self.reload_weights(weights_iterator=weights)
            _repack_embeddings(self.model_runner.get_model())
        if self.device.type != "cpu":
            torch.accelerator.synchronize()  # the learner may change what it shares from now on

    def _buckets(self, source: Source) -> Iterator[torch.Tensor]:
        """The buckets of an update one after the other, (n,) bytes each."""
        transport, contents, sizes = source
        if transport == "ipc":
            for handle in contents:
                yield open_handle(handle, self.device)
        elif transport == "nccl":
            self._receiver = self._receiver or Receiver(self.device, self.rank)
            yield from self._receiver.buckets(contents[0], sizes)
        else:
            (path,) = contents
            file = torch.from_file(path, shared=True, size=sum(sizes), dtype=torch.uint8)
            yield from file.split(sizes)

    def _merged(
        self, sent: dict[str, torch.Tensor], adapter: list[LowRankRow]
    ) -> Iterator[NamedTensor]:
        """The policy's own weights, with the change of each that the adapter names."""
        if self._base is None:
            self._base = _files_of(self.model_runner)
        changes = {row[0]: row for row in adapter}
        if missing := [name for name in changes if name not in self._base]:
            raise ValueError(f"the policy's files hold no {missing[0]}, which the adapter changes")
        dtype = self.model_runner.model_config.dtype
        for name, stored in self._base.items():
            if name in changes:
                own = stored.to(self.device, dtype)
                yield name, merged(own, sent, changes[name])
            else:
                yield name, stored


def _tensors(buckets: Iterator[torch.Tensor], rows: list[TensorRow]) -> Iterator[NamedTensor]:
    """All tensors in the order of their buckets."""
    at, bucket = -1, torch.empty(0)
    for name, shape, dtype, index, offset, nbytes in rows:
        while at < index:
            at, bucket = at + 1, next(buckets)
        flat = bucket[offset : offset + nbytes]
        yield name, flat.view(getattr(torch, dtype)).view(shape)


def _files_of(model_runner: Any) -> dict[str, torch.Tensor]:
    """The weights in the files that the model was loaded from, by their names there."""
    from vllm.model_executor.model_loader import get_model_loader

    loader = get_model_loader(model_runner.vllm_config.load_config)
    return dict(loader.get_all_weights(model_runner.model_config, model_runner.get_model()))


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
