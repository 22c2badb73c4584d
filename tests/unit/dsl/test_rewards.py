"""Every branch of the turn reward, each with a value of its own."""

import pytest

from redline.dsl.rewards import score_turn
from redline.dsl.settings import RewardSettings

SETTINGS = RewardSettings(
    solved=1.0, malformed=-2.0, impossible=-4.0, no_exit=-8.0, wrong_exit=-16.0, per_turn=-32.0
)


def score(settings=SETTINGS, **flags):
    quiet = dict.fromkeys(
        ("malformed", "impossible", "newly_solved", "is_exit", "passing", "last_turn"), False
    )
    return score_turn(**quiet | flags, settings=settings)


@pytest.mark.parametrize(
    ("flags", "reward"),
    [
        ({}, -32),
        ({"passing": True}, -32),
        ({"newly_solved": True, "passing": True}, 1 - 32),
        ({"newly_solved": True, "passing": True, "last_turn": True}, 1 - 8 - 32),
        ({"malformed": True}, -2 - 32),
        ({"malformed": True, "last_turn": True}, -2 - 8 - 32),
        ({"impossible": True}, -4 - 32),
        ({"impossible": True, "passing": True, "last_turn": True}, -4 - 8 - 32),
        ({"last_turn": True}, -8 - 32),
        ({"is_exit": True, "last_turn": True}, -16 - 32),
        ({"is_exit": True, "last_turn": True, "passing": True}, -32),
    ],
)
def test_terms_add_up(flags, reward):
    assert score(**flags) == reward


def test_defaults_are_those_of_the_paper():
    paper = RewardSettings()
    assert score(paper, newly_solved=True, passing=True) == 1.0
    assert score(paper, malformed=True) == -0.5
    assert score(paper, last_turn=True) == -0.5
    assert score(paper, is_exit=True, passing=True, last_turn=True) == 0.0
    assert score(paper) == 0.0


@pytest.mark.parametrize(
    "flags",
    [
        {"malformed": True, "impossible": True},
        {"malformed": True, "is_exit": True},
        {"newly_solved": True, "is_exit": True, "passing": True},
        {"newly_solved": True},
    ],
)
def test_contradictions_are_refused(flags):
    with pytest.raises(ValueError, match="expected"):
        score(**flags)
