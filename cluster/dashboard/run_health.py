"""What a run does now, in a word: told by its status file, or concluded from what it left."""

import time
from dataclasses import dataclass

from redline.cluster.dashboard.lock_holder import lock_holder
from redline.cluster.dashboard.run_files import RunFiles
from redline.cluster.status_file import RunState, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHealth:
    """State of a run."""

    state: str
    live: bool
    """Whether more is to come."""
    good: bool
    note: str
    """Why, and what to do about it; may be empty."""


_NOTES = {
    RunState.STOPPED: "stopped by the user before its last step; --resume goes on",
    RunState.FAILED: "failed; --resume goes on from its last checkpoint",
}


def run_health(files: RunFiles, status: RunStatus | None, now: float) -> RunHealth:
    """The state of a run; `now` in seconds since 1970."""
    if status is None:
        return _concluded(files)
    if status.late(now):
        since = time.strftime("%H:%M:%S", time.localtime(status.written_at))
        note = (
            f"its driver (process {status.pid} on {status.host}) wrote nothing since {since}: it "
            "was killed or hangs; --resume goes on"
        )
        return RunHealth(state="lost", live=False, good=False, note=note)
    note = status.problem or _NOTES.get(status.state, "") or _phase(status)
    return RunHealth(
        state=str(status.state),
        live=not status.state.over,
        good=status.state is not RunState.FAILED,
        note=note,
    )


def _phase(status: RunStatus) -> str:
    waiting = f", waiting for {', '.join(status.waiting_for)}" * bool(status.waiting_for)
    return "; ".join(status.phases) + waiting if status.phases else ""


def _concluded(files: RunFiles) -> RunHealth:
    """Without a status file: a held lock means running, a result means finished."""
    holder = lock_holder(files.folder / "lock")
    if holder is not None:
        return RunHealth(state="running", live=True, good=True, note=f"process {holder}")
    if files.result.is_file():
        return RunHealth(state="finished", live=False, good=True, note="")
    note = "no process on this machine holds the run and it left no result"
    return RunHealth(state="unknown", live=True, good=True, note=note)
