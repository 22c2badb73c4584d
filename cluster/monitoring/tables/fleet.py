"""The workers as such, and what waits between them."""

from redline.cluster.monitoring.definitions import Kind, Metric, Role

METRICS = (
    Metric(
        name="redline_workers",
        kind=Kind.GAUGE,
        role=None,
        unit="workers",
        labels=("state",),
        meaning="Workers by role and state: `starting`, `serving`, `silent`, `lost`.",
        remedy="silent or lost above 0: `redline top` names the worker, its log tells why.",
    ),
    Metric(
        name="redline_worker_restarts",
        kind=Kind.COUNTER,
        role=None,
        unit="restarts",
        meaning="Workers of a role that were replaced after they failed.",
        remedy="Grows again and again: its machine is bad, or a setting exceeds its memory.",
    ),
    Metric(
        name="redline_groups",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="groups",
        labels=("state",),
        meaning="Groups by place: `in_flight` (being sampled), `buffered` (not sealed yet), "
        "`available` (waiting to be trained on), `leased` (being trained on).",
        remedy="Nothing available: the learner starves, add samplers. Always full: the learner "
        "is the slower side.",
    ),
    Metric(
        name="redline_store_committed_groups",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="groups",
        meaning="Groups trained on since the store was made.",
        remedy="No growth while training: see `redline_last_step_timestamp_seconds`.",
    ),
    Metric(
        name="redline_store_dropped_groups",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="groups",
        meaning="Groups that the store gave up because they became too old to train on.",
        remedy="Above 0 without scaling or recovery: report it.",
    ),
    Metric(
        name="redline_store_bytes",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="bytes",
        meaning="Size of all sealed segments.",
        remedy="Grows without end: lower `replay.keep_committed`.",
    ),
    Metric(
        name="redline_store_segments",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="files",
        meaning="Sealed segments on disk.",
        remedy="As `redline_store_bytes`.",
    ),
    Metric(
        name="redline_store_lost_groups",
        kind=Kind.GAUGE,
        role=Role.REPLAY,
        unit="groups",
        meaning="Groups of damaged or missing files that were not trained on.",
        remedy="Above 0: `redline replay verify` names the files; check the disk.",
    ),
)
