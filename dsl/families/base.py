"""What a family of tasks is: random choices in, a prompt and a reference program out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from redline.dsl.families.pick import Pick

KINDS = ("numbers", "lists", "strings", "dicts", "recursion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One program of a family before its tests are computed."""

    prompt: str
    """One or two sentences that determine the program."""
    reference: str
    entry_point: str
    arguments: Callable[[], tuple[object, ...]]
    """Draws the arguments of one test call, near the values where the program's rule turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A named kind of program; `make` is a pure function of the random choices it is given."""

    name: str
    kind: str
    """One of `KINDS`."""
    make: Callable[[Pick], Draft]
    held_out: bool = False
    """Whether no program of this family is ever trained on."""

    def draft(self, rng: Random) -> Draft:
        """Draw one program with the given source of randomness."""
        return self.make(Pick(rng))


FAMILIES: dict[str, Family] = {}
"""Every family by name, in the order of definition; filled on import of the package."""


def family(
    kind: str, *, held_out: bool = False
) -> Callable[[Callable[[Pick], Draft]], Callable[[Pick], Draft]]:
    """Register the decorated maker as a family named after it."""

    def register(make: Callable[[Pick], Draft]) -> Callable[[Pick], Draft]:
        name = make.__name__
        if kind not in KINDS or name in FAMILIES:
            raise ValueError(f"family {name!r}: kind {kind!r} is unknown or the name is taken")
        FAMILIES[name] = Family(name=name, kind=kind, make=make, held_out=held_out)
        return make

    return register


def draft(
    head: str, rule: str, body: Sequence[str], arguments: Callable[[], tuple[object, ...]]
) -> Draft:
    """Write prompt and reference of a function: `head` is `name(arguments)`, `body` its lines.

    Body lines are indented relative to the body, so a nested line starts with four spaces.
    """
    return Draft(
        prompt=f"Write {head} that {rule}",
        reference="\n".join([f"def {head}:", *(f"    {line}" for line in body)]),
        entry_point=head.partition("(")[0],
        arguments=arguments,
    )
