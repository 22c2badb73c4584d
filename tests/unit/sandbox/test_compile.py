"""Which tests are taken apart, into what; which have to run whole, and why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.sandbox.compile import Operator, compile_test
from redline.sandbox.expectation import NotLiteral, literal_value


@pytest.mark.parametrize(
    ("test", "call", "operator", "expected", "negated"),
    [
        ("assert f(1, 2) == 3", "f(1, 2)", Operator.EQ, 3, False),
        ("assert (f(1)) == [1, {'a': (2,)}]", "f(1)", Operator.EQ, [1, {"a": (2,)}], False),
        ("assert 3 == f(1)", "f(1)", Operator.EQ, 3, False),
        ("assert 3 < f(1)", "f(1)", Operator.GT, 3, False),
        ("assert f(1) != -1.5", "f(1)", Operator.NE, -1.5, False),
        ("assert f(1) >= 'a'", "f(1)", Operator.GE, "a", False),
        ("assert f(1)", "f(1)", Operator.TRUTH, None, False),
        ("assert not f(1)", "f(1)", Operator.TRUTH, None, True),
        ("assert not f(1) == 2", "f(1)", Operator.EQ, 2, True),
        ("assert f(1) is True", "f(1)", Operator.IS, True, False),
        ("assert f(1) is not None", "f(1)", Operator.IS_NOT, None, False),
        ("assert f(1) == None, 'message'", "f(1)", Operator.EQ, None, False),
        ("assert f(1) in [1, 2]", "f(1)", Operator.IN, [1, 2], False),
        ("assert f(1) not in (1, 2)", "f(1)", Operator.NOT_IN, (1, 2), False),
        ("assert set(f(1)) == set([1])", "set(f(1))", Operator.EQ, {1}, False),
        ("assert sorted(f(1), reverse=True) == [1]", "sorted(f(1), reverse=True)", Operator.EQ,
         [1], False),
        ("assert round(f(1), 2) == 0.25", "round(f(1), 2)", Operator.EQ, 0.25, False),
        ("assert f(1)[0] == 1", "f(1)[0]", Operator.EQ, 1, False),
        ("assert f(1)[1:] == []", "f(1)[1:]", Operator.EQ, [], False),
        ("assert -f(1) == 1", "-f(1)", Operator.EQ, 1, False),
        ("assert f(x) == 2**31 - 1", "f(x)", Operator.EQ, 2**31 - 1, False),
        ("assert f(Pair(1, 2)) == 3", "f(Pair(1, 2))", Operator.EQ, 3, False),
        ("assert f(lambda x: x > 1) == 3", "f(lambda x: x > 1)", Operator.EQ, 3, False),
        ("assert C(1).get().upper() == 'A'", "C(1).get().upper()", Operator.EQ, "A", False),
        ("assert f([\n  1,\n]) == 1  # one", "f([1])", Operator.EQ, 1, False),
    ],
)  # fmt: skip
def test_plain_assertions_are_taken_apart(test, call, operator, expected, negated):
    plain = compile_test(test)
    assert plain is not None
    assert (plain.call, plain.operator, plain.negated) == (call, operator, negated)
    assert (plain.expected, type(plain.expected)) == (expected, type(expected))


@pytest.mark.parametrize(
    "test",
    [
        "assert math.isclose(f(1), 3.14)",
        "assert isclose(f(1), 3.14)",
        "assert abs(f(1) - 3.14) < 1e-6",
        "assert (f(1) == 3) == True",
        "assert (f(1) == 3) is True",
        "assert f(1) == 3 and f(2) == 4",
        "assert f(1) == f(2)",
        "assert f(1) == g(3)",
        "assert 1 < f(1) < 3",
        "assert same(f(1), 3) == True",
        "assert f(1).__eq__(3)",
        "assert f(1).startswith('abc')",
        "assert f(1).__eq__(3) != 0",
        "assert max(f(1), 7) == True",
        "assert all(x == 3 for x in f(1))",
        "assert isinstance(f(1), int)",
        "assert helper(f(1), 3) == 3",
        "assert equals(3)(f(1))",
        "assert [f(1)] == [3]",
        "assert f(1) == x",
        "assert f(1) is 3",
        "assert f(1) < [3]",
        "assert f(1) in 'abc'",
        "assert 3",
        "assert 3 == 3",
        "assert x",
        "assert len([1]) == 1",
        "assert f(1)[g(2)] == 1",
        "assert sorted(f(1), key=g) == [1]",
        "x = f(1)\nassert x == 3",
        "assert f(1) == 3\nassert f(2) == 4",
        "def check(c):\n    assert c(1) == 3\ncheck(f)",
        "f(1)",
        "assert f(1 == 3",
        "assert f((yield)) == 3",
        "",
        "assert f(1) == [0] * 10**9",
        "assert f(1) == 10**10**10",
        "assert f(" + "[" * 5000 + "]" * 5000 + ") == 3",
    ],
)
def test_what_could_hand_over_the_expectation_runs_whole(test):
    assert compile_test(test, None, "from tools import helper\ndef equals(x): ...") is None


def test_the_entry_point_is_a_candidates_call_whatever_its_name():
    assert compile_test("assert sum(10, 15) == 6") is None
    plain = compile_test("assert sum(10, 15) == 6", "sum")
    assert plain is not None and plain.call == "sum(10, 15)"


def test_a_truth_value_of_another_function_around_the_entry_point_runs_whole():
    assert compile_test("assert check(f(2), 4)", "f") is None
    assert compile_test("assert check(f(2), 4) == True", "f") is None
    assert compile_test("assert f(f(True)) == True", "f") is not None


def test_a_helper_of_the_setup_is_no_candidate():
    assert compile_test("assert close(f(2)) == 4", "f", "def close(x): return x") is None
    assert compile_test("assert close(2) == 4", "f", "close = int") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("float('inf')", math.inf),
        ("math.pi", math.pi),
        ("list(range(3))", [0, 1, 2]),
        ("{1: {2, 3}}", {1: {2, 3}}),
        ("'a' * 3 + 'b'", "aaab"),
        ("not True", False),
        ("1 / 4", 0.25),
        ("-(-2) ** 3", 8),
        ("complex(1, 2)", 1 + 2j),
    ],
)
def test_expectations_are_evaluated(text, value):
    import ast

    result = literal_value(ast.parse(text, mode="eval").body)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "x", "...", "f(1)", "1 / 0", "{**{}}", "'%s' % 3", "[0] * 10**9", "9 ** 9 ** 9", "{[]}",
        "list(range(10**9))", "bytes(10**9)", "int('x')", "'x' - 1", "f'{1}'", "1 < 2", "os.path",
        "set(x)", "dict(a=1)", "1 << 10**9",
    ],
)  # fmt: skip
def test_what_is_not_literal_or_not_bounded_is_refused(text):
    import ast

    with pytest.raises(NotLiteral):
        literal_value(ast.parse(text, mode="eval").body)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner,
    max_size=3) | st.tuples(inner, inner),
    max_leaves=8,
))  # fmt: skip
def test_any_literal_is_an_expectation(value):
    plain = compile_test(f"assert f(1) == {value!r}", "f")
    assert plain is not None
    assert plain.expected == value
    assert plain.call == "f(1)"


@given(st.text(max_size=40))
def test_any_text_compiles_or_runs_whole(text):
    compile_test(text)
    compile_test("assert " + text, "f", text)
