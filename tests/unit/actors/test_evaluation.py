import asyncio
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redline.actors.evaluation import evaluate
from redline.actors.evaluation_summary import compare, solved_after, summarise
from redline.actors.intervals import paired_difference, pass_at_k, wilson
from redline.actors.settings import SamplingSettings
from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn

from .fakes import task, verdict


def turn(passed: bool | None) -> Turn:
    empty = np.empty(0, dtype=np.int32)
    return Turn(
        state_token_ids=empty,
        action_token_ids=empty,
        rollout_logprobs=np.empty(0, dtype=np.float32),
        weight_versions=empty,
        action_text="",
        command=None,
        error=None,
        program="",
        feedback="",
        verdict=None if passed is None else verdict(passed),
        reward=0.0,
    )


def trajectory(task_id: str, *passed: bool | None, aborted: bool = False) -> Trajectory:
    final = [p for p in passed if p is not None]
    return Trajectory(
        trajectory_id=f"{task_id}/x",
        group_id=task_id,
        sample_index=0,
        task_id=task_id,
        initial_program="",
        turns=tuple(turn(p) for p in passed),
        status=TrajectoryStatus.ABORTED if aborted else TrajectoryStatus.EXITED,
        solved=bool(final and final[-1]) and not aborted,
        worker="w",
        seconds=0.0,
    )


def test_wilson_against_published_values():
    rate = wilson(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(rate.ci_low, 4), round(rate.ci_high, 4)) == (0.2553, 0.3662)
    none = wilson(0, 20)
    assert none.ci_low == 0.0
    assert round(none.ci_high, 4) == 0.1611


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_rate_and_stays_in_bounds(tasks, data):
    rate = wilson(data.draw(st.integers(0, tasks)), tasks)
    assert 0 <= rate.ci_low <= rate.rate + 1e-12
    assert rate.rate - 1e-12 <= rate.ci_high <= 1


def test_more_solved_than_tasks_is_refused():
    with pytest.raises(ValueError, match="5 of 4"):
        wilson(5, 4)


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_solution(samples, data):
    solved = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    outcomes = [True] * solved + [False] * (samples - solved)
    subsets = list(itertools.combinations(outcomes, k))
    expected = sum(any(subset) for subset in subsets) / len(subsets)
    assert math.isclose(pass_at_k(samples, solved, k), expected, abs_tol=1e-12)


def test_pass_at_more_than_the_samples_is_refused():
    with pytest.raises(ValueError, match="pass@5"):
        pass_at_k(4, 1, 5)


def test_the_paired_interval_is_near_the_normal_one_and_repeats():
    rng = np.random.default_rng(1)
    before = (rng.random(400) < 0.3).astype(float)
    after = np.maximum(before, (rng.random(400) < 0.2).astype(float))
    first = paired_difference(before, after, seed=3)
    assert first == paired_difference(before, after, seed=3)
    gains = after - before
    half = 1.96 * gains.std() / math.sqrt(len(gains))
    assert abs(first.ci_low - (gains.mean() - half)) < 0.005
    assert abs(first.ci_high - (gains.mean() + half)) < 0.005
    assert first.difference == pytest.approx(first.after - first.before)


def test_pairing_sees_what_unpaired_intervals_cannot():
    before = [1.0, 0.0] * 200
    after = [1.0, 0.0] * 190 + [1.0, 1.0] * 10
    assert paired_difference(before, after).ci_low > 0


def test_different_tasks_cannot_be_compared():
    with pytest.raises(ValueError, match="3 tasks before and 2 after"):
        paired_difference([1, 0, 1], [1, 0])


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ((False, True, None), [False, True, True, True]),
        ((True, False, True), [True, False, True, True]),
        ((None, None), [False, False, False, False]),
        ((), [False, False, False, False]),
    ],
)
def test_the_program_after_turn_k_decides(passed, expected):
    made = trajectory("t", *passed)
    assert [solved_after(made, k) for k in (1, 2, 3, 8)] == expected


def test_a_summary_counts_tasks_families_turns_and_leaves_out_what_was_aborted():
    tasks = [
        task(task_id="a", source="builtin/lists"),
        task(task_id="b", source="builtin/numbers"),
        task(task_id="c", source="builtin/numbers"),
    ]
    result = summarise(
        [
            trajectory("a", True),
            trajectory("a", False, True),
            trajectory("b", False),
            trajectory("b", False, False, False, True),
            trajectory("c", True, aborted=True),
        ],
        tasks,
    )
    assert result.rate.tasks == 2
    assert result.rate.rate == pytest.approx(0.75)
    assert result.aborted == 1
    assert {f.family: f.rate.rate for f in result.by_family} == {"lists": 1.0, "numbers": 0.5}
    assert {t.turns: t.rate.rate for t in result.by_turns} == {1: 0.25, 2: 0.5, 4: 0.75, 8: 0.75}
    assert {p.k: p.value for p in result.pass_at} == {1: 0.75, 2: 1.0}
    assert result.num_turns == 2.0


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task z"):
        summarise([trajectory("z", True)], [task(task_id="a")])


def test_results_are_compared_on_common_tasks():
    tasks = [task(task_id=i) for i in "abc"]
    before = summarise([trajectory("a", False), trajectory("b", True)], tasks)
    after = summarise([trajectory("b", True), trajectory("a", True), trajectory("c", True)], tasks)
    difference = compare(before, after)
    assert (difference.tasks, difference.before, difference.after) == (2, 0.5, 1.0)


class CountingSampler:
    def __init__(self, fail_on: str = ""):
        self.running = self.most = self.tasks = 0
        self.fail_on = fail_on

    async def sample_group(self, task, *, group_id, group_size, sampling, max_turns, answering):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.001)
            if task.task_id == self.fail_on:
                raise RuntimeError("sampler died")
        finally:
            self.running -= 1
        self.tasks += 1
        trajectories = tuple(trajectory(task.task_id, True) for _ in range(group_size))
        return TrajectoryGroup(group_id=group_id, task_id=task.task_id, trajectories=trajectories)


def run_evaluation(samplers, count: int, told: list):
    return asyncio.run(
        evaluate(
            samplers,
            [task(task_id=str(i)) for i in range(count)],
            name="e",
            samples=2,
            sampling=SamplingSettings(),
            max_turns=8,
            groups_at_once=3,
            progress=lambda done, total: told.append((done, total)),
        )
    )


def test_every_task_is_run_once_in_order_and_the_work_is_shared():
    samplers, told = [CountingSampler(), CountingSampler()], []
    trajectories = run_evaluation(samplers, 20, told)
    assert [t.task_id for t in trajectories] == [str(i) for i in range(20) for _ in range(2)]
    assert samplers[0].tasks + samplers[1].tasks == 20
    assert all(s.tasks > 0 and s.most == 3 for s in samplers)
    assert told[-1] == (20, 20)


def test_a_dead_sampler_ends_the_evaluation_and_leaves_nothing_running():
    sampler = CountingSampler(fail_on="4")
    with pytest.raises(RuntimeError, match="sampler died"):
        run_evaluation([sampler], 20, [])
    assert sampler.running == 0
