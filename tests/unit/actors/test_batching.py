import asyncio

import pytest

from redline.actors.batching import BatchingSandboxClient
from redline.sandbox.records import ExecutionRequest, InfrastructureError

from .fakes import FakeSandbox


def request(program: str) -> ExecutionRequest:
    return ExecutionRequest(program=program, tests=("assert True",))


def test_requests_that_come_together_go_together_and_get_their_own_answers():
    async def main():
        inner = FakeSandbox(good=["p1", "p3"])
        client = BatchingSandboxClient(inner)
        answers = await asyncio.gather(*(client.run(request(f"p{i}")) for i in range(5)))
        return inner.batches, [a.passed for a in answers]

    assert asyncio.run(main()) == ([5], [False, True, False, True, False])


def test_a_full_batch_does_not_wait():
    async def main():
        inner = FakeSandbox()
        client = BatchingSandboxClient(inner, delay_seconds=3600, max_batch=4)
        await asyncio.wait_for(
            asyncio.gather(*(client.run(request("p")) for _ in range(8))), timeout=5
        )
        return inner.batches

    assert asyncio.run(main()) == [4, 4]


def test_an_error_reaches_only_the_request_it_is_about():
    async def main():
        client = BatchingSandboxClient(FakeSandbox(good=["a"], always_fail="b"))
        return await asyncio.gather(
            client.run(request("a")), client.run(request("b")), return_exceptions=True
        )

    good, bad = asyncio.run(main())
    assert good.passed
    assert isinstance(bad, InfrastructureError)


def test_a_broken_call_is_an_infrastructure_error_for_all():
    class Broken(FakeSandbox):
        async def run_many(self, requests):
            raise ConnectionResetError("actor died")

    async def main():
        client = BatchingSandboxClient(Broken())
        return await asyncio.gather(
            *(client.run(request("p")) for _ in range(2)), return_exceptions=True
        )

    for error in asyncio.run(main()):
        assert isinstance(error, InfrastructureError)
        assert "actor died" in str(error)


def test_a_missing_answer_is_an_infrastructure_error():
    class Short(FakeSandbox):
        async def run_many(self, requests):
            return (await super().run_many(requests))[:-1]

    async def main():
        client = BatchingSandboxClient(Short())
        await asyncio.gather(*(client.run(request("p")) for _ in range(2)))

    with pytest.raises(InfrastructureError, match="1 of 2"):
        asyncio.run(main())


def test_a_cancelled_request_does_not_disturb_the_others():
    async def main():
        client = BatchingSandboxClient(FakeSandbox(good=["p"]))
        first = asyncio.ensure_future(client.run(request("p")))
        second = asyncio.ensure_future(client.run(request("p")))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).passed

    assert asyncio.run(main())
