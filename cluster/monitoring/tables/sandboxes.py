"""What each sandbox does."""

from functools import partial

from redline.cluster.monitoring.definitions import Kind, Role, of_worker

_of_sandbox = partial(of_worker, Role.SANDBOX)

METRICS = (
    _of_sandbox(
        "redline_sandbox_executions", Kind.COUNTER, "executions",
        "Verdicts given: a program with all its tests is one.",
        "No growth with queued ones: its fork servers hang or are gone.",
    ),
    _of_sandbox(
        "redline_sandbox_executions_per_second", Kind.GAUGE, "1/s",
        "Verdicts given, over the last ten seconds.",
        "Falls while programs queue: programs run into their limits, see kills.",
    ),
    _of_sandbox(
        "redline_sandbox_running", Kind.GAUGE, "executions",
        "Programs that run now.",
        "Always at `redline_sandbox_servers` with a queue: raise `sandbox.workers_per_actor`.",
    ),
    _of_sandbox(
        "redline_sandbox_queued", Kind.GAUGE, "executions",
        "Programs that wait for a fork server.",
        "Above 0 for long: more sandboxes or servers, or episodes wait for verdicts.",
    ),
    _of_sandbox(
        "redline_sandbox_servers", Kind.GAUGE, "servers",
        "Fork servers that the sandbox keeps.",
        "None: it is `sandbox.workers_per_actor`.",
    ),
    _of_sandbox(
        "redline_sandbox_retries", Kind.COUNTER, "executions",
        "Executions started again after an infrastructure error.",
        "Grows: see sandbox failures in the runbook.",
    ),
    _of_sandbox(
        "redline_sandbox_infrastructure_errors", Kind.COUNTER, "executions",
        "Executions without a verdict after all retries; their episodes are aborted.",
        "Above 0: see sandbox failures in the runbook.",
    ),
    _of_sandbox(
        "redline_sandbox_servers_started", Kind.COUNTER, "servers",
        "Fork servers started.",
        "Grows after the start: servers die or fail health checks.",
    ),
    _of_sandbox(
        "redline_sandbox_unhealthy_servers", Kind.COUNTER, "servers",
        "Idle servers that failed a health check and were replaced.",
        "Grows: memory or process limits of the machine are reached.",
    ),
    _of_sandbox(
        "redline_sandbox_tests", Kind.COUNTER, "tests",
        "Tests by their status.",
        "Mostly `timeout`: the policy writes endless loops; see kills.",
        "status",
    ),
    _of_sandbox(
        "redline_sandbox_kills", Kind.COUNTER, "programs",
        "Programs that were ended: `cpu`, `wall`, or a signal such as `SIGSYS`, a forbidden "
        "system call.",
        "cpu and wall: endless loops, harmless but slow. SIGSYS: the policy tries what is not "
        "allowed. Mostly SIGKILL: the machine is out of memory.",
        "reason",
    ),
)  # fmt: skip
