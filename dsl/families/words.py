"""The small shared vocabulary of names, letters and words that built-in programs are written in.

Names are few and short on purpose: copying an arbitrary name is the hardest thing for a policy
of a million parameters, and says nothing about how well it repairs programs. Few are part of
another word, since `REPW` replaces every occurrence of a string, inside words as well.
"""

FUNCTIONS = (
    "calc", "solve", "apply", "check", "find", "make", "work", "build",
    "scan", "step", "task", "tool", "plan", "move", "turn", "form",
)  # fmt: skip
NUMBERS = ("a", "b", "x", "y", "k", "num", "size", "cost", "side", "rate")
LISTS = ("items", "values", "data", "row", "marks", "prices")
TEXTS = ("text", "word", "line", "name", "phrase")
TABLES = ("table", "stock", "book", "scores", "ages")
RESULTS = ("total", "result", "out", "acc", "best", "tally")
LOOPS = ("v", "e", "t", "w")
INDICES = ("i", "j")
LETTERS = ("c", "ch")
KEYS = ("key", "entry")

NAME_POOLS = (
    FUNCTIONS, NUMBERS, LISTS, TEXTS, TABLES, RESULTS, LOOPS, INDICES, LETTERS, KEYS,
)  # fmt: skip

ALPHABET = "abcdeiorst"
"""Letters that programs speak of and that test inputs are made of."""
MARKS = ("-", "+", "*", "!", "#", "_")
LABELS = ("low", "mid", "high", "yes", "no", "big", "tiny", "odd")
ANIMALS = ("ant", "bee", "cat", "dog", "elk", "fox", "rat", "toad", "crab", "bear", "deer", "goat")
