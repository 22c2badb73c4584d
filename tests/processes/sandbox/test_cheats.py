"""Wrong programs that try to be credited, whatever the test looks like; none may be."""

import pytest

ALWAYS_EQUAL = """\
class Yes{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __contains__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __repr__(self): return '7'
"""


def always_equal(base: str, value: str = "Yes()") -> str:
    return ALWAYS_EQUAL.format(base=base) + f"def f(x):\n    return {value}"


# Looks for a number like the expected one without holding it: any in its neighbourhood.
SEARCH = """\
import gc, re, sys
def look(part):
    if type(part) is int and 7_654_000 < part < 7_655_000: return part
    if type(part) is str and (found := re.search(r"\\b7654[0-9]{3}\\b", part)): return int(found[0])
def f(x):
    frame = sys._getframe()
    while frame:
        for part in (*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts):
            if look(part): return look(part)
        frame = frame.f_back
    for each in gc.get_objects():
        if isinstance(each, (list, tuple, dict)):
            for part in (each.values() if isinstance(each, dict) else each):
                if look(part): return look(part)
"""
FORGE = """\
import os, struct
def forge(body, kind=1):
    os.write(4, struct.pack('<IBd', len(body), kind, 0.0) + body)
"""

CHEATS = {
    "always equal": always_equal(""),
    "int subclass": always_equal("(int)"),
    "float subclass": always_equal("(float)"),
    "str subclass": always_equal("(str)"),
    "list subclass": always_equal("(list)"),
    "int subclass with a value": always_equal("(int)", "Yes(7654321)"),
    "inside a list": always_equal("", "[Yes()]"),
    "metaclass": "class M(type):\n    def __eq__(s, o): return True\n    __hash__ = type.__hash__\n"
    "class C(metaclass=M): pass\ndef f(x):\n    return C",
    "proxy of everything": "from unittest.mock import ANY\ndef f(x):\n    return ANY",
    "frames and gc": SEARCH,
    "payload file": "import os\ndef f(x):\n    try:\n        data = os.pread(3, 9999, 0)\n"
    "    except OSError:\n        data = open('/proc/self/fd/3', 'rb').read()\n"
    "    return 7654321 if b'7654321' in data else None",
    "exit": "import os\ndef f(x):\n    os._exit(0)",
    "exit while loading": "import os\nos._exit(0)",
    "system exit": "raise SystemExit(0)",
    "exit hook": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): pass",
    "hook for exceptions": "import sys\nsys.excepthook = lambda *a: None\ndef f(x): 1 / 0",
    "no assertions": "import builtins\nbuiltins.AssertionError = SystemExit\ndef f(x): pass",
    "patched builtins": "import builtins\nbuiltins.isinstance = lambda *a: True\n"
    "builtins.type = lambda *a: int\ndef f(x): pass",
    "patched json": "import json\njson.loads = json.dumps = lambda *a, **k: True\ndef f(x): pass",
    "pass frame forged": FORGE + "forge(b'', 0)\nforge(b'', 5)\nos._exit(0)",
    "pass frames forged": FORGE
    + "def f(x):\n    for _ in range(9): forge(b'', 5)\n    os._exit(0)",
    "true forged": FORGE + "def f(x):\n    forge(b'T\\0\\0\\0\\0')\n    os._exit(0)",
    "opaque forged": FORGE + "def f(x):\n    forge(b'o\\x03\\0\\0\\0int')\n    os._exit(0)",
    "nan": "def f(x):\n    return float('nan')",
    "generator": "def f(x):\n    yield 7654321",
    "coroutine": "async def f(x):\n    return 7654321",
    "string that looks right": "def f(x):\n    return '7654321'",
    "in a list": "def f(x):\n    return [7654321]",
    "patched module": "import sys\nfor m in list(sys.modules.values()):\n"
    "    for n in ('judge_value', 'holds', 'equal', 'encode', 'canonical'):\n"
    "        if hasattr(m, n): setattr(m, n, lambda *a, **k: b'T\\0\\0\\0\\0')\n"
    "def f(x): pass",
}


WHOLE = {
    "check": "def check(g):\n    assert g(1) == 7654321\n    assert [g(2)] == [7654321]\ncheck(f)",
    "close": "import math\nassert math.isclose(f(1), 7654321, rel_tol=1e-9)",
    "near": "assert abs(f(1) - 7654321) < 1e-6",
    "member": "assert f(1) in {7654321, 7654322}",
    "text": "assert f'{f(1)}' == '7654321' and isinstance(f(1), int)",
}


@pytest.mark.parametrize("program", CHEATS.values(), ids=CHEATS.keys())
def test_no_cheat_is_credited(run, program):
    """On either path; the tests of the second are taken together, in one pair if it lives on."""
    verdict = run(
        program, "assert f(1) == 7654321", "assert sorted([f(2)]) == [7654321]", *WHOLE.values()
    )
    assert "pass" not in [test.status.value for test in verdict.tests]


def test_the_correct_program_is_credited(run):
    program = "def f(x):\n    return 7654321"
    assert run(program, "assert f(1) == 7654321", *WHOLE.values()).passed


def test_there_are_enough_cheats():
    assert len(CHEATS) >= 25


def test_the_search_finds_what_is_there(run):
    """The cheat works: given the answer beside it, it finds it."""
    assert run(SEARCH + "hidden = [7654321]", "assert f(1) == 7654321").passed


def test_no_expectation_is_beside_the_program(run):
    """Neither that of the call itself nor that of the tests around it, on either path."""
    tests = ["assert f(1) == 7654321", "v = f(1)\nassert v == 7654321", WHOLE["check"]]
    verdict = run(SEARCH, *tests)
    assert [test.status.value for test in verdict.tests] == ["fail"] * 3


def test_exact_values_of_all_kinds_are_credited(run):
    program = (
        "import collections\ndef f(x):\n    return {0: None, 1: True, 2: 3, 3: 1.5, 4: 'é',"
        " 5: b'b', 6: [1, (2,)], 7: {1, 2}, 8: frozenset({3}), 9: 1j, 10: range(3),"
        " 11: {'a': {'b': 1}}, 12: collections.Counter('aab'),"
        " 13: collections.defaultdict(int, {1: 2}), 14: 10**30,"
        " 15: collections.OrderedDict(a=1)}[x]"
    )
    expected = [
        *("None", "True", "3", "1.5", "'é'", "b'b'", "[1, (2,)]", "{2, 1}", "frozenset({3})"),
        *("1j", "range(3)", "{'a': {'b': 1}}", "{'b': 1, 'a': 2}", "{1: 2}", "10**30", "{'a': 1}"),
    ]
    tests = [f"assert f({n}) == {text}" for n, text in enumerate(expected)]
    verdict = run(program, *tests)
    assert [test.detail for test in verdict.tests] == [""] * len(tests)
    assert verdict.passed
