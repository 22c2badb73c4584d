"""A sign of life of an engine that answers, is dead, or dies while it is asked."""

import asyncio

import pytest

from redline.actors import vllm_api


class Engine:
    """Answers, or not, as vLLM's front does."""

    dead_error = RuntimeError("the engine is dead")

    def __init__(self, *, answers=True, errored=False):
        self.answers, self.errored = answers, errored

    async def is_sleeping(self):
        if not self.answers:
            await asyncio.sleep(3600)
        return False


def test_one_that_answers_is_alive():
    asyncio.run(vllm_api.ping(Engine()))


def test_one_that_dies_while_it_is_asked_is_dead(monkeypatch):
    monkeypatch.setattr(vllm_api, "_LOOK_SECONDS", 0.01)

    async def main():
        engine = Engine(answers=False)
        asked = asyncio.ensure_future(vllm_api.ping(engine))
        await asyncio.sleep(0.03)
        assert not asked.done()
        engine.errored = True
        await asked

    with pytest.raises(RuntimeError, match="the engine is dead"):
        asyncio.run(main())
