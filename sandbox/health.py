"""Whether a fork server still does its work: a program whose verdict is known."""

from redline.sandbox.execution import execute
from redline.sandbox.records import ExecutionRequest, InfrastructureError, TestStatus
from redline.sandbox.server import ForkServer

_KNOWN = ExecutionRequest(
    program="def add(a, b):\n    return a + b\n",
    tests=("assert add(1, 2) == 3", "assert add(1, 2) == 4"),
    entry_point="add",
)
_EXPECTED = [TestStatus.PASS, TestStatus.FAIL]


async def is_healthy(server: ForkServer) -> bool:
    """Run the known program; False when the server fails or says anything but the truth."""
    try:
        verdict = await execute(_KNOWN, server.run, server.facts.tier)
    except InfrastructureError:
        return False
    return [result.status for result in verdict.tests] == _EXPECTED
