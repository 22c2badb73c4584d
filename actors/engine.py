"""The policy as a service: tokens in, sampled tokens out, and new weights while it runs.

What always holds:
- every token carries its log-probability under the distribution it was sampled from and the
  version of the weights that sampled it;
- nothing sampled by new weights is handed out before a probe has proven them;
- an engine whose update failed never samples again.
"""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from redline.actors import vllm_api
from redline.actors.engine_counts import EngineCounts
from redline.actors.errors import EngineError, StartError, WeightMismatch
from redline.actors.intakes import Source, staged
from redline.actors.manifest import ExpectedTensor, check_update, expected_tensors
from redline.actors.records import EngineStats
from redline.actors.settings import EngineSettings, SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.decoding import action_grammar
from redline.replay.records import (
    BucketContent,
    Completion,
    Float32,
    Int32,
    WeightReceipt,
    WeightUpdate,
)

_PROBE_PRIORITY = -1
"""Before every episode: others wait for the proof."""


class PolicyEngine:
    """One vLLM engine with its own process, serving one version of the policy at a time."""

    def __init__(
        self,
        *,
        llm: Any,
        settings: EngineSettings,
        tokenizer: PolicyTokenizer,
        expected: tuple[ExpectedTensor, ...],
        name: str,
        version: int,
        grammar: bool = False,
        counts: EngineCounts | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.expected = expected
        self._llm = llm
        self._counts = counts
        self._max_model_len = settings.max_model_len
        self._knows_grammar = grammar
        self._keep_kv_cache = settings.keep_kv_cache
        self._version = version
        self._stop_token_ids = list(tokenizer.stop_token_ids)
        self._updating = asyncio.Lock()
        self._proven = asyncio.Event()
        self._proven.set()
        self._broken: str | None = None
        self._probe_numbers = itertools.count()

    @classmethod
    async def start(
        cls,
        model_path: str,
        settings: EngineSettings,
        *,
        seed: int = 0,
        name: str = "sampler",
        version: int = 0,
        grammar: bool = False,
    ) -> "PolicyEngine":
        """Start an engine with the weights of a policy folder, called `version`.

        With `grammar` it can sample under the editor's grammar. Blocks the event loop until the
        engine's process is up (seconds; more when the machine is busy). Raises StartError.
        """
        tokenizer = PolicyTokenizer.load(model_path)
        if grammar:
            _check_can_end(tokenizer, model_path)
        counts = EngineCounts() if settings.stats else None
        llm = vllm_api.start_engine(model_path, settings, seed, grammar=grammar, counts=counts)
        engine = cls(
            llm=llm,
            settings=settings,
            tokenizer=tokenizer,
            expected=expected_tensors(model_path),
            name=name,
            version=version,
            grammar=grammar,
            counts=counts,
        )
        await vllm_api.label_version(llm, version)
        return engine

    @property
    def version(self) -> int:
        """Version of the weights that are served."""
        return self._version

    @property
    def broken(self) -> str | None:
        """Why the engine must be replaced, or None while it is sound."""
        return self._broken

    @property
    def stats(self) -> EngineStats | None:
        """What the engine's process told; None when it does not count."""
        return None if self._counts is None else self._counts.stats()

    async def warm_up(self) -> float:
        """Run what is compiled on first use and return how many seconds it took."""
        began = time.perf_counter()
        sampling = SamplingSettings(max_command_tokens=4)
        prompt = np.asarray(self.tokenizer.encode_state("1|pass\n***\n", first=True))
        await asyncio.gather(
            *(self.generate(prompt, sampling, f"{self.name}-warm-up-{i}") for i in range(4))
        )
        return time.perf_counter() - began

    async def generate(
        self,
        prompt: Int32,
        sampling: SamplingSettings,
        request_id: str,
        *,
        cache_salt: str | None = None,
        stop_token_ids: Sequence[int] | None = None,
    ) -> Completion:
        """Sample one action after a context of tokens, shape (n,).

        The action ends with the first token that holds a newline, with the end of text, or at
        `max_command_tokens`; with `stop_token_ids`, with one of these instead. Under
        `sampling.grammar` all tokens are those of a command. `request_id` must not be in use.
        Requests find each other's contexts in the prefix cache when they have the same
        `cache_salt`. Raises EngineError when the engine must be replaced.
        """
        self._check_sound()
        oldest = self._version
        params = self._params(len(prompt), sampling, request_id, stop_token_ids)
        output = await self._run(prompt.tolist(), params, request_id, cache_salt=cache_salt)
        # Sampled while an update was not proven yet: wait for the proof, or fail with it.
        await self._proven.wait()
        self._check_sound()
        completion = self._completion(output.outputs[0], oldest)
        return self._one_line(completion) if sampling.grammar else completion

    async def update_weights(
        self,
        update: WeightUpdate,
        contents: Sequence[BucketContent] = (),
        *,
        tolerance: float = 1e-3,
    ) -> WeightReceipt:
        """Serve a new version from now on; running requests go on with the new weights.

        `contents` are the bytes of each bucket, or what opens them.

        Raises WeightMismatch: not poisoned when the update was refused and nothing changed,
        poisoned when the probe differs by more than `tolerance` or the update broke half-way.
        """
        async with self._updating:
            self._check_sound()
            began = time.perf_counter()
            check_update(update, contents, self.expected)
            with staged(update, contents) as source:
                pause_ms, logprobs = await self._replace_weights(update, source)
            max_abs_dlogp = self._prove(update, logprobs, tolerance)
            return WeightReceipt(
                worker=self.name,
                version=update.version,
                max_abs_dlogp=max_abs_dlogp,
                pause_ms=pause_ms,
                total_ms=1e3 * (time.perf_counter() - began),
            )

    async def score(self, token_ids: Int32) -> Float32:
        """Log-probabilities of tokens 1..n-1 given those before, shape (n - 1,)."""
        self._check_sound()
        return await self._score(token_ids)

    async def ping(self) -> None:
        """Return once the engine's process has answered; one that is dead is broken then."""
        llm = self._llm
        try:
            await vllm_api.ping(llm)
        except vllm_api.engine_errors() as error:
            if self._broken is None:
                self._fail(f"its process died: {error}")

    def shutdown(self) -> None:
        """Stop the engine's process."""
        self._fail(self._broken or "it was shut down")
        llm, self._llm = self._llm, None
        if llm is not None:
            vllm_api.stop_engine(llm)

    async def _replace_weights(self, update: WeightUpdate, source: Source) -> tuple[float, Float32]:
        """Pause, load, label, resume, score the probe; return milliseconds paused and scores."""
        self._proven.clear()
        try:
            await vllm_api.pause(self._llm, keep_cache=self._keep_kv_cache)
            paused = time.perf_counter()
            await vllm_api.load_weights(self._llm, source, update)
            await vllm_api.label_version(self._llm, update.version)
            probing = asyncio.ensure_future(self._score(update.probe.token_ids))
            await self._llm.resume_generation()
            pause_ms = 1e3 * (time.perf_counter() - paused)
            return pause_ms, await probing
        except BaseException as error:
            self._fail(f"the update to version {update.version} broke half-way: {error}")
            if isinstance(error, Exception) and not isinstance(error, WeightMismatch):
                raise WeightMismatch(str(self._broken), poisoned=True) from error
            raise

    def _prove(self, update: WeightUpdate, logprobs: Float32, tolerance: float) -> float:
        """Compare the probe's scores; only then let anything out that the new weights sampled."""
        difference = float(np.max(np.abs(logprobs - update.probe.logprobs)))
        if not difference <= tolerance:
            self._fail(
                f"weight version {update.version} did not arrive: the probe's log-probabilities "
                f"differ by {difference:.3g}, expected at most {tolerance:.3g}; replace the worker"
            )
            raise WeightMismatch(str(self._broken), poisoned=True)
        self._version = update.version
        self._proven.set()
        return difference

    async def _score(self, token_ids: Int32) -> Float32:
        request_id = f"{self.name}-probe-{next(self._probe_numbers)}"
        output = await self._run(
            token_ids.tolist(), vllm_api.probe_params(), request_id, priority=_PROBE_PRIORITY
        )
        return vllm_api.prompt_logprobs(output, token_ids)

    async def _run(
        self,
        token_ids: list[int],
        params: Any,
        request_id: str,
        *,
        priority: int = 0,
        cache_salt: str | None = None,
    ) -> Any:
        llm = self._llm
        try:
            return await vllm_api.run_request(
                llm, token_ids, params, request_id, priority=priority, cache_salt=cache_salt
            )
        except vllm_api.engine_errors() as error:
            if self._broken is None and llm.errored:
                self._fail(f"its process died: {error}")
            self._check_sound()
            raise EngineError(f"request {request_id} failed: {error}") from error

    def _params(
        self,
        prompt_length: int,
        sampling: SamplingSettings,
        request_id: str,
        stop_token_ids: Sequence[int] | None,
    ) -> Any:
        room = self._max_model_len - prompt_length
        if room < 1:
            raise ValueError(
                f"context of {prompt_length} tokens: expected fewer than max_model_len "
                f"{self._max_model_len}"
            )
        if sampling.grammar and not self._knows_grammar:
            raise ValueError(f"engine {self.name} was started without grammar: expected with it")
        stops = self._stop_token_ids if stop_token_ids is None else stop_token_ids
        return vllm_api.sampling_params(
            sampling,
            max_tokens=min(sampling.max_command_tokens, room),
            stop_token_ids=list(self.tokenizer.command_stop_ids if sampling.grammar else stops),
            grammar=action_grammar() if sampling.grammar else None,
            seed=_request_seed(sampling.seed, request_id),
        )

    def _completion(self, output: Any, oldest: int) -> Completion:
        token_ids = np.asarray(output.token_ids, dtype=np.int32)
        return Completion(
            token_ids=token_ids,
            logprobs=vllm_api.sampled_logprobs(output, token_ids),
            weight_versions=vllm_api.version_spans(output, oldest),
            text=self.tokenizer.decode_action(token_ids),
            finish_reason=output.finish_reason or "abort",
        )

    def _one_line(self, completion: Completion) -> Completion:
        """The action without what the engine had to draw after a newline inside a token.

        Only a token that is nothing but a newline is a stop token under a grammar. Which of the
        possible ends came after another does not change the probability of what stands before.
        """
        if self.tokenizer.ends_line(completion.token_ids[:-1]):
            return replace(
                completion,
                token_ids=completion.token_ids[:-1],
                logprobs=completion.logprobs[:-1],
                weight_versions=completion.weight_versions[:-1],
                finish_reason="stop",
            )
        if self.tokenizer.ends_line(completion.token_ids) and completion.finish_reason == "length":
            return replace(completion, finish_reason="stop")
        return completion

    def _check_sound(self) -> None:
        if self._broken is not None:
            raise EngineError(f"engine {self.name} must be replaced: {self._broken}")

    def _fail(self, why: str) -> None:
        self._broken = why
        self._proven.set()


def _check_can_end(tokenizer: PolicyTokenizer, model_path: str) -> None:
    try:
        tokenizer.command_stop_ids  # noqa: B018 - computed once, here
    except ValueError as error:
        raise StartError(f"policy {model_path!r}: {error}") from error


def _request_seed(seed: int | None, request_id: str) -> int | None:
    """A seed of its own for each request: one for all would make all samples of a group equal."""
    if seed is None:
        return None
    digest = hashlib.blake2b(f"{seed}/{request_id}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")
