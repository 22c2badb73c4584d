"""Growing and shrinking the fleets of a running job, as far as the cluster can hold them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from redline.cluster.checks.resources import Need, Offer, check_placeable
from redline.cluster.errors import UserError
from redline.cluster.workers.rollouts import RolloutFleet
from redline.cluster.workers.supervisor import Supervisor


class Scaler:
    """Changes how many samplers of each kind, and sandboxes, there are.

    needs:  what one worker asks for, by fleet; its count does not matter.
    offers: what the cluster has free now.
    fits:   raises UserError when this machine's memory does not hold so many more of each fleet.
    """

    def __init__(
        self,
        rollouts: RolloutFleet,
        *,
        needs: Mapping[str, Need],
        offers: Callable[[], Awaitable[list[Offer]]],
        fits: Callable[[Mapping[str, int]], None],
        tell: Callable[[str], None],
    ) -> None:
        self.rollouts = rollouts
        self._needs = needs
        self._offers = offers
        self._fits = fits
        self._tell = tell
        self.on_asked: Callable[[Mapping[str, int]], None] = _nothing
        """Called with the counts that somebody asked for, once the fleets follow them."""

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Scale as a request of `redline scale` says, and tell how the fleets are.

        Raises UserError, and changes nothing, when it cannot be done.
        """
        targets = request.get("scale", {})
        if not isinstance(targets, dict):
            raise UserError(f"scale={targets!r}: expected an object of counts by fleet")
        await self.scale(targets)
        if targets:
            self.on_asked(targets)
        return self.state()

    async def scale(self, targets: Mapping[str, int], why: str = "asked for") -> None:
        """Have so many workers of each fleet that is named.

        Raises UserError, and changes nothing, when a count is wrong or the cluster has no place.
        """
        fleets = self.rollouts.fleets
        for name, count in targets.items():
            if name not in fleets or not isinstance(count, int) or count < 1:
                raise UserError(
                    f"{name}={count!r}: expected {' or '.join(fleets)} with a count of at least 1"
                )
        await self._check_room(targets)
        for name, count in targets.items():
            if count != fleets[name].target:
                self._tell(f"{name}: {fleets[name].target} to {count} ({why})")
                fleets[name].resize(count)

    def state(self) -> dict[str, Any]:
        """How all fleets are, as JSON values."""
        return {name: _state(fleet) for name, fleet in self.rollouts.fleets.items()}

    async def _check_room(self, targets: Mapping[str, int]) -> None:
        """All that would be started, at once, on what is free now."""
        fleets = self.rollouts.fleets
        more = {name: count - fleets[name].held for name, count in targets.items()}
        needs = [replace(self._needs[name], count=n) for name, n in more.items() if n > 0]
        if not needs:
            return
        check_placeable(needs, await self._offers())
        self._fits({name: n for name, n in more.items() if n > 0})


def _nothing(_: Mapping[str, int]) -> None:
    """Nobody wants to know."""


def _state(fleet: Supervisor[Any]) -> dict[str, Any]:
    return {
        "target": fleet.target,
        "replaced": fleet.replaced,
        "workers": [
            {
                "name": member.name,
                "stage": str(member.stage),
                "weight_version": member.version,
                "groups": len(member.work),
            }
            for member in fleet.members
        ],
    }
