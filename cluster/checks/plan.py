"""What a run would do, in figures: printed by `redline train --dry-run`."""

from dataclasses import asdict
from typing import Any

from redline.cluster.checks.resources import needs_of
from redline.cluster.config import RunConfig
from redline.cluster.sampler_kinds import sampler_kinds


def plan_figures(config: RunConfig) -> dict[str, int]:
    """Batch arithmetic of a run."""
    learner, rollout = config.learner, config.rollout
    kinds = [kind.config for kind in sampler_kinds(config)]
    groups = learner.groups_per_step
    credits = (config.max_staleness + 1) * groups
    resampled = learner.loss.max_resampled if learner.loss.no_signal == "resample" else 0
    longest = (groups + resampled) * rollout.group_size * rollout.engine.max_model_len
    return {
        "steps": config.steps,
        "trajectories_per_step": groups * rollout.group_size,
        "trajectories": config.steps * groups * rollout.group_size,
        "groups_outstanding_at_most": credits,
        "episodes_at_once_at_most": min(
            credits * rollout.group_size,
            sum(k.rollout.samplers * k.rollout.concurrent_episodes for k in kinds),
        ),
        "groups_resampled_per_step_at_most": resampled,
        "tokens_per_step_at_most": longest,
        "checkpoints": config.steps // config.checkpoint_every,
        "evaluation_episodes": 2 * config.eval.tasks * (1 + config.eval.samples),
    }


def plan_json(config: RunConfig) -> dict[str, Any]:
    """Configuration, workers and figures as JSON values."""
    return {
        "config": asdict(config),
        "workers": [asdict(need) for need in needs_of(config)],
        "plan": plan_figures(config),
    }


def plan_text(config: RunConfig) -> str:
    """Workers and figures as lines, readable as comments below the YAML."""
    lines = ["# workers (count x CPUs + GPUs)"]
    width = max(8, *(len(need.kind) for need in needs_of(config)))
    for need in needs_of(config):
        lines.append(
            f"#   {need.kind:<{width}} {need.count} x {need.num_cpus:g} + {need.num_gpus:g}"
        )
    cpus = sum(need.count * need.num_cpus for need in needs_of(config))
    gpus = sum(need.count * need.num_gpus for need in needs_of(config))
    lines += [f"#   together {cpus:g} CPUs, {gpus:g} GPUs", "# plan"]
    lines += [
        f"#   {name.replace('_', ' ')}: {value:,}" for name, value in plan_figures(config).items()
    ]
    return "\n".join(lines)
