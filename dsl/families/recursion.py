"""Families of functions that call themselves."""

from redline.dsl.families.base import Draft, draft, family
from redline.dsl.families.pick import Pick
from redline.dsl.families.words import MARKS


@family("recursion")
def sum_down(pick: Pick) -> Draft:
    """The sum of an argument and all smaller ones by a step."""
    f, a, k, step = pick.function(), pick.number(), pick.constant(0, 20), pick.constant(1, 3)
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is at most 0, else {a} plus {f} of {a} minus {step}.",
        [f"if {a} <= 0:", f"    return {k}", f"return {a} + {f}({a} - {step})"],
        lambda: (pick.integer(0, 9),),
    )


@family("recursion")
def product_down(pick: Pick) -> Draft:
    """The product of an argument and all smaller ones."""
    f, a, k, low = pick.function(), pick.number(), pick.constant(1, 9), pick.constant(1, 2)
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is at most {low}, else {a} times {f} of {a} minus 1.",
        [f"if {a} <= {low}:", f"    return {k}", f"return {a} * {f}({a} - 1)"],
        lambda: (pick.integer(0, 5),),
    )


@family("recursion")
def two_back(pick: Pick) -> Draft:
    """A sequence in which each value comes from the two before."""
    f, a, k, op = pick.function(), pick.number(), pick.constant(1, 9), pick.of(("+", "-"))
    word = "plus" if op == "+" else "minus"
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is below 2, else {f} of {a} minus 1 {word} {f} of {a} minus 2.",
        [
            f"if {a} < 2:",
            f"    return {k}",
            f"return {f}({a} - 1) {op} {f}({a} - 2)",
        ],
        lambda: (pick.integer(0, 7),),
    )


@family("recursion")
def power(pick: Pick) -> Draft:
    """A repeated operation with the first argument."""
    f, a, b, k = pick.function(), pick.number(), pick.number(), pick.constant(1, 9)
    op = pick.arithmetic()
    return draft(
        f"{f}({a}, {b})",
        f"returns {k} if {b} is 0, else {a} {op.word} {f} of {a} and {b} minus 1.",
        [
            f"if {b} == 0:",
            f"    return {k}",
            f"return {a} {op.sign} {f}({a}, {b} - 1)",
        ],
        lambda: (pick.integer(2, 5), pick.integer(0, 3)),
    )


@family("recursion")
def fold_list(pick: Pick) -> Draft:
    """A list folded from the right."""
    f, xs, k, op = pick.function(), pick.list_name(), pick.constant(1, 20), pick.of(("+", "-"))
    word = "plus" if op == "+" else "minus"
    return draft(
        f"{f}({xs})",
        f"returns {k} if {xs} is empty, else its first {word} {f} of the rest.",
        [
            f"if not {xs}:",
            f"    return {k}",
            f"return {xs}[0] {op} {f}({xs}[1:])",
        ],
        lambda: (pick.integers(sizes=(0, 4)),),
    )


@family("recursion")
def reverse_rest(pick: Pick) -> Draft:
    """A text reversed, after a mark."""
    f, s, mark = pick.function(), pick.text(), pick.of(MARKS)
    return draft(
        f"{f}({s})",
        f"returns '{mark}' if {s} is empty, else {f} of the rest plus its first.",
        [
            f"if not {s}:",
            f"    return '{mark}'",
            f"return {f}({s}[1:]) + {s}[0]",
        ],
        lambda: (pick.string(sizes=(0, 4)),),
    )


@family("recursion")
def divisor(pick: Pick) -> Draft:
    """Euclid's algorithm, times a constant."""
    f, a, b, k = pick.function(), pick.number(), pick.number(), pick.constant(1, 9)
    return draft(
        f"{f}({a}, {b})",
        f"returns {a} times {k} if {b} is 0, else {f} of {b} and {a} modulo {b}.",
        [
            f"if {b} == 0:",
            f"    return {a} * {k}",
            f"return {f}({b}, {a} % {b})",
        ],
        lambda: (pick.of((6, 8, 9, 10, 12, 15, 18)), pick.of((4, 6, 9, 10, 12, 15))),
    )


@family("recursion")
def digits(pick: Pick) -> Draft:
    """The digits of the argument, combined."""
    f, a, k, op = pick.function(), pick.number(), pick.constant(1, 9), pick.of(("+", "-"))
    word = "plus" if op == "+" else "minus"
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is 0, else the last digit of {a} {word} {f} of the others.",
        [
            f"if {a} == 0:",
            f"    return {k}",
            f"return {a} % 10 {op} {f}({a} // 10)",
        ],
        lambda: (pick.integer(0, 400),),
    )


@family("recursion")
def countdown(pick: Pick) -> Draft:
    """A list counting down to a constant."""
    f, a, k, step = pick.function(), pick.number(), pick.constant(0, 20), pick.constant(1, 4)
    return draft(
        f"{f}({a})",
        f"returns [{k}] if {a} is at most 0, else [{a}] plus {f} of {a} minus {step}.",
        [
            f"if {a} <= 0:",
            f"    return [{k}]",
            f"return [{a}] + {f}({a} - {step})",
        ],
        lambda: (pick.integer(0, 2 * step + 2),),
    )


@family("recursion")
def doublings(pick: Pick) -> Draft:
    """How many steps an argument needs to reach a bound."""
    f, a, k, by = pick.function(), pick.number(), pick.constant(10, 20), pick.constant(1, 5)
    op = pick.of(("+", "*"))
    amount = by if op == "+" else by + 1
    word = "plus" if op == "+" else "times"
    return draft(
        f"{f}({a})",
        f"returns 0 if {a} is at least {k}, else 1 plus {f} of {a} {word} {amount}.",
        [
            f"if {a} >= {k}:",
            "    return 0",
            f"return 1 + {f}({a} {op} {amount})",
        ],
        lambda: (pick.integer(1, k + 2),),
    )


@family("recursion", held_out=True)
def stretch(pick: Pick) -> Draft:
    """A text with each letter repeated, before a mark."""
    f, s, mark, k = pick.function(), pick.text(), pick.of(MARKS), pick.constant(2, 4)
    return draft(
        f"{f}({s})",
        f"returns '{mark}' if {s} is empty, else its first times {k} plus {f} of the rest.",
        [
            f"if not {s}:",
            f"    return '{mark}'",
            f"return {s}[0] * {k} + {f}({s}[1:])",
        ],
        lambda: (pick.string(sizes=(0, 4)),),
    )


@family("recursion", held_out=True)
def sum_scaled(pick: Pick) -> Draft:
    """A weighted sum of an argument and all smaller ones."""
    f, a, k, m = pick.function(), pick.number(), pick.constant(0, 20), pick.constant(2, 5)
    return draft(
        f"{f}({a})",
        f"returns {k} if {a} is at most 0, else {a} times {m} plus {f} of {a} minus 1.",
        [f"if {a} <= 0:", f"    return {k}", f"return {a} * {m} + {f}({a} - 1)"],
        lambda: (pick.integer(0, 6),),
    )
