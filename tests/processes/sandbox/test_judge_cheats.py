"""Wrong programs made for one kind of test that runs in the judge child; none may be credited.

Each comes with a correct program that passes the same test.
"""

import dataclasses

import pytest

from redline.sandbox.records import Limits

pytestmark = pytest.mark.usefixtures("leaves_nothing")

LIMITS = Limits(cpu_seconds=0.2, wall_seconds=10.0, memory_mib=96, result_bytes=65_536)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cheat:
    program: str
    test: str
    control: str
    status: str | None = None
    """What has to come of it, where that is not open."""


# Arithmetic that always comes to nothing, order that always holds, every conversion there is.
HOSTILE = """\
class Any{base}:
    def __init__(self, *a): pass
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def _zero(self, *other): return 0.0
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __mod__ = __pow__ = __xor__ = _zero
    __abs__ = __neg__ = __float__ = __round__ = __truediv__ = __and__ = __or__ = _zero
    def __int__(self): return 0
    __index__ = __len__ = __int__
    def _true(self, *other): return True
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _true
    startswith = endswith = issubset = issuperset = isdisjoint = _true
    def __iter__(self): return iter([self, self])
    def __getitem__(self, key): return self
    def __call__(self, *a, **k): return self
"""
OBJECT = HOSTILE.format(base="") + "def f(*a): return Any()\n"
SELF = HOSTILE.format(base="").replace("class Any", "class f").replace("return 0.0", "return self")
RAW = """\
import gc, os, struct
def side():
    return next(o for o in gc.get_objects() if type(o).__name__ == 'CandidateSide')
def send(kind, body=b'', number=1):
    try:
        os.write(7, struct.pack('<IBI', len(body), kind, number) + body)
    except OSError:
        pass
"""
CLOSE = "import math\nassert math.isclose(f(2), 3.25, abs_tol=1e-6)"
NEAR = "assert abs(f(2) - 3.25) < 1e-6"
VALUE = "v = f(2)\nassert v == 3.25"
RIGHT = "def f(x): return 3.25"
PAIR = "for x in f(2):\n    assert x in (1, 2)\nassert list(f(2)) == [1, 2]"
PAIR_RIGHT = "def f(x): return [1, 2]"
CALLBACK = "def same(x):\n    assert x == 5\n    return x\nf(same)"
RAISES = "try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False"
SET = "assert not set(f(2)) ^ {1, 2} and len(f(2) ^ {1, 2}) == 0"
ALL = "assert all(map(lambda c: f(c[0]) == c[1], [(1, 11), (2, 12)]))"
SORTS = "want = [1, 2, 3]\ndata = [3, 1, 2]\nf(data)\nassert data == want"
SORTS_RIGHT = "def f(x): x.sort()"


def answers(body: str, test: str = VALUE) -> Cheat:
    """A program whose function does this, with the helpers that forge messages."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return Cheat(program=f"{RAW}def f(*a):\n{lines}", test=test, control=RIGHT)


CHEATS = {
    "object against isclose": Cheat(program=OBJECT, test=CLOSE, control=RIGHT),
    "object against a difference": Cheat(program=OBJECT, test=NEAR, control=RIGHT),
    "class against a difference": Cheat(program=SELF, test=NEAR, control=RIGHT),
    "class against equality": Cheat(program=SELF, test=VALUE, control=RIGHT),
    "float subclass": Cheat(
        program=HOSTILE.format(base="(float)") + "def f(x): return Any(1)", test=NEAR, control=RIGHT
    ),
    "difference of a set": Cheat(program=OBJECT, test=SET, control="def f(x): return {2, 1}"),
    "object of objects": Cheat(program=OBJECT, test=PAIR, control=PAIR_RIGHT),
    "object that contains all": Cheat(
        program=OBJECT, test="assert 3.25 in f(2)", control="def f(x): return [3.25]"
    ),
    "object that starts with all": Cheat(
        program=OBJECT, test="assert f(2).startswith('abc')", control="def f(x): return 'abcd'"
    ),
    "object above all": Cheat(
        program=OBJECT, test="assert f(2) > 3.25", control="def f(x): return 4"
    ),
    "object equal to the list's": Cheat(
        program=OBJECT, test="assert [3.25, 4].index(f(2)) == 0", control=RIGHT
    ),
    "object of many classes": Cheat(
        program="class M(type):\n    def __instancecheck__(c, x): return True\n"
        "    def __eq__(c, x): return True\n    __hash__ = type.__hash__\n"
        "class int(metaclass=M):\n    __class__ = type(1)\n    def __eq__(s, x): return True\n"
        "def f(x): return int()",
        test="assert isinstance(f(2), int) and f(2) == 3",
        control="def f(x): return 3",
    ),
    "isclose of its own": Cheat(
        program="def isclose(*a, **k): return True\ndef f(x): return 0.0",
        test="assert isclose(f(2), 3.25)",
        control="from math import isclose\n" + RIGHT,
    ),
    "math of its own": Cheat(
        program="class math:\n    isclose = lambda *a, **k: True\n    pi = 3.25\n"
        "def f(x): return 0.0",
        test="assert math.isclose(f(2), 3.25)",
        control="import math\n" + RIGHT,
    ),
    "math patched": Cheat(
        program="import math, builtins\nmath.isclose = lambda *a, **k: True\n"
        "builtins.abs = lambda x: 0\nbuiltins.AssertionError = SystemExit\n"
        "__builtins__['sum'] = lambda x: 0\ndef f(x): return 0.0",
        test="assert math.isclose(f(2), 3.25) and abs(f(2) - 3.25) < 1e-6",
        control="import math\n" + RIGHT,
    ),
    "abs of its own": Cheat(
        program="def abs(x): return 0\ndef f(x): return 0.0", test=NEAR, control=RIGHT
    ),
    "end of a loop": Cheat(
        program="def f(x): raise StopIteration", test=ALL, control="def f(x): return x + 10"
    ),
    "end of a loop by a class": Cheat(
        program="class Stop(StopIteration): pass\ndef f(x): raise Stop",
        test=ALL,
        control="def f(x): return x + 10",
    ),
    "error of the same name": Cheat(
        program="class ValueError(Exception): pass\ndef f(x): raise ValueError",
        test=RAISES,
        control="def f(x): raise ValueError(x)",
    ),
    "error instead of an assertion": Cheat(
        program="def f(x): raise AssertionError", test=VALUE, control=RIGHT, status="exception"
    ),
    "exit of the judge": Cheat(
        program="def f(x): raise SystemExit(0)", test=VALUE, control=RIGHT, status="exception"
    ),
    "assertion swallowed": Cheat(
        program="def f(g):\n    try: g(0)\n    except BaseException: pass",
        test=CALLBACK,
        control="def f(g): g(5)",
        status="fail",
    ),
    "error with a hostile text": Cheat(
        program="class E(Exception):\n    def __str__(s): raise s\n    __repr__ = __str__\n"
        "def f(x): raise E(E())",
        test=VALUE,
        control=RIGHT,
    ),
    "error with a giant text": Cheat(
        program="def f(x): raise ValueError('x' * 10**7, [[0] * 10**6])", test=VALUE, control=RIGHT
    ),
    "nan": Cheat(program="def f(x): return float('nan')", test=NEAR, control=RIGHT),
    "generator without end": Cheat(
        program="def f(x):\n    while True: yield 1", test=PAIR, control=PAIR_RIGHT
    ),
    "every number": Cheat(
        program="import itertools\ndef f(x): return itertools.count()",
        test="assert 7654321 in f(2)",
        control="def f(x): return [7654321]",
        status="timeout",
    ),
    "reduce": Cheat(
        program="import os\nclass R:\n    def __reduce__(s): return os._exit, (0,)\n"
        "    __reduce_ex__ = lambda s, p: s.__reduce__()\ndef f(x): return R()",
        test=VALUE,
        control=RIGHT,
    ),
    "recursion": Cheat(program="def f(x): return f(x)", test=VALUE, control=RIGHT),
    "callback without end": Cheat(
        program="def f(g):\n    while True: g(5)",
        test=CALLBACK,
        control="def f(g): g(5)",
        status="timeout",
    ),
    "callbacks within callbacks": Cheat(
        program="def f(g): g(f)",
        test="def again(h):\n    h(again)\n    assert False\nf(again)\nassert f(len) == 3",
        control="def f(g):\n    return 3",
    ),
    "arguments of others": Cheat(
        program=RAW + "def f(x):\n    s = side()\n    x[:] = s._objects\n    return x",
        test=SORTS,
        control=SORTS_RIGHT,
    ),
    "containers that were no arguments": Cheat(
        program=RAW + "def f(x):\n    send(2, b'~' + b'l\\0\\0\\0\\0' * 9 + b'N\\0\\0\\0\\0', 3)",
        test=SORTS,
        control=SORTS_RIGHT,
        status="protocol",
    ),
    "a list that becomes a dict": Cheat(
        program=RAW + "def f(x):\n    send(2, b'~d\\0\\0\\0\\0N\\0\\0\\0\\0', 3)",
        test=SORTS,
        control=SORTS_RIGHT,
        status="protocol",
    ),
    "hash bomb": Cheat(
        program=RAW + "def f(x):\n    n = [i * (2**61 - 1) for i in range(4000)]\n"
        "    body = b''.join(b'i\\x0c\\0\\0\\0' + i.to_bytes(12, 'little') for i in n)\n"
        "    send(2, b'=S' + struct.pack('<I', len(n)) + body, 3)",
        test=VALUE,
        control=RIGHT,
        status="protocol",
    ),
    "hash bomb in a list": Cheat(
        program="def f(x): return [i * (2**61 - 1) for i in range(6000)]",
        test="assert set(f(2)) == {1, 2}",
        control=PAIR_RIGHT,
    ),
    "globals of a callback": Cheat(
        program=RAW + "def f(g):\n    return side().ask('getattr', g, '__globals__')",
        test="want = 3\nassert f(lambda: 1) == want",
        control="def f(g): return 3",
        status="protocol",
    ),
    "a getter on a callback": Cheat(
        program=RAW + "import operator\ndef f(g):\n"
        "    return side().ask('call', operator.attrgetter, '__globals__')",
        test="want = 3\nassert f(lambda: 1) == want",
        control="def f(g): return 3",
        status="protocol",
    ),
    "loop replaced": answers("s = side()\ntype(s).operate = lambda *a: True\nreturn True"),
    "encoder replaced": answers(
        "import sys\ns = side()\nfor n in ('_answer', '_error_answer'):\n"
        "    setattr(type(s), n, lambda *a: b'=T\\0\\0\\0\\0')"
    ),
    "pass frames everywhere": answers(
        "for fd in range(64):\n    try: os.write(fd, struct.pack('<IBd', 0, 5, 0.0) * 9)\n"
        "    except OSError: pass\nos._exit(0)"
    ),
    "early answers": answers("for n in range(9): send(2, b'=T\\0\\0\\0\\0', n)"),
    "answer given twice": answers("send(2, b'=N\\0\\0\\0\\0', 3)"),
    "giant message": answers("os.write(7, struct.pack('<IBI', 0xFFFFFFFF, 2, 3))"),
    "large message": answers(
        "while True: send(2, b'=b' + struct.pack('<I', 1 << 25) + b'x' * (1 << 25), 3)"
    ),
    "half a message": answers("os.write(7, b'\\x09\\0')\nos._exit(0)"),
    "deep message": answers("send(2, b'=' + b'l\\x01\\0\\0\\0' * 9999, 3)"),
    "message of many": answers("send(2, b'=l\\xff\\xff\\xff\\x7f', 3)"),
    "ready again": answers("send(0)"),
    "pipes closed": answers("os.close(6); os.close(7)\nwhile True: pass"),
    "answers closed": answers("os.close(7)"),
    "clean exit": answers("os._exit(0)"),
    "exit hook": answers("import atexit\natexit.register(os._exit, 0)"),
    "trace": answers(
        "import sys\nfound = []\ndef trace(frame, *a):\n    found.append(frame.f_locals)\n"
        "    return trace\nsys.settrace(trace)\nsys.setprofile(trace)\nsys.excepthook = trace"
    ),
    "modules deleted": answers("import sys\nsys.modules.clear()\nreturn 0"),
    "exit function of both": answers("return os._exit"),
    "forged name": answers("import types\nm = types.ModuleType('math')\nreturn m"),
    "all killed": answers("try: os.kill(-1, 9)\nexcept OSError: pass"),
}
REFERENCES = {
    "an object never given": ("yours", 999),
    "a standard function that exits": ("standard", "os", "_exit"),
    "a module that acts": ("module", "os"),
    "an object without a class": ("object", 1, ()),
    "a class of too long an ancestry": ("class", ((1, "a"),) * 99, None),
    "an exception that is none": ("class", ((1, "a"),), "int"),
    "nothing": (),
}


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS.keys())
def test_no_cheat_is_credited(run, cheat):
    verdict = run(cheat.program, cheat.test, limits=LIMITS)
    (test,) = verdict.tests
    assert test.status.value != "pass"
    assert cheat.status in (None, test.status.value), test
    assert len(test.detail) < 900 and "0x7" not in test.detail


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS.keys())
def test_the_correct_program_passes(run, cheat):
    verdict = run(cheat.control, cheat.test, limits=LIMITS)
    assert verdict.passed, verdict.tests


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES.keys())
def test_no_forged_reference_is_taken(run, reference):
    program = f"{RAW}def f(x):\n    side().refer = lambda v: {reference!r}\n    return object()"
    (test,) = run(program, VALUE, limits=LIMITS).tests
    assert test.status.value == "protocol"


def test_there_are_enough_cheats():
    assert len(CHEATS) >= 25


def test_a_cheat_costs_only_its_own_test(run):
    """Here the link is out of step after the second test: the third has a pair of its own."""
    program = RAW + "def f(x):\n    if x == 2: send(2, b'=N\\0\\0\\0\\0', 3)\n    return x"
    tests = [f"v = f({n})\nassert v == {n}" for n in (1, 2, 3)]
    verdict = run(program, *tests, limits=LIMITS)
    assert [test.status.value for test in verdict.tests] == ["pass", "protocol", "pass"]
