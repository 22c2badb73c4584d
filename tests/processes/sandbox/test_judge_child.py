# ruff: noqa: E501 - tests of the sandbox, one a line
"""What a test that runs in the judge child can do with a program, as if it were beside it."""

import pytest

from redline.sandbox.records import Limits

PROGRAM = """\
import collections, dataclasses, enum, math
from collections import Counter
K = [1, {2: (3,)}]
class Own(ValueError):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code
class Sub(Own): pass
class Point:
    made = 0
    def __init__(self, x, y=0): self.x, self.y = x, y
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
    __hash__ = None
    def __add__(self, other): return Point(self.x + other.x, self.y + other.y)
    def __mul__(self, n): return Point(self.x * n, self.y * n)
    def __lt__(self, other): return self.x < other.x
    def __abs__(self): return abs(self.x) + abs(self.y)
    def __len__(self): return 2
    def __iter__(self): return iter((self.x, self.y))
    def __getitem__(self, i): return (self.x, self.y)[i]
    def __setitem__(self, i, v): self.x = v
    def __repr__(self): return f"Point({self.x}, {self.y})"
    def __bool__(self): return bool(self.x)
    def __enter__(self): return self
    def __exit__(self, *a): self.x = None
    def moved(self, by, *, twice=False): return Point(self.x + by * (1 + twice), self.y)
    @staticmethod
    def origin(): return Point(0, 0)
    @property
    def norm(self): return (self.x ** 2 + self.y ** 2) ** 0.5
class Colour(enum.Enum):
    RED = 1
    BLUE = 2
def add(a, b=1): return a + b
def total(*args, **kwargs): return sum(args) + sum(kwargs.values())
def sort(xs): xs.sort()
def grow(xs, ys): xs.append(len(ys)); return xs
def same(xs): return xs
def clear(d, s, b, q):
    d.pop('gone'); d['new'] = [1]; s |= {9}; b.extend(b'!'); q.appendleft(0)
def nest(m): m[0].append(m); m[1]['k'].clear()
def apply(f, xs): return [f(x) for x in xs]
def fold(f, xs):
    acc = 0
    for x in xs: acc = f(acc, x)
    return acc
def twice(f): return lambda x: f(f(x))
def reraise(f):
    try: return f()
    except KeyError: return 'key'
def count(n):
    try:
        for i in range(n):
            got = yield i
            if got: yield got * 10
    finally: K.append('closed')
    return 'end'
def fail(n):
    if n == 0: raise Own(7)
    if n == 1: raise Sub(8)
    if n == 2: raise OSError(2, 'no')
    if n == 3: return {}['k']
    if n == 4: raise UnicodeDecodeError('ascii', b'x', 0, 1, 'why')
    if n == 5: raise StopIteration(5)
    if n == 6: assert False, 'mine'
    if n == 7: return fail(n)
def drain(it): return [next(it), sum(it)]
def counter(): return Counter('aab')
def paths():
    d = collections.defaultdict(list); d['a'].append(1); return d
"""

WORKS = [
    "assert add(1) == 2 and add(1, b=4) == 5 and add('a', 'b') == 'ab'",
    "assert total(1, 2, operation=3, self=4) == 10",
    "from collections import deque\nd, s, b, q = {'gone': 1}, {1}, bytearray(b'x'), deque([1])\n"
    "clear(d, s, b, q)\nassert d == {'new': [1]} and s == {1, 9} and b == b'x!' and list(q) == [0, 1]",
    "a = [3, 1]\nb = a\nsort(a)\nassert b == [1, 3] and a is b",
    "a = [1]\nassert grow(a, a) is a and a == [1, 1]",
    "a = [1]\nassert grow(a, [[], []])[-1] == 2 and a == [1, 2]",
    "m = [[], {'k': {1}}]\ninner = m[0]\nnest(m)\nassert inner[0] is m and m[1] == {'k': set()}",
    "x = ([1], [1])\nassert same(x) == x and same(x)[0] is x[0]",
    "assert same(1.5) == 1.5 and same(None) is None and same({1: (2, {3})}) == {1: (2, {3})}",
    "import math\nassert math.isclose(same(0.1) + 0.2, 0.3) and abs(add(0.1, 0.2) - 0.3) < 1e-9",
    "assert isinstance(same(3), int) and type(same('a')) is str and same(b'x') == b'x'",
    "seen = []\nassert apply(lambda x: seen.append(x) or x + 1, [1, 2]) == [2, 3] and seen == [1, 2]",
    "assert apply(str.upper, ['a']) == ['A'] and apply(len, [[1]]) == [1] and apply(int, '12') == [1, 2]",
    "assert fold(lambda a, x: a * 2 + x, [1, 0, 1]) == 5",
    "assert twice(lambda x: x + 1)(1) == 3 and twice(twice(add))(0) == 4",
    "assert drain(iter([1, 2, 3])) == [1, 5] and drain(x * x for x in range(4)) == [0, 14]",
    "def boom():\n    raise KeyError('x')\nassert reraise(boom) == 'key'",
    "class Mine(Exception): pass\nerror = Mine(1)\ndef boom():\n    raise error\n"
    "try:\n    reraise(boom)\nexcept Mine as e:\n    assert e is error\nelse:\n    assert False",
    "assert list(count(3)) == [0, 1, 2] and sum(count(4)) == 6 and 2 in count(3)",
    "g = count(2)\nassert next(g) == 0 and g.send(4) == 40 and next(g) == 1\n"
    "try:\n    next(g)\nexcept StopIteration as stop:\n    assert stop.value == 'end'\n"
    "else:\n    assert False\nassert next(g, 'over') == 'over'",
    "g = count(2)\nnext(g)\ng.close()\nassert list(g) == [] and K[-1] == 'closed'",
    "import inspect, types\nassert isinstance(count(1), types.GeneratorType)",
    "g = count(5)\nnext(g)\ntry:\n    g.throw(ValueError('x'))\nexcept ValueError as e:\n"
    "    assert e.args == ('x',)\nelse:\n    assert False",
    "try:\n    fail(0)\nexcept Own as e:\n    assert e.code == 7 and str(e) == 'code 7'\nelse:\n    assert 0",
    "try:\n    fail(1)\nexcept Own as e:\n    assert type(e) is Sub and isinstance(e, ValueError)\n"
    "else:\n    assert 0",
    "try:\n    fail(1)\nexcept KeyError:\n    assert 0\nexcept ValueError as e:\n    assert 'code 8' in str(e)",
    "try:\n    fail(2)\nexcept FileNotFoundError as e:\n    assert e.errno == 2\nelse:\n    assert 0",
    "try:\n    fail(3)\nexcept KeyError as e:\n    assert e.args == ('k',)\nelse:\n    assert 0",
    "try:\n    fail(4)\nexcept UnicodeError as e:\n    assert e.reason == 'why'\nelse:\n    assert 0",
    "try:\n    fail(5)\nexcept RuntimeError:\n    pass\nelse:\n    assert 0",
    "try:\n    fail(7)\nexcept RecursionError:\n    pass\nelse:\n    assert 0",
    "p = Point(1, y=2)\nassert p.x == 1 and p.norm == 5 ** 0.5 and p.moved(2, twice=True).x == 5",
    "p = Point(1)\np.x = 5\np[0] += 1\nassert p.x == 6 and p[0] == 6 and list(p) == [6, 0]",
    "p = Point(3, 4)\nassert len(p) == 2 and repr(p) == 'Point(3, 4)' and str(p) == f'{p}' and 4 in p",
    "assert p if (p := Point(1)) else False\nassert not Point(0)",
    "p = Point(1) + Point(2, 3)\nassert (p.x, p.y) == (3, 3) and abs(p) == 6",
    "p = Point(1, 2) * 3\nassert p.x == 3 and repr(p) == 'Point(3, 6)'",
    "assert [p.x for p in sorted([Point(2), Point(1)])] == [1, 2]",
    "assert Point(1) is not Point(1) and isinstance(Point(1), Point) and type(Point(1)) is Point",
    "p = Point(1)\nassert same(p) is p and same([p])[0] is p and same({'k': p})['k'].x == 1",
    "assert Point.origin().x == 0 and Point.made == 0 and Point.__name__ == 'Point'",
    "Point.made = 3\nassert Point.made == 3",
    "with Point(1) as p:\n    assert p.x == 1\nassert p.x is None",
    "import copy\np = Point(1)\nq = copy.deepcopy(p)\nq.x = 2\nassert p.x == 1",
    "assert Colour.RED is Colour.RED and Colour.RED != Colour.BLUE and Colour(1) is Colour.RED\n"
    "assert [c.name for c in Colour] == ['RED', 'BLUE'] and Colour['RED'].value == 1",
    "assert K[:2] == [1, {2: (3,)}] and math.pi > 3 and Counter('a') == {'a': 1}",
    "assert counter() == Counter('aab') and counter().most_common(1) == [('a', 2)]",
    "d = paths()\nd['b'].append(2)\nassert d == {'a': [1], 'b': [2]}",
    "assert add.__name__ == 'add' and callable(add) and callable(Point)",
    "if __name__ == '__main__':\n    assert add(1) == 2",
    "try:\n    nothing\nexcept NameError:\n    pass\nelse:\n    assert 0",
    "class Case:\n    def test(self):\n        assert add(1) == 2\nCase().test()",
    "data = list(range(100_000, 0, -1))\nsort(data)\nassert data[:2] == [1, 2] and len(data) == 100_000",
]  # fmt: skip


@pytest.fixture(scope="module")
def verdict(sandbox):
    from redline.sandbox.records import ExecutionRequest

    request = ExecutionRequest(
        program=PROGRAM, tests=tuple(WORKS), limits=Limits(cpu_seconds=3, wall_seconds=60)
    )
    (answer,) = sandbox.run_all([request])
    return answer


@pytest.mark.parametrize("index", range(len(WORKS)), ids=lambda n: WORKS[n][:40])
def test_a_test_sees_the_program_as_if_it_were_beside_it(verdict, index):
    result = verdict.tests[index]
    assert (result.status.value, result.detail) == ("pass", "")


def one(run, test, program=PROGRAM, **fields):
    (result,) = run(program, test, limits=Limits(cpu_seconds=1, wall_seconds=20), **fields).tests
    return result.status.value, result.detail, result.detail_blind


@pytest.mark.parametrize(
    ("test", "status", "detail", "blind"),
    [
        ("x = add(1)\nassert x == 3", "fail", "add(1) gave 2, failed: assert x == 3", "add(1) gave 2"),
        ("def check(c):\n    assert c('a', 'b') == 'ab'\n    y = c([1], [2])\n    assert y == 3, y\ncheck(add)",
         "fail", "add([1], [2]) gave [1, 2], failed: assert y == 3, y", "add([1], [2]) gave [1, 2]"),
        ("assert 1 > 2 and 1", "fail", "failed: assert 1 > 2 and 1", "a test failed"),
        ("p = Point(1)\nassert p.moved(2).x == 9", "fail",
         "moved(2) gave a Point object, failed: assert p.moved(2).x == 9",
         "moved(2) gave a Point object"),
        ("v = add(1)\nassert v < 'x'", "exception",
         "add(1) gave 2, TypeError: '<' not supported between instances of 'int' and 'str', "
         "in: assert v < 'x'", "add(1) gave 2, TypeError in a test"),
        ("fail(0)", "exception", "Own: code 7 (line 59)", None),
        ("fail(6)", "exception", "AssertionError: mine (line 65)", None),
        ("fail(7)", "exception", "RecursionError: maximum recursion depth exceeded (line 66)", None),
        ("assert missing(1) == 3 and 1", "exception", "NameError: name 'missing' is not defined", None),
        ("assert f(\n", "exception", None, "SyntaxError in a test"),
        ("x = same(object)\nassert add(x) == 3", "exception", None, None),
        ("add(memoryview(b''))", "exception", None, None),
        ("assert same({3, 1, 2}) == {'b', 'a'} and 1", "fail",
         "same({1, 2, 3}) gave {1, 2, 3}, failed: assert same({3, 1, 2}) == {'b', 'a'} and 1",
         "same({1, 2, 3}) gave {1, 2, 3}"),
        ("y = apply(lambda x: x, [1])\nassert not y", "fail",
         "apply(a function, [1]) gave [1], failed: assert not y", None),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_shortly(run, test, status, detail, blind):
    told = one(run, test)
    assert told[0] == status
    assert detail is None or told[1] == detail
    assert told[2] == (blind or told[1]) or blind is None


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ("while True: pass", "timeout", "timeout: f(1)"),
        ("return 'x' * (1 << 40)", "memory", "out of memory: f(1)"),
        ("import os; os._exit(0)", "crash", "exit with status 0: f(1)"),
        ("import ctypes; ctypes.string_at(0)", "crash", "crash (SIGSEGV): f(1)"),
        ("while True: print('x' * 999)", "output", "too much output: f(1)"),
        ("return ['x'] * 10**6", "output", "too large a result: f(1)"),
        ("x = []; x.append(x); return x", "output", "too large a result: f(1)"),
        ("import os; os.write(7, b'nonsense' * 9); os._exit(0)", "protocol",
         "nonsense instead of a result: f(1)"),
        ("import os; os.close(7); os.close(6)", "crash", None),
        ("import sys; sys.setrecursionlimit(10**9); f(1)", None, None),
        ("return eval('(' * 10_000 + ')' * 10_000)", None, None),
        ("import time; time.sleep(60)", "timeout", "timeout: f(1)"),
    ],
)  # fmt: skip
def test_a_test_that_ends_the_candidate_costs_only_itself(run, body, status, detail):
    program = f"def f(x):\n    if x == 1:\n        {body}\n    return x"
    limits = Limits(cpu_seconds=0.4, wall_seconds=3 if "sleep" in body else 20, memory_mib=128)
    tests = [f"v = f({n})\nassert v == {n}" for n in range(3)]
    verdict = run(program, *tests, limits=limits)
    first, second, third = (test.status.value for test in verdict.tests)
    assert (first, third) == ("pass", "not_run" if "sleep" in body else "pass")
    assert second == status or (status is None and second != "pass")
    assert detail is None or verdict.tests[1].detail == detail


def test_what_the_test_itself_does_is_not_the_programs_time(run):
    """The judge child has a limit of its own; a test that loops meets that."""
    limits = Limits(cpu_seconds=0.2, wall_seconds=20)
    verdict = run(PROGRAM, "add(1)\nwhile True: pass", "v = add(1)\nassert v == 2", limits=limits)
    assert [test.status.value for test in verdict.tests] == ["timeout", "pass"]


def test_a_judge_that_fails_by_itself_is_no_verdict(sandbox):
    from redline.sandbox.records import ExecutionRequest, InfrastructureError

    request = ExecutionRequest(program=PROGRAM, tests=("import os\nos._exit(3)",))
    (answer,) = sandbox.run_all([request])
    assert isinstance(answer, InfrastructureError)
    assert "the judge child failed" in str(answer)


def test_setup_runs_on_both_sides_and_helpers_stay_with_the_judge(run):
    setup = "import math\nclass Bad(Exception): pass\ndef close(a, b): return math.isclose(a, b)"
    program = "def close(a, b): return True\ndef f(x): return math.sqrt(x)"
    tests = ("assert close(f(4), 2)", "assert not close(f(4), 3)", "assert f(4) + f(9) == 5")
    assert run(program, *tests, setup=setup, entry_point="f").passed


def test_a_function_of_the_setup_may_call_the_program(run):
    setup = "def twice(x):\n    return f(f(x))"
    tests = ("assert twice(1) == 3 and 1", "assert twice(2) == 4 and 2")
    assert run("def f(x): return x + 1", *tests, setup=setup, entry_point="f").passed


def test_the_entry_point_may_have_a_builtins_name(run):
    program = "def sum(a, b): return a * b"
    tests = ("assert sum(2, 3) == 6 and sum(1, 1) == 1", "x = sum(2, 3)\nassert max(x, 1) == 6")
    assert run(program, *tests, entry_point="sum").passed
    assert run(program, tests[0]).passed


def test_the_same_test_gives_the_same_text_every_time(run):
    program = "import random\ndef f(x):\n    return {str(random.random()), object, f}"
    texts = {one(run, "x = f(1)\nassert x == 3", program) for _ in range(4)}
    assert len(texts) == 1


SETUP = """\
import dataclasses, enum
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
    def check(self): return self.value == 3
@dataclasses.dataclass
class Pair:
    a: int
    b: list
class Colour(enum.Enum):
    RED = 1
    BLUE = 2
class Bad(ValueError): pass
"""
NODES = """\
class Worse(Bad): pass
def reverse(node):
    last = None
    while node: node.next, last, node = last, node, node.next
    return last
def build(values): return Node(values[0], build(values[1:])) if values else None
def swap(pair): pair.a, pair.b[0] = pair.b[0], pair.a
def make(a): return Pair(a, [a])
def paint(colour): return Colour.BLUE if colour is Colour.RED else Colour.RED
def fail(n): raise (Bad if n else Worse)(n)
def loop(node): node.next = node; return node
def hide():
    node = Node(1); node.check = lambda: True
    return node
def kind(): return Node
"""


@pytest.mark.parametrize(
    "test",
    [
        "n = Node(1, Node(2, Node(3)))\nm = n.next.next\nr = reverse(n)\n"
        "assert r is m and (r.value, r.next.value, r.next.next is n, n.next) == (3, 2, True, None)",
        "n = build([1, 2, 3])\nassert type(n) is Node and n.next.next.check() and not n.check()",
        "p = Pair(1, [2])\nb = p.b\nswap(p)\nassert p == Pair(2, [1]) and p.b is b",
        "x = make(3)\nassert x == Pair(3, [3]) and x != Pair(3, [4]) and [x] == [Pair(3, [3])]",
        "c = paint(Colour.RED)\nassert c is Colour.BLUE and paint(c) is Colour.RED",
        "try:\n    fail(1)\nexcept Bad as e:\n    assert type(e) is Bad and e.args == (1,)\nelse:\n    assert 0",
        "try:\n    fail(0)\nexcept Bad as e:\n    assert type(e).__name__ == 'Worse'\nelse:\n    assert 0",
        "n = Node(1)\nassert loop(n) is n and n.next is n",
        "k = kind()\nassert k is Node",
    ],
)
def test_objects_of_the_setups_classes_cross_by_value(run, test):
    verdict = run(NODES, test, setup=SETUP, limits=Limits(cpu_seconds=1, wall_seconds=20))
    assert [(each.status.value, each.detail) for each in verdict.tests] == [("pass", "")]


def test_an_object_of_the_setup_keeps_the_setups_methods(run):
    verdict = run(NODES, "n = hide()\nassert n.check()", setup=SETUP)
    assert [each.status.value for each in verdict.tests] == ["protocol"]
