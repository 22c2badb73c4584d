"""Who waits for whom: what is said of a run in which nothing moves.

A run is a chain: the learner waits for groups, a group for a sampler, a sampler for its engine or
for sandboxes, a sandbox for a fork server. The diagnosis follows it to its end.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from redline.actors.records import SamplerHealth, SandboxHealth
from redline.cluster.workers.lifecycle import Member, Stage

_SHOWN = 5


@dataclass(slots=True, kw_only=True)
class Activity:
    """What the main loop is doing."""

    what: str = "starting"
    since: float = field(default_factory=time.monotonic)
    """Seconds of the monotonic clock."""

    def begin(self, what: str) -> None:
        """From now on it does this."""
        self.what, self.since = what, time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A run at one moment."""

    now: float
    """Seconds of the monotonic clock."""
    step: int
    doing: str
    """What the main loop does."""
    doing_since: float
    waits_for_groups: bool
    """Whether that is waiting for groups."""
    groups_per_step: int
    stored: int
    """Groups that wait to be trained on."""
    in_flight: tuple[str, ...]
    """Ids of the groups that are being sampled."""
    samplers: Sequence[Member]
    sandboxes: Sequence[Member]

    @property
    def mark(self) -> tuple[object, ...]:
        """Changes whenever anything moves."""
        beats = [m.health for m in (*self.samplers, *self.sandboxes)]
        counts = [
            h.turns if isinstance(h, SamplerHealth) else h.executions
            for h in beats
            if h is not None
        ]
        stages = [(m.name, m.stage) for m in (*self.samplers, *self.sandboxes)]
        return (self.step, self.doing, self.stored, self.in_flight, tuple(stages), sum(counts))


def diagnose(view: View) -> str:
    """Who waits for whom, from the learner to the end of the chain, in one line."""
    seconds = view.now - view.doing_since
    if not view.waits_for_groups:
        return f"step {view.step + 1}: {view.doing} for {seconds:.0f} s"
    head = (
        f"step {view.step + 1} has waited {seconds:.0f} s for {view.groups_per_step} groups "
        f"and has {view.stored}"
    )
    if not view.in_flight:
        return f"{head}; no group is being sampled: the credits are with groups that were stored"
    held = {group for member in view.samplers for group in member.work}
    homeless = [group for group in view.in_flight if group not in held]
    parts = [head]
    if homeless:
        parts.append(f"{_names(homeless)} without a sampler: {_members(view.samplers, view.now)}")
    busy = [member for member in view.samplers if member.work]
    parts += [_sampler(member, view.now) for member in busy]
    if any(_executing(member) for member in busy):
        parts.append(f"sandboxes: {_members(view.sandboxes, view.now)}")
    return "; ".join(parts)


class StallWatch:
    """Notices that nothing has moved for a while.

    look:    what the run is like now.
    seconds: after how long without any change it is said, and said again.
    """

    def __init__(self, look: Callable[[], View], *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._mark: tuple[object, ...] = ()
        self._since = 0.0

    def check(self) -> str | None:
        """The diagnosis when it is time to say it; call it now and then."""
        view = self._look()
        if view.mark != self._mark:
            self._mark, self._since = view.mark, view.now
            return None
        if view.now - self._since < self._seconds:
            return None
        self._since = view.now
        return f"nothing has moved for {self._seconds:.0f} s: {diagnose(view)}"


def _sampler(member: Member, now: float) -> str:
    what = f"{_names(member.work)} with {member.name} ({_stage(member, now)})"
    health = member.health
    if not isinstance(health, SamplerHealth):
        return what
    if health.executing:
        return f"{what}: {health.executing} of its programs wait for sandboxes"
    return f"{what}: {health.episodes} episodes wait for its engine"


def _executing(member: Member) -> bool:
    return isinstance(member.health, SamplerHealth) and member.health.executing > 0


def _members(members: Iterable[Member], now: float) -> str:
    """Each member and what it has to do, or that nobody is there."""
    return ", ".join(_member(member, now) for member in members) or "nobody is there"


def _member(member: Member, now: float) -> str:
    text = f"{member.name} {_stage(member, now)}"
    if isinstance(member.health, SandboxHealth):
        text += f" with {member.health.running} running and {member.health.queued} queued"
    return text


def _stage(member: Member, now: float) -> str:
    if member.stage is Stage.SERVING:
        return str(member.stage)
    return f"{member.stage} for {now - member.since:.0f} s"


def _names(groups: Iterable[str]) -> str:
    names = sorted(groups)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
