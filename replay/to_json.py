"""The same views as plain JSON values, for `--json`."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from redline.replay.catalog import Catalog, GroupState
from redline.replay.records import Trajectory, TrajectoryGroup, Turn
from redline.replay.sql import Answer
from redline.replay.verify import VerifyReport


def catalog_to_json(catalog: Catalog) -> dict[str, Any]:
    """Totals, every segment and every group of a store."""
    groups = catalog.groups
    return {
        "path": catalog.path,
        "store_id": catalog.store_id,
        "groups": len(groups),
        "trajectories": sum(len(group.statuses) for group in groups),
        "tokens": sum(group.tokens for group in groups),
        "bytes": catalog.nbytes,
        "retired": catalog.retired,
        "states": {str(state): catalog.count(state) for state in GroupState},
        "statuses": {str(entry.status): entry.trajectories for entry in catalog.statuses},
        "problems": list(catalog.problems),
        "segments": [
            {"file": segment.file, "bytes": segment.nbytes, "groups": len(segment.groups)}
            for segment in catalog.segments
        ],
        "group_list": [
            {**asdict(group), "state": str(group.state), "statuses": _counts(group.statuses)}
            for group in groups
        ],
    }


def report_to_json(report: VerifyReport) -> dict[str, Any]:
    """What `verify_store` found."""
    return {**asdict(report), "problems": list(report.problems), "ok": report.ok}


def group_to_json(group: TrajectoryGroup) -> dict[str, Any]:
    """A group with all its trajectories."""
    return {
        "group_id": group.group_id,
        "task_id": group.task_id,
        "trajectories": [trajectory_to_json(trajectory) for trajectory in group.trajectories],
    }


def trajectory_to_json(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory with its turns, tokens included."""
    return {
        "trajectory_id": trajectory.trajectory_id,
        "group_id": trajectory.group_id,
        "sample_index": trajectory.sample_index,
        "task_id": trajectory.task_id,
        "status": str(trajectory.status),
        "solved": trajectory.solved,
        "reward": trajectory.total_reward,
        "tokens": trajectory.num_tokens,
        "worker": trajectory.worker,
        "seconds": trajectory.seconds,
        "initial_program": trajectory.initial_program,
        "turns": [_turn(turn) for turn in trajectory.turns],
    }


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Columns and rows of a query; numbers that JSON lacks are null, unknown types are text."""
    return {
        "columns": list(answer.columns),
        "rows": [[_plain(value) for value in row] for row in answer.rows],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "action_text": turn.action_text,
        "command": turn.command,
        "error": turn.error,
        "program": turn.program,
        "feedback": turn.feedback,
        "reward": turn.reward,
        "verdict": None if turn.verdict is None else asdict(turn.verdict),
        "mean_logprob": _finite(float(np.mean(turn.rollout_logprobs)))
        if len(turn.rollout_logprobs)
        else None,
        "state_token_ids": turn.state_token_ids.tolist(),
        "action_token_ids": turn.action_token_ids.tolist(),
        "rollout_logprobs": [_finite(value) for value in turn.rollout_logprobs.tolist()],
        "weight_versions": turn.weight_versions.tolist(),
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _counts(statuses: tuple[str, ...]) -> dict[str, int]:
    return {str(status): number for status, number in Counter(statuses).items()}
