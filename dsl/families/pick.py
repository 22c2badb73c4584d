"""Random choices of one program: names without collisions, constants, operators, test inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from redline.dsl.families import words

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """An operator and the words for it in a prompt."""

    sign: str
    word: str


ARITHMETIC = (
    Sign(sign="+", word="plus"),
    Sign(sign="-", word="minus"),
    Sign(sign="*", word="times"),
)
ORDERINGS = (
    Sign(sign="<", word="below"),
    Sign(sign="<=", word="at most"),
    Sign(sign=">", word="above"),
    Sign(sign=">=", word="at least"),
)
EQUALITIES = (Sign(sign="==", word="equal to"), Sign(sign="!=", word="not equal to"))


class Pick:
    """Draws what one program is made of; every draw comes from the one given generator."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._used: set[str] = set()

    # --- names ---------------------------------------------------------------------------
    def name(self, pool: Sequence[str]) -> str:
        """A name of the pool that this program does not use yet."""
        name = self.rng.choice([word for word in pool if word not in self._used])
        self._used.add(name)
        return name

    def function(self) -> str:
        """The function's name."""
        return self.name(words.FUNCTIONS)

    def number(self) -> str:
        """The name of an argument that is an integer."""
        return self.name(words.NUMBERS)

    def list_name(self) -> str:
        """The name of an argument that is a list."""
        return self.name(words.LISTS)

    def text(self) -> str:
        """The name of an argument that is a string."""
        return self.name(words.TEXTS)

    def table(self) -> str:
        """The name of an argument that is a dictionary."""
        return self.name(words.TABLES)

    def result(self) -> str:
        """The name of a local variable that gathers the result."""
        return self.name(words.RESULTS)

    def loop(self) -> str:
        """The name of a loop variable over the values of a list."""
        return self.name(words.LOOPS)

    def index(self) -> str:
        """The name of a loop variable over a range."""
        return self.name(words.INDICES)

    def letter_name(self) -> str:
        """The name of a loop variable over the letters of a string."""
        return self.name(words.LETTERS)

    def key(self) -> str:
        """The name of a key or of a loop variable over the keys of a dictionary."""
        return self.name(words.KEYS)

    # --- constants and operators -----------------------------------------------------------
    def of(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self.rng.choice(options)

    def constant(self, low: int = 1, high: int = 20) -> int:
        """A constant of the program, both ends included."""
        return self.rng.randint(low, high)

    def arithmetic(self) -> Sign:
        """One of plus, minus, times."""
        return self.rng.choice(ARITHMETIC)

    def ordering(self) -> Sign:
        """One of below, at most, above, at least."""
        return self.rng.choice(ORDERINGS)

    def letter(self) -> str:
        """A letter that the program speaks of."""
        return self.rng.choice(words.ALPHABET)

    def letters(self, count: int) -> list[str]:
        """Distinct letters that the program speaks of."""
        return self.rng.sample(words.ALPHABET, count)

    # --- test inputs -----------------------------------------------------------------------
    def integer(self, low: int = 0, high: int = 12) -> int:
        """An integer, both ends included."""
        return self.rng.randint(low, high)

    def near(self, *turns: int, spread: int = 5) -> int:
        """An integer at, next to or around one of the values where a rule turns; never < 0."""
        turn = self.rng.choice(turns)
        width = self.rng.choice((0, 1, spread))
        return max(0, turn + self.rng.randint(-width, width))

    def integers(
        self, *turns: int, low: int = 0, high: int = 12, sizes: tuple[int, int] = (2, 5)
    ) -> list[int]:
        """A short list of integers, some of them near the values where a rule turns."""
        size = self.rng.randint(*sizes)
        return [
            self.near(*turns) if turns and self.rng.random() < 0.7 else self.integer(low, high)
            for _ in range(size)
        ]

    def string(self, *letters: str, sizes: tuple[int, int] = (3, 6)) -> str:
        """A short string of letters in which the given letters are frequent."""
        alphabet = words.ALPHABET if not letters else words.ALPHABET[:4] + "".join(letters) * 3
        return "".join(self.rng.choices(alphabet, k=self.rng.randint(*sizes)))

    def animals(self, low: int = 2, high: int = 4) -> list[str]:
        """A few distinct short words."""
        return self.rng.sample(words.ANIMALS, self.rng.randint(low, high))

    def counts(self, *turns: int, low: int = 0, high: int = 12) -> dict[str, int]:
        """A small dictionary from words to integers, some near where a rule turns."""
        keys = self.rng.sample(words.ANIMALS[:6], self.rng.randint(2, 3))
        return dict(
            zip(keys, self.integers(*turns, low=low, high=high, sizes=(3, 3)), strict=False)
        )
