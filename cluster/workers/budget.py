"""How often, and how soon, lost workers are replaced."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class RestartBudget:
    """Replacements within a window of time, each later than the one before.

    A worker that dies now and then is replaced for ever; one fault that kills each new worker ends
    after `restarts` of them. Times are seconds of any clock that only goes forward.
    """

    restarts: int
    window: float
    first_delay: float
    longest_delay: float
    losses: list[float] = field(default_factory=list)
    """Times of the losses within the window."""

    def after_loss(self, now: float) -> float | None:
        """Seconds to wait before the replacement; None when the budget is spent."""
        self.losses = [time for time in self.losses if time > now - self.window]
        if len(self.losses) >= self.restarts:
            return None
        doublings = min(len(self.losses), 30)  # beyond, any first delay is above the longest
        self.losses.append(now)
        return min(self.longest_delay, self.first_delay * 2.0**doublings)
