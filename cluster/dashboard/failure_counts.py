"""What went wrong since the start of a run's attempt, counted by its status file."""

from collections import Counter
from dataclasses import dataclass

from redline.cluster.dashboard.overview import CountRow
from redline.cluster.status_file import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One counter of docs/metrics.md."""

    sample: str
    name: str
    meaning: str


_KINDS = (
    _Kind(
        sample="redline_worker_restarts", name="workers replaced",
        meaning="again and again: a bad machine, or a setting above its memory",
    ),
    _Kind(
        sample="redline_sandbox_infrastructure_errors", name="executions without a verdict",
        meaning="after all retries; their episodes are aborted",
    ),
    _Kind(
        sample="redline_sandbox_retries", name="executions repeated",
        meaning="after an error of the sandbox itself",
    ),
    _Kind(
        sample="redline_sandbox_unhealthy_servers", name="sandbox servers replaced",
        meaning="they failed a health check: memory or process limits are reached",
    ),
    _Kind(
        sample="redline_aborted_episodes", name="episodes aborted",
        meaning="cut off by the system; never trained on",
    ),
    _Kind(
        sample="redline_engine_preemptions", name="requests preempted",
        meaning="the KV cache was full: raise rollout.engine.kv_cache_gib",
    ),
    _Kind(
        sample="redline_store_lost_groups", name="groups lost",
        meaning="in damaged or missing files: redline replay verify names them",
    ),
    _Kind(
        sample="redline_sandbox_kills", name="programs ended",
        meaning="cpu and wall are endless loops, SIGSYS a forbidden call, SIGKILL lack of memory",
    ),
)  # fmt: skip


def failure_counts(status: RunStatus | None) -> tuple[CountRow, ...]:
    """A row for each kind, and for each reason where a counter has reasons; empty when unknown."""
    if status is None or not status.samples:
        return ()
    rows: list[CountRow] = []
    for kind in _KINDS:
        counts: Counter[str] = Counter({"": 0})
        for sample in status.samples:
            if sample.name == kind.sample:
                counts[sample.labels.get("reason", "")] += round(sample.value)
        if len(counts) > 1:
            counts.pop("")
        rows += [
            CountRow(name=f"{kind.name} ({reason})" if reason else kind.name, count=count,
                     meaning=kind.meaning)
            for reason, count in counts.most_common()
        ]  # fmt: skip
    return tuple(rows)
