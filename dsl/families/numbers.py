"""Families over integers: arithmetic, thresholds, counting loops."""

from redline.dsl.families.base import Draft, draft, family
from redline.dsl.families.pick import Pick
from redline.dsl.families.words import LABELS


@family("numbers")
def combine(pick: Pick) -> Draft:
    """Two arguments and a constant, joined by two operators."""
    f, a, b, k = pick.function(), pick.number(), pick.number(), pick.constant(2, 20)
    one, two = pick.arithmetic(), pick.arithmetic()
    return draft(
        f"{f}({a}, {b})",
        f"returns {a} {one.word} {b} {two.word} {k}.",
        [f"return {a} {one.sign} {b} {two.sign} {k}"],
        lambda: (pick.integer(2, 9), pick.integer(2, 9)),
    )


@family("numbers")
def scale(pick: Pick) -> Draft:
    """A linear rule with two constants."""
    f, a, k, m = pick.function(), pick.number(), pick.constant(2, 9), pick.constant()
    op = pick.arithmetic()
    return draft(
        f"{f}({a})",
        f"returns {a} times {k} {op.word} {m}.",
        [f"return {a} * {k} {op.sign} {m}"],
        lambda: (pick.integer(0, 5),),
    )


@family("numbers")
def compare(pick: Pick) -> Draft:
    """Whether an argument is on one side of a threshold."""
    f, a, k, op = pick.function(), pick.number(), pick.constant(2, 20), pick.ordering()
    return draft(
        f"{f}({a})",
        f"tells if {a} is {op.word} {k}.",
        [f"return {a} {op.sign} {k}"],
        lambda: (pick.near(k),),
    )


@family("numbers")
def floor_at(pick: Pick) -> Draft:
    """An argument bounded from one side."""
    f, a, k = pick.function(), pick.number(), pick.constant(2, 20)
    sign, word = pick.of((("<", "below"), (">", "above")))
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is {word} {k}, else {a}.",
        [f"if {a} {sign} {k}:", f"    return {k}", f"return {a}"],
        lambda: (pick.near(k),),
    )


@family("numbers")
def choose(pick: Pick) -> Draft:
    """The larger or the smaller of two, with something added."""
    f, a, b, op = pick.function(), pick.number(), pick.number(), pick.arithmetic()
    k = pick.constant()
    sign, word = pick.of(((">", "larger"), ("<", "smaller")))
    return draft(
        f"{f}({a}, {b})",
        f"returns the {word} of {a} and {b}, {op.word} {k}.",
        [f"if {a} {sign} {b}:", f"    return {a} {op.sign} {k}", f"return {b} {op.sign} {k}"],
        lambda: (pick.integer(), pick.integer()),
    )


@family("numbers")
def distance(pick: Pick) -> Draft:
    """The absolute difference times a constant."""
    f, a, b, k = pick.function(), pick.number(), pick.number(), pick.constant(2, 9)
    return draft(
        f"{f}({a}, {b})",
        f"returns the distance of {a} and {b} times {k}.",
        [f"if {a} < {b}:", f"    return ({b} - {a}) * {k}", f"return ({a} - {b}) * {k}"],
        lambda: (pick.integer(), pick.integer()),
    )


@family("numbers")
def divisible(pick: Pick) -> Draft:
    """One of two constants, by divisibility."""
    f, a, k = pick.function(), pick.number(), pick.constant(2, 5)
    yes, no = pick.rng.sample(range(21), 2)
    return draft(
        f"{f}({a})",
        f"returns {yes} if {k} divides {a}, else {no}.",
        [f"if {a} % {k} == 0:", f"    return {yes}", f"return {no}"],
        lambda: (pick.of((k, 2 * k, 3 * k, k + 1, 2 * k - 1)),),
    )


@family("numbers")
def between(pick: Pick) -> Draft:
    """Whether an argument lies in a range, ends included or not."""
    f, a, low = pick.function(), pick.number(), pick.constant(1, 10)
    high, sign = low + pick.constant(3, 10), pick.of(("<", "<="))
    ends = "without ends" if sign == "<" else "with ends"
    return draft(
        f"{f}({a})",
        f"tells if {a} is from {low} to {high}, {ends}.",
        [f"return {low} {sign} {a} {sign} {high}"],
        lambda: (pick.near(low, high),),
    )


@family("numbers")
def grade(pick: Pick) -> Draft:
    """One of three labels, by two thresholds."""
    f, a, low = pick.function(), pick.number(), pick.constant(2, 9)
    high = low + pick.constant(3, 9)
    first, second, third = pick.rng.sample(LABELS, 3)
    return draft(
        f"{f}({a})",
        f"returns '{first}' if {a} is below {low}, '{second}' if below {high}, else '{third}'.",
        [
            f"if {a} < {low}:",
            f"    return '{first}'",
            f"if {a} < {high}:",
            f"    return '{second}'",
            f"return '{third}'",
        ],
        lambda: (pick.near(low, high),),
    )


@family("numbers")
def discount(pick: Pick) -> Draft:
    """A change of an argument above a threshold, then a product."""
    f, a, k = pick.function(), pick.number(), pick.constant(5, 15)
    cut, m, op = pick.constant(1, 4), pick.constant(2, 9), pick.ordering()
    return draft(
        f"{f}({a})",
        f"takes {cut} from {a} if {a} is {op.word} {k} and returns {a} times {m}.",
        [f"if {a} {op.sign} {k}:", f"    {a} -= {cut}", f"return {a} * {m}"],
        lambda: (pick.near(k),),
    )


@family("numbers")
def split_parts(pick: Pick) -> Draft:
    """Quotient and remainder, combined."""
    f, a, k, op = pick.function(), pick.number(), pick.constant(2, 9), pick.arithmetic()
    out = pick.result()
    return draft(
        f"{f}({a})",
        f"returns {a} divided by {k} {op.word} the rest. Use {out}.",
        [f"{out} = {a} // {k}", f"return {out} {op.sign} {a} % {k}"],
        lambda: (pick.integer(10, 40),),
    )


@family("numbers")
def sum_range(pick: Pick) -> Draft:
    """A sum over a range."""
    f, a, out, i = pick.function(), pick.number(), pick.result(), pick.index()
    start, k = pick.constant(0, 3), pick.constant(2, 9)
    op = pick.arithmetic()
    return draft(
        f"{f}({a})",
        f"adds up {i} {op.word} {k} for {i} from {start} to before {a}. Use {out}.",
        [
            f"{out} = 0",
            f"for {i} in range({start}, {a}):",
            f"    {out} += {i} {op.sign} {k}",
            f"return {out}",
        ],
        lambda: (pick.integer(start + 1, 8),),
    )


@family("numbers")
def count_multiples(pick: Pick) -> Draft:
    """How many numbers below the argument a constant divides."""
    f, a, out, i = pick.function(), pick.number(), pick.result(), pick.index()
    k, by = pick.constant(2, 4), pick.constant(1, 9)
    return draft(
        f"{f}({a})",
        f"adds {by} for each {i} from 0 to before {a} that {k} divides. Use {out}.",
        [
            f"{out} = 0",
            f"for {i} in range({a}):",
            f"    if {i} % {k} == 0:",
            f"        {out} += {by}",
            f"return {out}",
        ],
        lambda: (pick.integer(1, 14),),
    )


@family("numbers")
def digit_sum(pick: Pick) -> Draft:
    """The digits of the argument, added to a constant."""
    f, a, out, k = pick.function(), pick.number(), pick.result(), pick.constant(0, 20)
    return draft(
        f"{f}({a})",
        f"adds the digits of {a} to {k} with a while loop. Use {out}.",
        [
            f"{out} = {k}",
            f"while {a} > 0:",
            f"    {out} += {a} % 10",
            f"    {a} //= 10",
            f"return {out}",
        ],
        lambda: (pick.integer(10, 400),),
    )


@family("numbers", held_out=True)
def clamp(pick: Pick) -> Draft:
    """An argument bounded from both sides."""
    f, a, low = pick.function(), pick.number(), pick.constant(1, 9)
    high = low + pick.constant(3, 10)
    return draft(
        f"{f}({a})",
        f"returns {low} if {a} is below {low}, {high} if {a} is above {high}, else {a}.",
        [
            f"if {a} < {low}:",
            f"    return {low}",
            f"if {a} > {high}:",
            f"    return {high}",
            f"return {a}",
        ],
        lambda: (pick.near(low, high),),
    )


@family("numbers", held_out=True)
def product_range(pick: Pick) -> Draft:
    """A product over a range."""
    f, a, out, i = pick.function(), pick.number(), pick.result(), pick.index()
    start, k = pick.constant(1, 3), pick.constant(1, 9)
    return draft(
        f"{f}({a})",
        f"multiplies {k} by {i} for {i} from {start} to before {a}. Use {out}.",
        [
            f"{out} = {k}",
            f"for {i} in range({start}, {a}):",
            f"    {out} *= {i}",
            f"return {out}",
        ],
        lambda: (pick.integer(2, 6),),
    )
