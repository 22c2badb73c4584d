"""What the tool says of each program on the way of a repair, with as few executions as it takes.

Every distinct program of a task is executed once. Programs that cannot even be loaded need less:
what the sandbox says of them is a function of the compiler's complaint, so only the first program
with a certain complaint is executed and its feedback holds for the others. About half of the
programs that random edits leave behind are such.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from redline.actors.judging import feedback_of
from redline.cluster.demos.statistics import DemoCounts
from redline.cluster.program_status import SYNTAX, first_status, syntax_error
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.sandbox.client import SandboxClient
from redline.sandbox.records import Limits, TestStatus
from redline.sandbox.task_runner import request_for

_Complaint = tuple[str, str, str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Feedback on one program."""

    text: str
    """As the policy reads it; empty when all tests pass."""
    status: str
    """`pass`, `syntax`, or the status of the first failing test."""

    @property
    def passed(self) -> bool:
        """Whether all tests pass."""
        return self.status == TestStatus.PASS


class ProgramFeedback:
    """Asks a sandbox about programs and remembers the answers that may be needed again."""

    def __init__(self, sandbox: SandboxClient, limits: Limits, prompt: PromptSettings) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._prompt = prompt
        self._complaints: dict[_Complaint, asyncio.Task[Told]] = {}

    async def of(
        self, task: RepairTask, programs: Sequence[str], counts: DemoCounts
    ) -> dict[str, Told]:
        """Feedback on each distinct program against the tests of a task; counts executions.

        Raises InfrastructureError when a program has no verdict after all retries.
        """
        distinct = list(dict.fromkeys(programs))
        told = await asyncio.gather(*(self._told(task, program, counts) for program in distinct))
        return dict(zip(distinct, told, strict=True))

    async def close(self) -> None:
        """End the executions that nobody waits for any more."""
        for asked in self._complaints.values():
            asked.cancel()
        await asyncio.gather(*self._complaints.values(), return_exceptions=True)

    async def _told(self, task: RepairTask, program: str, counts: DemoCounts) -> Told:
        complaint = _complaint_of(task.setup, program)
        if complaint is None:
            return await self._execute(task, program, counts)
        known = self._complaints.get(complaint)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = asyncio.ensure_future(self._execute(task, program, counts, SYNTAX))
            self._complaints[complaint] = known
        return await asyncio.shield(known)

    async def _execute(
        self, task: RepairTask, program: str, counts: DemoCounts, status: str = ""
    ) -> Told:
        counts.executions += 1
        request = request_for(task, program, self._limits, stop_at_failure=True)
        verdict = await self._sandbox.run(request)
        return Told(text=feedback_of(verdict, self._prompt), status=status or first_status(verdict))


def _complaint_of(setup: str, program: str) -> _Complaint | None:
    """What the compiler says against a program, or None if it has to be executed.

    The setup is part of it: where that fails, the program is not even compiled.
    """
    error = syntax_error(program)
    return None if error is None else (setup, type(error).__name__, error.msg, error.lineno)
