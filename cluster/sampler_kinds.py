"""The kinds of samplers of a run: that of `rollout`, and the further ones of `rollout.kinds`.

Whatever concerns samplers goes over the kinds, and sees of each a run that has no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from redline.actors.settings import SamplerSettings
from redline.cluster.config import RunConfig

OWN = ("samplers", "share", "resources")
"""What a further kind does not take over from `rollout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerKind:
    """One kind of samplers of a run."""

    name: str
    """Empty for that of `rollout` itself, which comes first."""
    place: int
    """Its place among all kinds, from 0."""
    config: RunConfig
    """The run as if it had samplers of this kind alone."""

    @property
    def section(self) -> str:
        """Where it is configured."""
        return f"rollout.kinds.{self.name}" if self.name else "rollout"

    @property
    def worker(self) -> str:
        """What its workers are called, without their number."""
        return f"sampler-{self.name}" if self.name else "sampler"

    @property
    def fleet(self) -> str:
        """What all of them together are called, as in `redline scale`."""
        return f"{self.name}_samplers" if self.name else "samplers"


def sampler_kinds(config: RunConfig) -> list[SamplerKind]:
    """Every kind of samplers, that of `rollout` first."""
    alone = replace(config.rollout, kinds={})
    rollouts = {
        "": alone,
        **{name: replace(alone, **_values(kind)) for name, kind in config.rollout.kinds.items()},
    }
    return [
        SamplerKind(name=name, place=place, config=replace(config, rollout=rollout))
        for place, (name, rollout) in enumerate(rollouts.items())
    ]


def with_counts(config: RunConfig, counts: Mapping[str, int]) -> RunConfig:
    """The run with so many workers of each fleet that is named: of samplers, and `sandboxes`."""
    rollout = config.rollout
    kinds = {
        kind.name: replace(
            rollout.kinds[kind.name], samplers=counts.get(kind.fleet, kind.config.rollout.samplers)
        )
        for kind in sampler_kinds(config)[1:]
    }
    return replace(
        config,
        rollout=replace(rollout, samplers=counts.get("samplers", rollout.samplers), kinds=kinds),
        sandbox=replace(config.sandbox, actors=counts.get("sandboxes", config.sandbox.actors)),
    )


def _values(kind: SamplerSettings) -> dict[str, Any]:
    return {item.name: getattr(kind, item.name) for item in fields(SamplerSettings)}
