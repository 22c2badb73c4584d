import asyncio

import pytest

from redline.actors.judging import TaskJudge
from redline.sandbox.records import InfrastructureError, Limits

from .fakes import FakeSandbox, task


def test_asking_twice_at_once_executes_once():
    async def main():
        sandbox = FakeSandbox(good=["p"])
        judge = TaskJudge(task(), sandbox, Limits())
        verdicts = await asyncio.gather(*(judge.verdict("p") for _ in range(5)))
        return sandbox.programs, {v.passed for v in verdicts}

    assert asyncio.run(main()) == (["p"], {True})


def test_one_that_is_cancelled_leaves_the_verdict_to_the_others():
    async def main():
        sandbox = FakeSandbox(good=["p"])
        judge = TaskJudge(task(), sandbox, Limits())
        first = asyncio.ensure_future(judge.verdict("p"))
        second = asyncio.ensure_future(judge.verdict("p"))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).passed, len(sandbox.programs)

    assert asyncio.run(main()) == (True, 1)


def test_a_failure_is_raised_but_not_remembered():
    async def main():
        sandbox = FakeSandbox(good=["p"], fail_first=2)
        judge = TaskJudge(task(), sandbox, Limits(), attempts=2)
        with pytest.raises(InfrastructureError):
            await judge.verdict("p")
        return (await judge.verdict("p")).passed, len(sandbox.programs)

    assert asyncio.run(main()) == (True, 3)
