"""Checks of a configuration's values, alone and against each other."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

from redline.actors.settings import RolloutSettings
from redline.cluster.checks.transports import check_transport
from redline.cluster.config import (
    TRACKERS,
    AutoscaleSettings,
    MetricsSettings,
    RunConfig,
    SftConfig,
    TaskSettings,
    is_simulated,
)
from redline.cluster.errors import UserError
from redline.cluster.loop.continuing import TOO_OLD
from redline.dsl.registry import Registry
from redline.dsl.settings import EDITOR
from redline.dsl.tools import TOOLS
from redline.learner.contradictions import refuse_contradictions
from redline.learner.registries import ESTIMATORS, SURROGATES
from redline.learner.settings import GROUP_BASELINES, PACKINGS, SCHEDULES
from redline.replay.settings import TRANSPORTS, SamplingPolicy
from redline.sandbox.backends import BACKENDS
from redline.sandbox.settings import SandboxSettings
from redline.sandbox.tiers import TIERS, UnknownTier, acceptable_tiers

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,29}")

_CHOICES = {
    "learner.loss.credit": ("reward_to_go", "trajectory"),
    "learner.packing": PACKINGS,
    "learner.optimizer.schedule": SCHEDULES[:1],
    "sft.optimizer.schedule": SCHEDULES,
    "learner.loss.signal": ("advantage", "outcome"),
    "learner.loss.no_signal": ("drop", "keep", "resample"),
    "learner.loss.old_policy": ("learner", "sampler"),
    "learner.loss.kl_estimator": ("k1", "k2", "k3"),
    "learner.loss.kl_in": ("loss", "reward"),
    "learner.loss.mismatch_level": ("token", "sequence"),
    "learner.loss.aggregation": ("token_mean", "sequence_mean", "constant"),
    "learner.critic.kind": ("none", "head"),
    "learner.critic.level": ("token", "turn"),
    "learner.dtype": ("float32", "bfloat16"),
    "learner.deepspeed.zero_stage": (0, 1, 2, 3),
    "dtype": ("float32", "bfloat16"),
    "sandbox.min_tier": TIERS,
    "sandbox.max_tier": TIERS,
    "prompt.chat": ("auto", "never"),
    "weights.transport": TRANSPORTS,
    "rollout.too_old": TOO_OLD,
    "replay.sampling": tuple(str(policy) for policy in SamplingPolicy),
}

_REGISTRIES: dict[str, Registry[Any]] = {
    "learner.loss.estimator": ESTIMATORS,
    "learner.loss.kind": SURROGATES,
    "prompt.tool": TOOLS,
    "sandbox.backend": BACKENDS,
}

_AT_LEAST_ONE = frozenset({
    "steps", "checkpoint_every", "keep_checkpoints", "tasks.edits_min", "tasks.train_count",
    "rollout.samplers", "rollout.concurrent_episodes", "rollout.group_size", "rollout.max_turns",
    "rollout.sampling.max_command_tokens", "rollout.engine.max_model_len",
    "rollout.engine.max_num_seqs", "rollout.engine.omp_threads",
    "rollout.engine.tensor_parallel_size", "learner.ranks", "learner.groups_per_step",
    "learner.micro_batch_tokens", "learner.epochs_per_batch", "learner.loss.constant_length",
    "learner.max_skipped_steps", "weights.bucket_mib",
    "sandbox.actors", "sandbox.workers_per_actor", "sandbox.memory_mib", "sandbox.recycle_after",
    "sandbox.output_bytes", "sandbox.result_bytes", "sandbox.max_queued", "fleet.group_attempts",
    "fleet.autoscale.samplers_min", "fleet.autoscale.sandboxes_min",
    "replay.groups_per_segment", "eval.samples", "eval.max_turns", "eval.answer_tokens",
    "eval.thinking_tokens", "tiny.vocab_size", "tiny.hidden_size", "tiny.intermediate_size",
    "tiny.layers", "tiny.heads", "sft.micro_batch_tokens", "sft.batch_tokens", "sft.evaluate_every",
    "sft.solve_turns", "sft.context", "threads",
})  # fmt: skip

_POSITIVE = frozenset({
    "learner.optimizer.learning_rate", "learner.optimizer.eps", "learner.critic.learning_rate",
    "learner.critic.max_grad_norm", "rollout.sampling.temperature",
    "rollout.engine.kv_cache_gib", "rollout.probe_tolerance", "rollout.simulation.speed",
    "rollout.share",
    "sandbox.cpu_seconds", "sandbox.wall_seconds", "metrics.every", "sft.epochs",
    "sft.optimizer.learning_rate", "fleet.heartbeat_every", "fleet.restart_window",
    "fleet.turns_every",
    "fleet.autoscale.sandbox_load", "fleet.autoscale.every",
})  # fmt: skip

_SHARES = frozenset({
    "rollout.sampling.top_p", "rollout.engine.gpu_memory_utilization", "sft.heldout_fraction",
    "learner.lora.dropout", "learner.critic.gamma", "learner.critic.gae_lambda",
    "sft.lora.dropout", "fleet.autoscale.learner_waiting",
})  # fmt: skip

_OWN_KEYS = ("CPU", "GPU", "cpu", "gpu")

_SHORT_COMMAND = 16
"""Bytes, and so tokens at most, of a short command: `REPW 12 >>>a >>>`."""

_ANY_SIGN = ("reward.",)


def choices(key: str) -> tuple[object, ...]:
    """The values that a key may have; empty where any of its type will do."""
    return _REGISTRIES[key].names if key in _REGISTRIES else _CHOICES.get(key, ())


def check_run(config: RunConfig) -> None:
    """Raise UserError naming the first value of a run that cannot work."""
    _check_name(config.name)
    _check_values(config)
    _check_tasks(config.tasks)
    _check_isolation(config.sandbox)
    _check_rollout(config.rollout)
    _check_kinds(config.rollout)
    _require(
        config.prompt.tool == EDITOR or not config.rollout.sampling.grammar,
        f"rollout.sampling.grammar=true is the grammar of the tool {EDITOR!r}, but prompt.tool="
        f"{config.prompt.tool!r}: set grammar=false",
    )
    longest = config.rollout.engine.max_model_len
    _require(
        config.learner.micro_batch_tokens >= longest,
        f"learner.micro_batch_tokens={config.learner.micro_batch_tokens} cannot hold one sample "
        f"of rollout.engine.max_model_len={longest} tokens: raise it to at least {longest}",
    )
    _check_learner(config)
    check_transport(config)
    _check_evaluation(config)
    _check_metrics(config.metrics)
    _check_autoscaling(config.fleet.autoscale)


def check_sft(config: SftConfig) -> None:
    """Raise UserError naming the first value of a warm start that cannot work."""
    _check_name(config.name)
    _check_values(config)
    _check_tasks(config.tasks)
    _check_isolation(config.sandbox)
    _require(
        config.prompt.tool == EDITOR,
        f"prompt.tool={config.prompt.tool!r}: demonstrations are of the tool {EDITOR!r}",
    )
    _require(
        config.model is not None or config.sft.lora.rank == 0,
        f"sft.lora.rank={config.sft.lora.rank} trains adapters of a model that knows something, "
        "but model=null makes one from nothing: set sft.lora.rank=0, or model=FOLDER",
    )
    _require(
        config.sft.micro_batch_tokens >= config.sft.context,
        f"sft.micro_batch_tokens={config.sft.micro_batch_tokens} cannot hold one demonstration of "
        f"sft.context={config.sft.context} tokens: raise it, or lower sft.context",
    )
    _require(
        config.tiny.hidden_size % config.tiny.heads == 0,
        f"tiny.hidden_size={config.tiny.hidden_size} is not a multiple of "
        f"tiny.heads={config.tiny.heads}",
    )


def _check_name(name: str) -> None:
    _require(
        _NAME.fullmatch(name) is not None,
        f"name={name!r} must start with a letter or digit and hold only letters, digits, "
        "'.', '_' and '-' (at most 100), because it names a folder",
    )


def _check_values(config: RunConfig | SftConfig) -> None:
    for key, value in _walk(config):
        _check_value(key, value, shown=key)


def _check_value(key: str, value: Any, *, shown: str) -> None:
    """Check one value; `shown` is what the user calls its key."""
    if allowed := choices(key):
        options = ", ".join(map(str, allowed))
        _require(value in allowed, f"{shown}={value!r}: expected one of {options}")
    if isinstance(value, dict):
        _check_amounts(shown, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if key in _AT_LEAST_ONE:
        _require(value >= 1, f"{shown}={value}: expected at least 1")
    elif key in _POSITIVE or key.startswith("deadlines."):
        _require(value > 0, f"{shown}={value}: expected more than 0")
    elif key in _SHARES:
        _require(0 <= value <= 1, f"{shown}={value}: expected between 0 and 1")
    elif not key.startswith(_ANY_SIGN):
        _require(value >= 0, f"{shown}={value}: expected 0 or more")


def _check_kinds(rollout: RolloutSettings) -> None:
    """Further kinds of samplers: each as `rollout` is, and fit to go on with its groups."""
    longest = rollout.engine.max_model_len
    for name, kind in rollout.kinds.items():
        section = f"rollout.kinds.{name}"
        _require(
            _KIND.fullmatch(name) is not None,
            f"{section}: {name!r} must start with a small letter and hold only small letters, "
            "digits and '_' (at most 30), because it names workers",
        )
        for key, value in _walk(kind):
            _check_value(f"rollout.{key}", value, shown=f"{section}.{key}")
        _require(
            kind.engine.max_model_len == longest,
            f"{section}.engine.max_model_len={kind.engine.max_model_len} is not "
            f"rollout.engine.max_model_len={longest}: an episode must get as long and be able to "
            "go on wherever it is sampled; give both the same",
        )


def _check_amounts(key: str, amounts: dict[str, float]) -> None:
    for name, amount in amounts.items():
        _require(amount > 0, f"{key}.{name}={amount:g}: expected more than 0")
        _require(
            name not in _OWN_KEYS,
            f"{key}.{name}: CPUs and GPUs have settings of their own, num_cpus and num_gpus",
        )


def _check_tasks(tasks: TaskSettings) -> None:
    _require(
        tasks.edits_min <= tasks.edits_max,
        f"tasks.edits_min={tasks.edits_min} is above tasks.edits_max={tasks.edits_max}",
    )


def _check_isolation(sandbox: SandboxSettings) -> None:
    try:
        acceptable_tiers(sandbox.min_tier, sandbox.max_tier, allow_unsafe=sandbox.allow_unsafe)
    except UnknownTier as error:
        raise UserError(str(error)) from error


def _check_rollout(rollout: RolloutSettings) -> None:
    command = rollout.sampling.max_command_tokens
    longest = rollout.engine.max_model_len
    _require(
        command < longest,
        f"rollout.sampling.max_command_tokens={command} leaves no room for a state in "
        f"rollout.engine.max_model_len={longest}",
    )
    _require(rollout.sampling.top_p > 0, "rollout.sampling.top_p=0: expected more than 0")
    if rollout.sampling.grammar:
        _check_grammar(command)


def _check_grammar(command: int) -> None:
    _require(
        command >= _SHORT_COMMAND,
        f"rollout.sampling.max_command_tokens={command} cuts nearly every command, and "
        "rollout.sampling.grammar=true would have the editor close them: raise it to at least "
        f"{_SHORT_COMMAND}, or set grammar=false",
    )
    _require(
        find_spec("xgrammar") is not None,
        "rollout.sampling.grammar=true needs the package xgrammar, which comes with vLLM and is "
        "not installed here: install it, or set rollout.sampling.grammar=false",
    )


def _check_learner(config: RunConfig) -> None:
    """Refuse settings of the learner that contradict each other, or the rollout's."""
    estimator = config.learner.loss.estimator
    _require(
        config.rollout.group_size >= 2 or estimator not in GROUP_BASELINES,
        f"rollout.group_size=1 leaves learner.loss.estimator={estimator!r} without a baseline: "
        "use groups of 2 or more, or the estimator 'reinforce_pp' or 'gae'",
    )
    try:
        refuse_contradictions(config.learner)
    except ValueError as error:
        raise UserError(str(error)) from error


def _check_evaluation(config: RunConfig) -> None:
    _require(
        config.eval.tasks == 0 or not is_simulated(config),
        f"eval.tasks={config.eval.tasks} cannot be evaluated by the simulated samplers of "
        f"rollout.simulation.source={config.rollout.simulation.source!r}: set eval.tasks=0",
    )
    if config.tasks.heldout_file is not None:
        return
    available = config.tasks.heldout_count + config.tasks.heldout_family_count
    _require(
        config.eval.tasks <= available,
        f"eval.tasks={config.eval.tasks} but only {available} held-out tasks are generated "
        "(tasks.heldout_count + tasks.heldout_family_count)",
    )


def _check_metrics(metrics: MetricsSettings) -> None:
    for name in metrics.sinks:
        _require(
            name in TRACKERS,
            f"metrics.sinks has {name!r}: expected some of {', '.join(TRACKERS)}",
        )
    _require(
        metrics.port is None or 1024 <= metrics.port <= 65535,
        f"metrics.port={metrics.port}: expected null or a port from 1024 to 65535",
    )


def _check_autoscaling(settings: AutoscaleSettings) -> None:
    for kind in ("samplers", "sandboxes"):
        least, most = getattr(settings, f"{kind}_min"), getattr(settings, f"{kind}_max")
        _require(
            least <= most,
            f"fleet.autoscale.{kind}_min={least} is above fleet.autoscale.{kind}_max={most}",
        )


def _walk(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for item in fields(node):
        value = getattr(node, item.name)
        if is_dataclass(value):
            yield from _walk(value, f"{prefix}{item.name}.")
        elif item.name != "kinds":  # each is a section of its own
            yield f"{prefix}{item.name}", value


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)
