"""Stand-ins for tokenizer, engine and sandbox, without vLLM, transformers or processes."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from redline.actors.settings import SamplingSettings
from redline.actors.tokens import PolicyTokenizer
from redline.dsl.tasks import RepairTask
from redline.replay.records import Completion
from redline.sandbox.records import (
    ExecutionRequest,
    InfrastructureError,
    TestResult,
    TestStatus,
    Verdict,
)

BOS, EOS = 256, 257


class ByteTokenizer:
    """One token for each byte, a BOS and an EOS."""

    bos_token_id: int | None = BOS
    eos_token_id: int | None = EOS

    def __init__(self) -> None:
        self.all_special_ids = [BOS, EOS]

    def __len__(self) -> int:
        return 258

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return list(text.encode())

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        data = bytes(i for i in token_ids if i < 256)
        return data.decode(errors="replace")


def tokenizer() -> PolicyTokenizer:
    return PolicyTokenizer(ByteTokenizer())


class ScriptedPolicy:
    """Answers each request with the next action of its episode's script."""

    def __init__(
        self, scripts: Sequence[Sequence[str]] | Callable[[int, int], str], version: int = 3
    ):
        self.scripts = scripts
        self.version = version
        self.prompts: list[np.ndarray] = []
        self.request_ids: list[str] = []
        self.finish_reason: str | None = None

    async def __call__(
        self, prompt: np.ndarray, sampling: SamplingSettings, request_id: str
    ) -> Completion:
        await asyncio.sleep(0)
        self.prompts.append(prompt.copy())
        self.request_ids.append(request_id)
        sample, turn = (int(part) for part in request_id.split("/")[-2:])
        text = self.scripts(sample, turn) if callable(self.scripts) else self.scripts[sample][turn]
        ids = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)
        ids = ids[: sampling.max_command_tokens]
        ended = len(ids) > 0 and ids[-1] == 10
        return Completion(
            token_ids=ids,
            logprobs=np.full(len(ids), -0.5, dtype=np.float32),
            weight_versions=np.full(len(ids), self.version, dtype=np.int32),
            text=bytes(ids.astype(np.uint8)).decode(errors="replace").split("\n")[0],
            finish_reason=self.finish_reason or ("stop" if ended else "length"),
        )


class FakeSandbox:
    """Passes a program when it is in `good`; counts and can fail."""

    def __init__(self, good: Sequence[str] = (), fail_first: int = 0, always_fail: str = "\0"):
        self.good = set(good)
        self.fail_first = fail_first
        self.always_fail = always_fail
        self.programs: list[str] = []
        self.batches: list[int] = []

    async def run(self, request: ExecutionRequest) -> Verdict:
        self.programs.append(request.program)
        await asyncio.sleep(0)
        if self.fail_first > 0 or request.program == self.always_fail:
            self.fail_first -= 1
            raise InfrastructureError("fork server died")
        return verdict(request.program in self.good)

    async def run_many(
        self, requests: Sequence[ExecutionRequest]
    ) -> list[Verdict | InfrastructureError]:
        self.batches.append(len(requests))
        return await asyncio.gather(*(self.run(r) for r in requests), return_exceptions=True)


def verdict(passed: bool) -> Verdict:
    status = TestStatus.PASS if passed else TestStatus.FAIL
    detail = "" if passed else "f(1) returned 2, expected 1"
    blind = "" if passed else "f(1) returned 2"
    test = TestResult(status=status, detail=detail, detail_blind=blind)
    return Verdict(tests=(test,), tier="none")


BROKEN = "def f(a):\n    return a + 1"
FIXED = "def f(a):\n    return a"


def task(**changes: object) -> RepairTask:
    values: dict = {
        "task_id": "t1",
        "prompt": "Return a.",
        "broken": BROKEN,
        "tests": ("assert f(1) == 1",),
        "source": "builtin/identity",
    }
    return RepairTask(**(values | changes))
