"""Families over dictionaries from words to integers."""

from redline.dsl.families.base import Draft, draft, family
from redline.dsl.families.pick import Pick
from redline.dsl.families.words import ANIMALS


@family("dicts")
def lookup(pick: Pick) -> Draft:
    """The value of a key, or a constant."""
    f, d, key, k = pick.function(), pick.table(), pick.key(), pick.constant(0, 20)
    return draft(
        f"{f}({d}, {key})",
        f"returns {d} at {key}, or {k} if {key} is not in {d}.",
        [f"if {key} in {d}:", f"    return {d}[{key}]", f"return {k}"],
        lambda: (pick.counts(), pick.of(ANIMALS[:4])),
    )


@family("dicts")
def get_default(pick: Pick) -> Draft:
    """The value of a key or a constant, by `get`, combined with another."""
    f, d, key, k = pick.function(), pick.table(), pick.key(), pick.constant(0, 20)
    op, m = pick.arithmetic(), pick.constant(2, 9)
    return draft(
        f"{f}({d}, {key})",
        f"gets {key} from {d}, else {k}, {op.word} {m}.",
        [f"return {d}.get({key}, {k}) {op.sign} {m}"],
        lambda: (pick.counts(), pick.of(ANIMALS[:4])),
    )


@family("dicts")
def sum_values(pick: Pick) -> Draft:
    """All values added to a constant."""
    f, d, out, key, k = (
        pick.function(), pick.table(), pick.result(), pick.key(), pick.constant(0, 20),
    )  # fmt: skip
    return draft(
        f"{f}({d})",
        f"adds {d} at each {key} to {k}. Use {out}.",
        [f"{out} = {k}", f"for {key} in {d}:", f"    {out} += {d}[{key}]", f"return {out}"],
        lambda: (pick.counts(low=1),),
    )


@family("dicts")
def keys_where(pick: Pick) -> Draft:
    """The keys whose value is on one side of a threshold."""
    f, d, out, key = pick.function(), pick.table(), pick.result(), pick.key()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({d})",
        f"lists each {key} of {d} with value {op.word} {k}. Use {out}.",
        [
            f"{out} = []",
            f"for {key} in {d}:",
            f"    if {d}[{key}] {op.sign} {k}:",
            f"        {out}.append({key})",
            f"return {out}",
        ],
        lambda: (pick.counts(k),),
    )


@family("dicts")
def tally_items(pick: Pick) -> Draft:
    """How often each value of a list occurs, times a constant."""
    f, xs, out, v, k = (
        pick.function(), pick.list_name(), pick.result(), pick.loop(), pick.constant(1, 9),
    )  # fmt: skip
    return draft(
        f"{f}({xs})",
        f"adds {k} in a dict for each {v} of {xs}. Use {out}.",
        [
            f"{out} = {{}}",
            f"for {v} in {xs}:",
            f"    {out}[{v}] = {out}.get({v}, 0) + {k}",
            f"return {out}",
        ],
        lambda: (pick.integers(low=1, high=3, sizes=(3, 4)),),
    )


@family("dicts")
def invert(pick: Pick) -> Draft:
    """A dictionary from changed values to keys."""
    f, d, out, key = pick.function(), pick.table(), pick.result(), pick.key()
    op, k = pick.arithmetic(), pick.constant(1, 9)
    return draft(
        f"{f}({d})",
        f"maps {d} at {key} {op.word} {k} to each {key} of {d}. Use {out}.",
        [
            f"{out} = {{}}",
            f"for {key} in {d}:",
            f"    {out}[{d}[{key}] {op.sign} {k}] = {key}",
            f"return {out}",
        ],
        lambda: (pick.counts(),),
    )


@family("dicts")
def change_values(pick: Pick) -> Draft:
    """Each value combined with a constant."""
    f, d, out, key = pick.function(), pick.table(), pick.result(), pick.key()
    op, k = pick.arithmetic(), pick.constant(2, 20)
    return draft(
        f"{f}({d})",
        f"maps each {key} of {d} to its value {op.word} {k}. Use {out}.",
        [
            f"{out} = {{}}",
            f"for {key} in {d}:",
            f"    {out}[{key}] = {d}[{key}] {op.sign} {k}",
            f"return {out}",
        ],
        lambda: (pick.counts(),),
    )


@family("dicts")
def add_at(pick: Pick) -> Draft:
    """One value changed, created if missing."""
    f, d, key, k = pick.function(), pick.table(), pick.key(), pick.constant(1, 20)
    m, op = pick.constant(0, 9), pick.arithmetic()
    return draft(
        f"{f}({d}, {key})",
        f"sets {d} at {key} to its value, else {m}, {op.word} {k} and returns {d}.",
        [f"{d}[{key}] = {d}.get({key}, {m}) {op.sign} {k}", f"return {d}"],
        lambda: (pick.counts(), pick.of(ANIMALS[:4])),
    )


@family("dicts")
def word_lengths(pick: Pick) -> Draft:
    """A dictionary from words to their changed length."""
    f, xs, out, w = pick.function(), pick.list_name(), pick.result(), pick.loop()
    op, k = pick.arithmetic(), pick.constant(2, 9)
    return draft(
        f"{f}({xs})",
        f"maps each {w} of {xs} to its length {op.word} {k}. Use {out}.",
        [
            f"{out} = {{}}",
            f"for {w} in {xs}:",
            f"    {out}[{w}] = len({w}) {op.sign} {k}",
            f"return {out}",
        ],
        lambda: (pick.animals(2, 3),),
    )


@family("dicts")
def extreme_value(pick: Pick) -> Draft:
    """The largest value of at least a constant, or the smallest of at most it."""
    f, d, out, key, k = (
        pick.function(), pick.table(), pick.result(), pick.key(), pick.constant(3, 12),
    )  # fmt: skip
    sign, word = pick.of(((">", "largest"), ("<", "smallest")))
    return draft(
        f"{f}({d})",
        f"returns the {word} of {k} and {d} at each {key}. Use {out}.",
        [
            f"{out} = {k}",
            f"for {key} in {d}:",
            f"    if {d}[{key}] {sign} {out}:",
            f"        {out} = {d}[{key}]",
            f"return {out}",
        ],
        lambda: (pick.counts(k, k - 3, k + 3),),
    )


@family("dicts", held_out=True)
def filter_table(pick: Pick) -> Draft:
    """The entries whose value is on one side of a threshold."""
    f, d, out, key = pick.function(), pick.table(), pick.result(), pick.key()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({d})",
        f"keeps each {key} of {d} with value {op.word} {k}. Use {out}.",
        [
            f"{out} = {{}}",
            f"for {key} in {d}:",
            f"    if {d}[{key}] {op.sign} {k}:",
            f"        {out}[{key}] = {d}[{key}]",
            f"return {out}",
        ],
        lambda: (pick.counts(k),),
    )


@family("dicts", held_out=True)
def count_values(pick: Pick) -> Draft:
    """How many values are on one side of a threshold."""
    f, d, out, key = pick.function(), pick.table(), pick.result(), pick.key()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({d})",
        f"counts each {key} of {d} with value {op.word} {k}. Use {out}.",
        [
            f"{out} = 0",
            f"for {key} in {d}:",
            f"    if {d}[{key}] {op.sign} {k}:",
            f"        {out} += 1",
            f"return {out}",
        ],
        lambda: (pick.counts(k),),
    )
