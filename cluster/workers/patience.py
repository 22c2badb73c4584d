"""How long a run waits for its workers, and how many of them it replaces, by its settings."""

from redline.cluster.config import FleetSettings, RunConfig
from redline.cluster.workers.budget import RestartBudget
from redline.cluster.workers.supervisor import Patience


def patience_of(config: RunConfig) -> Patience:
    """Seconds for which workers are waited for."""
    return Patience(
        start=config.deadlines.start,
        heartbeat=config.deadlines.heartbeat,
        drain=config.deadlines.drain,
        pause=config.fleet.heartbeat_every,
    )


def budget_of(settings: FleetSettings) -> RestartBudget:
    """How many workers of one kind are replaced, and how soon."""
    return RestartBudget(
        restarts=settings.restarts,
        window=settings.restart_window,
        first_delay=settings.backoff,
        longest_delay=settings.longest_backoff,
    )
