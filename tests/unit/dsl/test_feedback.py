"""What the policy hears of a failing program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.feedback import CUT_MARK, cut, feedback_from_details
from redline.dsl.settings import PromptSettings

SETTINGS = PromptSettings()


def test_silent_when_all_tests_pass():
    assert feedback_from_details([True, True], ["", "left over"], SETTINGS) == ""


def test_tells_of_the_first_failing_test_only():
    feedback = feedback_from_details([True, False, False], ["", "f(1) is 2", "f(2) is 3"], SETTINGS)
    assert feedback == "f(1) is 2"


def test_names_a_failing_test_without_detail():
    assert feedback_from_details([True, False], ["", " \n"], SETTINGS) == "test 2 failed"


def test_no_test_is_not_success():
    assert feedback_from_details([], [], SETTINGS) == "no test was run"


def test_blank_lines_and_carriage_returns_go():
    detail = "\nTraceback:\r\n\n  line 2  \nNameError: x\n"
    feedback = feedback_from_details([False], [detail], SETTINGS)
    assert feedback == "Traceback:\n  line 2\nNameError: x"


def test_long_detail_is_cut_with_a_mark():
    settings = PromptSettings(max_feedback_chars=20)
    feedback = feedback_from_details([False], ["x" * 21], settings)
    assert feedback == "x" * 14 + CUT_MARK
    assert feedback_from_details([False], ["x" * 20], settings) == "x" * 20


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="shorter"):
        feedback_from_details([True, True], [""], SETTINGS)


@given(st.text(), st.integers(0, 30))
def test_cut_keeps_its_limit(text, limit):
    shown = cut(text, limit)
    assert len(shown) <= limit
    if len(text) > limit > len(CUT_MARK):
        assert shown.endswith(CUT_MARK)
        assert text.startswith(shown.removesuffix(CUT_MARK))
