"""Families over strings: counting, changing and joining letters and words."""

from redline.dsl.families.base import Draft, draft, family
from redline.dsl.families.pick import Pick
from redline.dsl.families.words import MARKS


@family("strings")
def count_letter(pick: Pick) -> Draft:
    """How often a letter occurs, each time worth a constant."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    letter, k = pick.letter(), pick.constant(1, 9)
    return draft(
        f"{f}({s})",
        f"adds {k} for each {c} of {s} that is '{letter}'. Use {out}.",
        [
            f"{out} = 0",
            f"for {c} in {s}:",
            f"    if {c} == '{letter}':",
            f"        {out} += {k}",
            f"return {out}",
        ],
        lambda: (pick.string(letter),),
    )


@family("strings")
def drop_letter(pick: Pick) -> Draft:
    """The text without a letter."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    letter = pick.letter()
    return draft(
        f"{f}({s})",
        f"joins each {c} of {s} that is not '{letter}'. Use {out}.",
        [
            f"{out} = ''",
            f"for {c} in {s}:",
            f"    if {c} != '{letter}':",
            f"        {out} += {c}",
            f"return {out}",
        ],
        lambda: (pick.string(letter),),
    )


@family("strings")
def swap_letter(pick: Pick) -> Draft:
    """One letter replaced by another."""
    f, s, (old, new) = pick.function(), pick.text(), pick.letters(2)
    return draft(
        f"{f}({s})",
        f"replaces '{old}' by '{new}' in {s}.",
        [f"return {s}.replace('{old}', '{new}')"],
        lambda: (pick.string(old),),
    )


@family("strings")
def reverse_text(pick: Pick) -> Draft:
    """The letters in reverse order, after or before a mark."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    mark = pick.of(MARKS)
    return draft(
        f"{f}({s})",
        f"puts each {c} of {s} in front of '{mark}' in turn. Use {out}.",
        [
            f"{out} = '{mark}'",
            f"for {c} in {s}:",
            f"    {out} = {c} + {out}",
            f"return {out}",
        ],
        lambda: (pick.string(),),
    )


@family("strings")
def pad(pick: Pick) -> Draft:
    """The text and a repeated mark, before or after it."""
    f, s, mark, k = pick.function(), pick.text(), pick.of(MARKS), pick.constant(2, 5)
    line, where = pick.of(
        ((f"return {s} + '{mark}' * {k}", "after"), (f"return '{mark}' * {k} + {s}", "before"))
    )
    return draft(
        f"{f}({s})",
        f"puts '{mark}' {k} times {where} {s}.",
        [line],
        lambda: (pick.string(sizes=(2, 4)),),
    )


@family("strings")
def wrap(pick: Pick) -> Draft:
    """The text between two marks."""
    f, s = pick.function(), pick.text()
    left, right = pick.of(MARKS), pick.of(MARKS)
    return draft(
        f"{f}({s})",
        f"puts '{left}' before and '{right}' after {s}.",
        [f"return '{left}' + {s} + '{right}'"],
        lambda: (pick.string(sizes=(2, 4)),),
    )


@family("strings")
def change_case(pick: Pick) -> Draft:
    """The text in another case, with a letter at its end."""
    f, s, out, letter = pick.function(), pick.text(), pick.result(), pick.letter()
    case = pick.of(("upper", "lower", "title"))
    return draft(
        f"{f}({s})",
        f"returns {s} in {case} case with '{letter}' at the end. Use {out}.",
        [f"{out} = {s}.{case}()", f"return {out} + '{letter}'"],
        lambda: (pick.string(sizes=(2, 4)).title() + pick.string(sizes=(1, 2)).upper(),),
    )


@family("strings")
def edge(pick: Pick) -> Draft:
    """Whether the text starts or ends with a letter."""
    f, s, letter = pick.function(), pick.text(), pick.letter()
    word = pick.of(("start", "end"))
    return draft(
        f"{f}({s})",
        f"tells if {s} {word}s with '{letter}'.",
        [f"return {s}.{word}swith('{letter}')"],
        lambda: (pick.string(letter, sizes=(2, 4)),),
    )


@family("strings")
def head_tail(pick: Pick) -> Draft:
    """The start or the rest of the text, after a mark."""
    f, s, mark, k = pick.function(), pick.text(), pick.of(MARKS), pick.constant(1, 3)
    part, word = pick.of(((f"[:{k}]", f"the first {k}"), (f"[{k}:]", f"all after the first {k}")))
    return draft(
        f"{f}({s})",
        f"returns '{mark}' and {word} of {s}.",
        [f"return '{mark}' + {s}{part}"],
        lambda: (pick.string(sizes=(4, 6)),),
    )


@family("strings")
def join_words(pick: Pick) -> Draft:
    """The words of a list, joined by a mark."""
    f, xs, out, w = pick.function(), pick.list_name(), pick.result(), pick.loop()
    mark = pick.of(MARKS)
    left, right, where = pick.of(((w, f"'{mark}'", "after"), (f"'{mark}'", w, "before")))
    return draft(
        f"{f}({xs})",
        f"joins each {w} of {xs} with '{mark}' {where} it. Use {out}.",
        [
            f"{out} = ''",
            f"for {w} in {xs}:",
            f"    {out} += {left} + {right}",
            f"return {out}",
        ],
        lambda: (pick.animals(),),
    )


@family("strings")
def count_long(pick: Pick) -> Draft:
    """How many words of a list are of some length."""
    f, xs, out, w = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(2, 4), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"counts each {w} of {xs} of length {op.word} {k}. Use {out}.",
        [
            f"{out} = 0",
            f"for {w} in {xs}:",
            f"    if len({w}) {op.sign} {k}:",
            f"        {out} += 1",
            f"return {out}",
        ],
        lambda: ([pick.string(sizes=(k - 1, k + 1)) for _ in range(pick.integer(2, 4))],),
    )


@family("strings")
def count_in(pick: Pick) -> Draft:
    """How many letters are in, or not in, a set of letters."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    some = "".join(pick.letters(3))
    test = pick.of(("in", "not in"))
    return draft(
        f"{f}({s})",
        f"counts each {c} of {s} {test} '{some}'. Use {out}.",
        [
            f"{out} = 0",
            f"for {c} in {s}:",
            f"    if {c} {test} '{some}':",
            f"        {out} += 1",
            f"return {out}",
        ],
        lambda: (pick.string(*some),),
    )


@family("strings")
def repeat_letters(pick: Pick) -> Draft:
    """Each letter several times, after a mark."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    k, mark = pick.constant(2, 3), pick.of(MARKS)
    return draft(
        f"{f}({s})",
        f"adds each {c} of {s} {k} times to '{mark}'. Use {out}.",
        [
            f"{out} = '{mark}'",
            f"for {c} in {s}:",
            f"    {out} += {c} * {k}",
            f"return {out}",
        ],
        lambda: (pick.string(sizes=(2, 4)),),
    )


@family("strings")
def longer(pick: Pick) -> Draft:
    """The longer or the shorter of two texts, with a mark."""
    f, s, t, mark = pick.function(), pick.text(), pick.text(), pick.of(MARKS)
    sign, word = pick.of(((">", "longer"), ("<", "shorter")))
    return draft(
        f"{f}({s}, {t})",
        f"returns the {word} of {s} and {t} with '{mark}' at the end.",
        [
            f"if len({s}) {sign} len({t}):",
            f"    return {s} + '{mark}'",
            f"return {t} + '{mark}'",
        ],
        lambda: (pick.string(sizes=(2, 5)), pick.string(sizes=(2, 5))),
    )


@family("strings", held_out=True)
def mask_letter(pick: Pick) -> Draft:
    """The text with a mark in place of one letter, written as a loop."""
    f, s, out, c = pick.function(), pick.text(), pick.result(), pick.letter_name()
    letter, mark = pick.letter(), pick.of(MARKS)
    return draft(
        f"{f}({s})",
        f"joins each {c} of {s} with '{mark}' in place of '{letter}'. Use {out}.",
        [
            f"{out} = ''",
            f"for {c} in {s}:",
            f"    if {c} == '{letter}':",
            f"        {c} = '{mark}'",
            f"    {out} += {c}",
            f"return {out}",
        ],
        lambda: (pick.string(letter),),
    )


@family("strings", held_out=True)
def word_starts(pick: Pick) -> Draft:
    """The first letter of each word, with a mark."""
    f, xs, out, w = pick.function(), pick.list_name(), pick.result(), pick.loop()
    mark, at = pick.of(MARKS), pick.constant(0, 2)
    return draft(
        f"{f}({xs})",
        f"adds the letter at {at} of each {w} of {xs} to '{mark}'. Use {out}.",
        [
            f"{out} = '{mark}'",
            f"for {w} in {xs}:",
            f"    {out} += {w}[{at}]",
            f"return {out}",
        ],
        lambda: (pick.animals(),),
    )
