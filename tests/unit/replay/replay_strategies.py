"""Hypothesis strategies for groups: anything that may be stored, corner cases included."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from redline.replay.records import Trajectory, TrajectoryGroup, TrajectoryStatus, Turn
from redline.sandbox.records import TestResult, TestStatus, Verdict

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
FINITE = st.floats(-1e9, 1e9)
RESULTS = st.builds(
    TestResult,
    status=st.sampled_from(TestStatus),
    detail=TEXT,
    detail_blind=TEXT,
    cpu_ms=st.floats(0, 1e6),
)
VERDICTS = st.builds(
    Verdict,
    tests=st.lists(RESULTS, max_size=3).map(tuple),
    tier=st.sampled_from(["namespaces", "none"]),
    wall_ms=st.floats(0, 1e6),
)


def _int32(size: int | st.SearchStrategy[int]) -> st.SearchStrategy:
    return hnp.arrays(np.int32, size)


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    size = draw(st.integers(0, 4))
    return Turn(
        state_token_ids=draw(_int32(st.integers(0, 4))),
        action_token_ids=draw(_int32(size)),
        rollout_logprobs=draw(hnp.arrays(np.float32, size)),  # NaN too: the learner counts it
        weight_versions=draw(hnp.arrays(np.int32, size, elements=st.integers(0, 9))),
        action_text=draw(TEXT),
        command=draw(st.none() | TEXT),
        error=draw(st.none() | TEXT),
        program=draw(TEXT),
        feedback=draw(TEXT),
        verdict=draw(st.none() | VERDICTS),
        reward=draw(FINITE),
    )


@st.composite
def groups(draw: st.DrawFn, group_id: st.SearchStrategy[str] = TEXT) -> TrajectoryGroup:
    name, task = draw(group_id), draw(TEXT)
    trajectories = tuple(
        Trajectory(
            trajectory_id=f"{name}/{index}",
            group_id=name,
            sample_index=index,
            task_id=task,
            initial_program=draw(TEXT),
            turns=tuple(draw(st.lists(turns(), max_size=3))),
            status=draw(st.sampled_from(TrajectoryStatus)),
            solved=draw(st.booleans()),
            worker=draw(TEXT),
            seconds=draw(FINITE),
        )
        for index in range(draw(st.integers(1, 3)))
    )
    return TrajectoryGroup(group_id=name, task_id=task, trajectories=trajectories)
