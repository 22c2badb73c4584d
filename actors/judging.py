"""Verdicts on the programs of one task, each program executed once."""

import asyncio

from redline.dsl.feedback import feedback_from_details
from redline.dsl.settings import PromptSettings
from redline.dsl.tasks import RepairTask
from redline.sandbox.client import SandboxClient
from redline.sandbox.records import (
    ExecutionRequest,
    InfrastructureError,
    Limits,
    TestStatus,
    Verdict,
)


class TaskJudge:
    """Judges programs of one task and remembers the verdicts.

    A verdict is a function of program and tests, and the episodes of a group meet the same
    programs again and again (all begin with the same one), so one judge serves the whole group.
    Asking twice at once waits for the same execution.
    """

    def __init__(
        self, task: RepairTask, sandbox: SandboxClient, limits: Limits, *, attempts: int = 2
    ) -> None:
        self._task = task
        self._sandbox = sandbox
        self._limits = limits
        self._attempts = attempts
        self._known: dict[str, asyncio.Task[Verdict]] = {}

    async def verdict(self, program: str) -> Verdict:
        """Verdict of a program; raises InfrastructureError when all attempts failed.

        A failure is not remembered: the next who asks tries again.
        """
        pending = self._known.get(program)
        if pending is None:
            pending = asyncio.ensure_future(self._execute(program))
            self._known[program] = pending
        try:
            # Shielded: one episode that is cancelled must not take the others' verdict with it.
            return await asyncio.shield(pending)
        except InfrastructureError:
            if self._known.get(program) is pending:
                del self._known[program]
            raise

    async def _execute(self, program: str) -> Verdict:
        request = ExecutionRequest(
            program=program,
            tests=self._task.tests,
            setup=self._task.setup,
            entry_point=self._task.entry_point,
            limits=self._limits,
        )
        for _ in range(self._attempts - 1):
            try:
                return await self._sandbox.run(request)
            except InfrastructureError:
                continue
        return await self._sandbox.run(request)


def feedback_of(verdict: Verdict, settings: PromptSettings) -> str:
    """What the policy is told about a verdict; empty when every test passed."""
    passed = [t.status is TestStatus.PASS for t in verdict.tests]
    details = [t.detail if settings.show_expected else t.detail_blind for t in verdict.tests]
    return feedback_from_details(passed, details, settings)
