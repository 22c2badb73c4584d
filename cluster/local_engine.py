"""An engine of this machine for one command: a sampler without Ray, in a process of its own."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redline.cluster.config import RunConfig
from redline.cluster.display.progress import Progress
from redline.cluster.errors import UserError, WorkFailed, one_line
from redline.sandbox.settings import limits_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redline.actors.sampler import Sampler
    from redline.sandbox.pool import SandboxPool

_CONTEXT = 2048
_CACHED_TOKENS = 256
"""Tokens for each episode that the KV cache has room for; what they share is there once."""
_MIN_CACHE_GIB = 0.25
_SECONDS_TO_START = 600.0


def engine_overrides(model: str, *, episodes: int = 32) -> list[str]:
    """Settings for one user on this machine, from the shape of the model.

    `episodes` is how many run at once. Raises UserError for a config.json that cannot be read.
    """
    shape = _shape(model)
    context = min(_CONTEXT, int(shape.get("max_position_embeddings") or _CONTEXT))
    heads = int(shape.get("num_attention_heads") or 1)
    width = int(shape.get("head_dim") or int(shape.get("hidden_size") or 1) // heads)
    kept = int(shape.get("num_key_value_heads") or heads) * width
    token_bytes = 2 * 4 * kept * int(shape.get("num_hidden_layers") or 1)
    cache = max(_MIN_CACHE_GIB, token_bytes * _CACHED_TOKENS * episodes / 2**30)
    gpu = Path("/dev/nvidia0").exists()
    return [
        f"rollout.engine.max_model_len={context}",
        f"rollout.engine.kv_cache_gib={cache:.3f}",
        f"rollout.engine.dtype={'auto' if gpu else 'float32'}",
        f"rollout.engine.omp_threads={len(os.sched_getaffinity(0))}",
        f"rollout.engine.max_num_seqs={episodes}",
        # Compiling takes longer than what it would save in such short work.
        "rollout.engine.enforce_eager=true",
    ]


@asynccontextmanager
async def started(
    model: str,
    config: RunConfig,
    pool: "SandboxPool",
    progress: Progress,
    *,
    name: str = "repair",
) -> "AsyncIterator[Sampler]":
    """A sampler without Ray, its engine in a process that ends with the block.

    Raises UserError when the model cannot be served, WorkFailed when its engine fails later.
    """
    from redline.actors.errors import EngineError
    from redline.actors.sampler import Sampler

    sampler = Sampler(
        model_path=model,
        rollout=config.rollout,
        sandbox=pool,
        prompts=config.prompt,
        rewards=config.reward,
        limits=limits_of(config.sandbox),
        name=name,
        seed=config.seed,
    )
    try:
        with output_to_stderr():
            await _start(sampler, model, progress)
            yield sampler
    except EngineError as error:
        raise WorkFailed(f"policy {model}: {one_line(error)}") from error
    finally:
        await sampler.close()


async def _start(sampler: "Sampler", model: str, progress: Progress) -> None:
    from redline.actors.errors import EngineError

    try:
        with progress.phase(f"loading {model}"):
            await asyncio.wait_for(sampler.start(), _SECONDS_TO_START)
    except TimeoutError as error:
        raise WorkFailed(f"policy {model}: no engine after {_SECONDS_TO_START:.0f} s") from error
    except (EngineError, OSError, ValueError) as error:
        raise UserError(f"policy {model}: {one_line(error)}") from error


@contextmanager
def output_to_stderr() -> Iterator[None]:
    """Let whatever an engine prints, its own processes included, keep away from stdout."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _shape(model: str) -> dict[str, Any]:
    """The model's config.json; empty for a hub name."""
    path = Path(model) / "config.json"
    if not path.is_file():
        return {}
    try:
        shape = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON: {one_line(error)}") from error
    if not isinstance(shape, dict):
        raise UserError(f"{path}: expected a JSON object")
    return shape
