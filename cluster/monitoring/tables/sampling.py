"""What each sampler does."""

from functools import partial

from redline.cluster.monitoring.definitions import Kind, Role, of_worker

_of_sampler = partial(of_worker, Role.SAMPLER)

METRICS = (
    _of_sampler(
        "redline_sampled_tokens", Kind.COUNTER, "tokens",
        "Action tokens that were sampled.",
        "One sampler grows much slower than others: its machine is slow or shared.",
    ),
    _of_sampler(
        "redline_sampled_tokens_per_second", Kind.GAUGE, "1/s",
        "Action tokens sampled, over the last ten seconds.",
        "0 with running episodes: they wait for sandboxes, or the engine hangs.",
    ),
    _of_sampler(
        "redline_state_tokens", Kind.COUNTER, "tokens",
        "Tokens of states, which the engine reads and does not sample.",
        "Much more than sampled ones is normal; the prefix cache pays for it.",
    ),
    _of_sampler(
        "redline_sampled_groups", Kind.COUNTER, "groups",
        "Groups whose episodes all ended.",
        "No growth with running episodes: a long episode holds its group.",
    ),
    _of_sampler(
        "redline_sampled_episodes", Kind.COUNTER, "episodes",
        "Episodes that ended, evaluations included.",
        "No growth: see `redline_sampled_tokens_per_second`.",
    ),
    _of_sampler(
        "redline_aborted_episodes", Kind.COUNTER, "episodes",
        "Episodes that the system cut off; they are never trained on.",
        "Above one percent of episodes: sandbox errors, or the sampler's log tells.",
    ),
    _of_sampler(
        "redline_sampled_turns", Kind.COUNTER, "turns",
        "Turns that were played.",
        "Compare with episodes for the mean number of turns.",
    ),
    _of_sampler(
        "redline_running_episodes", Kind.GAUGE, "episodes",
        "Episodes that run now.",
        "Always at `rollout.concurrent_episodes`: raise it, the engine may have room.",
    ),
    _of_sampler(
        "redline_sampler_version", Kind.GAUGE, "version",
        "Weight version that is served; -1 before the first proven one.",
        "Behind `redline_weight_version` by more than one push: the sampler hangs.",
    ),
    _of_sampler(
        "redline_weight_updates", Kind.COUNTER, "updates",
        "Weight updates that the sampler proved.",
        "Grows slower than steps: steps are skipped or the sampler was replaced.",
    ),
    _of_sampler(
        "redline_sampler_start_seconds", Kind.GAUGE, "s",
        "From construction until the engine could serve, compilation included.",
        "Minutes: keep vLLM's compile cache on a volume.",
    ),
)  # fmt: skip
