"""Prometheus alert rules; each names the section of docs/runbook.md that says what to do."""

from dataclasses import dataclass
from typing import Any

from redline.cluster.monitoring.queries import promql

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When alerts fire; durations as Prometheus writes them, such as `5m`."""

    stall_seconds: int = 600
    """Time without a step from which on a run stalls: several times its usual step."""
    hold: str = "2m"
    """How long a condition must last."""
    window: str = "10m"
    """Over which rates and means are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule: it fires for each run, and so on, whose value compares to the threshold."""

    name: str
    section: str
    """Heading in the runbook, as the anchor of its link."""
    value: str
    """Short query (`queries.py`); has data whenever a run trains."""
    threshold: str
    """Comparison, such as `> 0.5`."""
    only_while: str = ""
    """Short query that must have data for the same run; empty means always."""
    severity: str
    summary: str
    """`{{ $labels.run }}` and `{{ $value }}` are filled in by Prometheus."""

    @property
    def expression(self) -> str:
        """The rule's PromQL."""
        rule = f"{promql(self.value)} {self.threshold}"
        return f"{rule} and on (run) {promql(self.only_while)}" if self.only_while else rule


def alerts(timing: Timing) -> list[Alert]:
    """All alerts."""
    window = timing.window
    training = "max by (run) (@training) == 1"
    return [
        Alert(
            name="RedlineStall",
            section="stall",
            value="time() - max by (run) (@last_step_timestamp_seconds)",
            threshold=f"> {timing.stall_seconds}",
            only_while=training,
            severity="critical",
            summary="Run {{ $labels.run }} took no step for {{ $value | humanizeDuration }}.",
        ),
        Alert(
            name="RedlineWorkerUnheard",
            section="worker-silent-or-lost",
            value='sum by (run, role) (@workers{state=~"silent|lost"})',
            threshold="> 0",
            severity="warning",
            summary="{{ $value }} {{ $labels.role }} worker(s) of run {{ $labels.run }} are "
            "silent or lost.",
        ),
        Alert(
            name="RedlineStaleness",
            section="staleness",
            value="max by (run) (@staleness_max) - max by (run) (@max_staleness)",
            threshold="> 0",
            severity="critical",
            summary="Run {{ $labels.run }} trained on tokens {{ $value }} version(s) older than "
            "max_staleness.",
        ),
        Alert(
            name="RedlineSandboxFailures",
            section="sandbox-failures",
            value=f"sum by (run) (rate(@sandbox_infrastructure_errors[{window}])) / "
            f"clamp_min(sum by (run) (rate(@sandbox_executions[{window}])), 0.001)",
            threshold="> 0.01",
            severity="critical",
            summary="{{ $value | humanizePercentage }} of the sandbox executions of run "
            "{{ $labels.run }} end without a verdict.",
        ),
        Alert(
            name="RedlineSandboxRetries",
            section="sandbox-failures",
            value=f"sum by (run) (rate(@sandbox_retries[{window}])) / "
            f"clamp_min(sum by (run) (rate(@sandbox_executions[{window}])), 0.001)",
            threshold="> 0.05",
            severity="warning",
            summary="{{ $value | humanizePercentage }} of the sandbox executions of run "
            "{{ $labels.run }} had to be tried again.",
        ),
        Alert(
            name="RedlineLogprobMismatch",
            section="mismatch-of-log-probabilities",
            value="max by (run) (@mismatch_kl)",
            threshold="> 0.01",
            severity="warning",
            summary="Sampler and learner of run {{ $labels.run }} differ by a KL of {{ $value }}.",
        ),
        Alert(
            name="RedlineProbeNearTolerance",
            section="mismatch-of-log-probabilities",
            value="max by (run) (@probe_max_abs_dlogp) / max by (run) (@probe_tolerance)",
            threshold="> 0.8",
            severity="warning",
            summary="The probe after a push of run {{ $labels.run }} reached "
            "{{ $value | humanizePercentage }} of the tolerance; beyond it, weights are refused.",
        ),
        Alert(
            name="RedlineLearnerStarving",
            section="learner-starving",
            value=f'max by (run) (avg_over_time(@idle_ratio{{role="learner"}}[{window}]))',
            threshold="> 0.5",
            only_while=training,
            severity="warning",
            summary="The learner of run {{ $labels.run }} waits for trajectories "
            "{{ $value | humanizePercentage }} of the time.",
        ),
    ]


def alert_rules(timing: Timing, *, runbook: str = RUNBOOK) -> dict[str, Any]:
    """The rule file of Prometheus; `runbook` is where the runbook is, as a URL or path."""
    rules = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": timing.hold,
            "labels": {"severity": alert.severity},
            "annotations": {
                "summary": alert.summary,
                "runbook_url": f"{runbook}#{alert.section}",
            },
        }
        for alert in alerts(timing)
    ]
    return {"groups": [{"name": "redline", "rules": rules}]}


def prometheus_config(*, discovery: str, rules: str) -> dict[str, Any]:
    """Scrapes every node of a Ray cluster that writes its addresses to the file `discovery`."""
    ray = {"job_name": "ray", "file_sd_configs": [{"files": [discovery]}]}
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [rules],
        "scrape_configs": [ray],
    }
