"""What a critic is asked about an episode, and what it is told."""

from dataclasses import replace

import numpy as np
import pytest

from redline.learner.course import judge, make_course
from redline.learner.samples import make_sample
from redline.learner.settings import CriticSettings
from redline.replay.records import TrajectoryStatus

TOKEN = CriticSettings(kind="head", level="token")
TURN = CriticSettings(kind="head", level="turn")


@pytest.fixture
def episode(build):
    """Tokens 0..8: state 2, action 2, state 1, action 3, and a last action right behind it."""

    def make(status=TrajectoryStatus.EXITED):
        turns = [
            build.turn(states=2, actions=2, reward=0.5),
            build.turn(states=1, actions=3, reward=-1.0),
            build.turn(states=0, actions=1, reward=2.0),
        ]
        trajectory = build.trajectory(turns, status=status)
        return make_sample(trajectory, np.zeros(3)), trajectory

    return make


def places(course):
    return course.states[course.before].tolist(), course.states[course.after].tolist()


def test_token_steps(episode):
    course = make_course(*episode(), TOKEN)
    assert places(course) == ([1, 2, 4, 5, 6, 7], [3, 7])
    assert course.rewards.tolist() == [0, 0.5, 0, 0, -1.0, 2.0]
    assert course.onward.tolist() == [2, 5]
    assert course.step_of_token.tolist() == [0, 1, 2, 3, 4, 5]
    assert course.last == -1
    assert course.trained.all()


def test_turn_steps(episode):
    course = make_course(*episode(), TURN)
    assert places(course) == ([1, 4, 7], [3, 7])
    assert course.rewards.tolist() == [0.5, -1.0, 2.0]
    assert course.onward.tolist() == [1, 2]
    assert course.step_of_token.tolist() == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("settings", [TOKEN, TURN])
@pytest.mark.parametrize(
    ("status", "limit_too", "cut"),
    [
        (TrajectoryStatus.TRUNCATED, False, True),
        (TrajectoryStatus.TURN_LIMIT, False, False),
        (TrajectoryStatus.TURN_LIMIT, True, True),
        (TrajectoryStatus.EXITED, True, False),
        (TrajectoryStatus.SOLVED, True, False),
    ],
)
def test_only_a_cut_episode_asks_for_its_last_state(episode, settings, status, limit_too, cut):
    settings = replace(settings, bootstrap_turn_limit=limit_too)
    course = make_course(*episode(status), settings)
    assert (course.last >= 0) == cut
    if cut:
        assert course.states[course.last] == 8
        assert not course.trained[course.last]


def test_judging_by_hand(episode):
    """Turn steps, γ = 0.5, λ = 1, values 1, 2, 3 and 4 for the state after a cut."""
    settings = replace(TURN, gamma=0.5)
    course = make_course(*episode(TrajectoryStatus.TRUNCATED), settings)
    assert course.states.tolist() == [1, 3, 4, 7, 8]
    values = np.array([1.0, 9.0, 2.0, 3.0, 4.0])
    judged = judge(course, values, settings)
    last = 2.0 + 0.5 * 4.0
    returns = [0.5 + 0.5 * (-1 + 0.5 * last), -1 + 0.5 * last, last]
    np.testing.assert_allclose(judged.advantages, np.array(returns) - [1, 2, 3])
    # The state after the first turn is to be worth what follows; the last one has no target.
    np.testing.assert_allclose(judged.targets, [returns[0], returns[1], returns[1], returns[2], 0])
    ended = judge(make_course(*episode(), settings), values[:4], settings)
    assert ended.advantages[-1] == 2.0 - 3.0


def test_token_and_turn_level_agree_on_the_first_token_without_discount(episode):
    """With λ = 1 and no critic each advantage is the reward still to come."""
    found = {}
    for settings in (TOKEN, TURN):
        course = make_course(*episode(), settings)
        judged = judge(course, np.zeros(len(course.states)), settings)
        found[settings.level] = judged.advantages[course.step_of_token]
    np.testing.assert_allclose(found["token"], [1.5, 1.5, 1, 1, 1, 2])
    np.testing.assert_allclose(found["turn"], found["token"])


def test_penalties_are_taken_where_they_arise(episode):
    sample, trajectory = episode()
    penalties = {"g/0": [np.array([0.1, 0.2]), np.array([0.0, 0.0, 0.3]), np.array([0.0])]}
    by_token = make_course(sample, trajectory, TOKEN, penalties)
    np.testing.assert_allclose(by_token.rewards, [-0.1, 0.3, 0, 0, -1.3, 2.0])
    by_turn = make_course(sample, trajectory, TURN, penalties)
    np.testing.assert_allclose(by_turn.rewards, [0.2, -1.3, 2.0])


def test_the_reward_of_a_turn_without_tokens_is_not_lost(build):
    turns = [build.turn(actions=0, reward=0.25), build.turn(reward=1.0)]
    turns += [build.turn(actions=0, reward=4.0)]
    trajectory = build.trajectory(turns)
    course = make_course(make_sample(trajectory, np.zeros(3)), trajectory, TURN)
    assert course.rewards.tolist() == [5.25]
