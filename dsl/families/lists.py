"""Families over lists of integers: sums, filters, searches, slices."""

from redline.dsl.families.base import Draft, draft, family
from redline.dsl.families.pick import Pick


@family("lists")
def sum_list(pick: Pick) -> Draft:
    """All values added to or taken from a constant."""
    f, xs, out, v, k = (
        pick.function(),
        pick.list_name(),
        pick.result(),
        pick.loop(),
        pick.constant(),
    )
    sign, rule = pick.of(
        (("+", f"adds each {v} of {xs} to"), ("-", f"takes each {v} of {xs} from"))
    )
    return draft(
        f"{f}({xs})",
        f"{rule} {k}. Use {out}.",
        [f"{out} = {k}", f"for {v} in {xs}:", f"    {out} {sign}= {v}", f"return {out}"],
        lambda: (pick.integers(),),
    )


@family("lists")
def count_where(pick: Pick) -> Draft:
    """How many values are on one side of a threshold."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"counts each {v} of {xs} {op.word} {k}. Use {out}.",
        [
            f"{out} = 0",
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        {out} += 1",
            f"return {out}",
        ],
        lambda: (pick.integers(k),),
    )


@family("lists")
def sum_where(pick: Pick) -> Draft:
    """The sum of the values on one side of a threshold."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"adds up each {v} of {xs} {op.word} {k}. Use {out}.",
        [
            f"{out} = 0",
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        {out} += {v}",
            f"return {out}",
        ],
        lambda: (pick.integers(k),),
    )


@family("lists")
def keep_where(pick: Pick) -> Draft:
    """The values on one side of a threshold."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"lists each {v} of {xs} {op.word} {k}. Use {out}.",
        [
            f"{out} = []",
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        {out}.append({v})",
            f"return {out}",
        ],
        lambda: (pick.integers(k),),
    )


@family("lists")
def map_list(pick: Pick) -> Draft:
    """Each value combined with a constant."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(2, 20), pick.arithmetic()
    return draft(
        f"{f}({xs})",
        f"lists {v} {op.word} {k} for each {v} of {xs}. Use {out}.",
        [
            f"{out} = []",
            f"for {v} in {xs}:",
            f"    {out}.append({v} {op.sign} {k})",
            f"return {out}",
        ],
        lambda: (pick.integers(sizes=(2, 4)),),
    )


@family("lists")
def extreme(pick: Pick) -> Draft:
    """The largest or smallest value."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    sign, word = pick.of(((">", "largest"), ("<", "smallest")))
    return draft(
        f"{f}({xs})",
        f"returns the {word} {v} of {xs}. Use {out}.",
        [
            f"{out} = {xs}[0]",
            f"for {v} in {xs}:",
            f"    if {v} {sign} {out}:",
            f"        {out} = {v}",
            f"return {out}",
        ],
        lambda: (pick.integers(sizes=(3, 5)),),
    )


@family("lists")
def contains(pick: Pick) -> Draft:
    """Whether a value occurs."""
    f, xs, v, a = pick.function(), pick.list_name(), pick.loop(), pick.number()
    found, other = pick.of((("True", "False"), ("False", "True")))
    return draft(
        f"{f}({xs}, {a})",
        f"returns {found} if any {v} of {xs} is {a}, else {other}.",
        [
            f"for {v} in {xs}:",
            f"    if {v} == {a}:",
            f"        return {found}",
            f"return {other}",
        ],
        lambda: (pick.integers(high=4), pick.integer(0, 4)),
    )


@family("lists")
def index_of(pick: Pick) -> Draft:
    """Where a value first occurs, or a constant."""
    f, xs, i, a = pick.function(), pick.list_name(), pick.index(), pick.number()
    k = pick.constant(5, 20)
    return draft(
        f"{f}({xs}, {a})",
        f"returns the first {i} where {xs} holds {a}, else {k}.",
        [
            f"for {i} in range(len({xs})):",
            f"    if {xs}[{i}] == {a}:",
            f"        return {i}",
            f"return {k}",
        ],
        lambda: (pick.integers(high=4, sizes=(3, 5)), pick.integer(0, 4)),
    )


@family("lists")
def first_where(pick: Pick) -> Draft:
    """The first value on one side of a threshold, or a constant."""
    f, xs, v = pick.function(), pick.list_name(), pick.loop()
    k, other, op = pick.constant(2, 15), pick.constant(0, 20), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"returns the first {v} of {xs} {op.word} {k}, else {other}.",
        [
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        return {v}",
            f"return {other}",
        ],
        lambda: (pick.integers(k, sizes=(1, 3)),),
    )


@family("lists")
def all_where(pick: Pick) -> Draft:
    """Whether no value is on one side of a threshold."""
    f, xs, v = pick.function(), pick.list_name(), pick.loop()
    k, op = pick.constant(2, 15), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"returns False if any {v} of {xs} is {op.word} {k}, else True.",
        [
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            "        return False",
            "return True",
        ],
        lambda: ([pick.near(k, k + 2, max(0, k - 2), spread=2) for _ in range(2)],),
    )


@family("lists")
def reverse_list(pick: Pick) -> Draft:
    """The values in reverse order, each changed by a constant."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op = pick.constant(1, 9), pick.arithmetic()
    return draft(
        f"{f}({xs})",
        f"lists {v} {op.word} {k} for each {v} of {xs} in reverse. Use {out}.",
        [
            f"{out} = []",
            f"for {v} in {xs}:",
            f"    {out} = [{v} {op.sign} {k}] + {out}",
            f"return {out}",
        ],
        lambda: (pick.integers(sizes=(2, 4)),),
    )


@family("lists")
def cut(pick: Pick) -> Draft:
    """The start or the rest of a list, and a constant."""
    f, xs, out = pick.function(), pick.list_name(), pick.result()
    k, m = pick.constant(1, 3), pick.constant(0, 20)
    part, word = pick.of(((f"[:{k}]", f"the first {k}"), (f"[{k}:]", f"all after the first {k}")))
    return draft(
        f"{f}({xs})",
        f"takes {word} of {xs} and appends {m}. Use {out}.",
        [f"{out} = {xs}{part}", f"{out}.append({m})", f"return {out}"],
        lambda: (pick.integers(sizes=(4, 5)),),
    )


@family("lists")
def running(pick: Pick) -> Draft:
    """Running sums from a constant."""
    f, xs, acc, out = pick.function(), pick.list_name(), pick.result(), pick.result()
    v, k = pick.loop(), pick.constant(0, 20)
    return draft(
        f"{f}({xs})",
        f"lists the running sum of each {v} of {xs} from {k}. Use {acc} and {out}.",
        [
            f"{acc} = {k}",
            f"{out} = []",
            f"for {v} in {xs}:",
            f"    {acc} += {v}",
            f"    {out}.append({acc})",
            f"return {out}",
        ],
        lambda: (pick.integers(low=1, sizes=(2, 4)),),
    )


@family("lists")
def unique(pick: Pick) -> Draft:
    """Each value once, in order, after a constant."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k = pick.constant(0, 9)
    return draft(
        f"{f}({xs})",
        f"starts a list with {k} and adds each {v} of {xs} not in it. Use {out}.",
        [
            f"{out} = [{k}]",
            f"for {v} in {xs}:",
            f"    if {v} not in {out}:",
            f"        {out}.append({v})",
            f"return {out}",
        ],
        lambda: (pick.integers(k, high=4, sizes=(4, 5)),),
    )


@family("lists")
def ranked(pick: Pick) -> Draft:
    """A value by its rank, times a constant."""
    f, xs, out = pick.function(), pick.list_name(), pick.result()
    k, at = pick.constant(2, 9), pick.constant(0, 2)
    how, word = pick.of((("", "sorts"), (", reverse=True", "sorts down")))
    return draft(
        f"{f}({xs})",
        f"{word} {xs} and returns the value at {at} times {k}. Use {out}.",
        [f"{out} = sorted({xs}{how})", f"return {out}[{at}] * {k}"],
        lambda: (pick.integers(sizes=(3, 5)),),
    )


@family("lists")
def by_index(pick: Pick) -> Draft:
    """The sum of values combined with their index."""
    f, xs, out, i = pick.function(), pick.list_name(), pick.result(), pick.index()
    op, k = pick.arithmetic(), pick.constant(0, 20)
    return draft(
        f"{f}({xs})",
        f"adds {xs} at {i} {op.word} {i} for each {i} to {k}. Use {out}.",
        [
            f"{out} = {k}",
            f"for {i} in range(len({xs})):",
            f"    {out} += {xs}[{i}] {op.sign} {i}",
            f"return {out}",
        ],
        lambda: (pick.integers(sizes=(3, 5)),),
    )


@family("lists", held_out=True)
def keep_changed(pick: Pick) -> Draft:
    """The values on one side of a threshold, each changed by a constant."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, op, m, by = pick.constant(2, 15), pick.ordering(), pick.constant(2, 9), pick.arithmetic()
    return draft(
        f"{f}({xs})",
        f"lists {v} {by.word} {m} for each {v} of {xs} {op.word} {k}. Use {out}.",
        [
            f"{out} = []",
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        {out}.append({v} {by.sign} {m})",
            f"return {out}",
        ],
        lambda: (pick.integers(k, sizes=(3, 5)),),
    )


@family("lists", held_out=True)
def last_where(pick: Pick) -> Draft:
    """The last value on one side of a threshold, or a constant."""
    f, xs, out, v = pick.function(), pick.list_name(), pick.result(), pick.loop()
    k, other, op = pick.constant(2, 15), pick.constant(0, 20), pick.ordering()
    return draft(
        f"{f}({xs})",
        f"returns the last {v} of {xs} {op.word} {k}, else {other}. Use {out}.",
        [
            f"{out} = {other}",
            f"for {v} in {xs}:",
            f"    if {v} {op.sign} {k}:",
            f"        {out} = {v}",
            f"return {out}",
        ],
        lambda: (pick.integers(k),),
    )
