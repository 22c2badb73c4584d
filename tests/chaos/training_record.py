"""A plugin that writes down what the learner trains on: a witness beside store and metrics.

Copied into the folder of a run, it appends a line to `trained.jsonl` there before each step.
"""

import json
from pathlib import Path

from redline.learner.learner import Learner

_FILE = Path(__file__).with_name("trained.jsonl")
_train_step = Learner.train_step


def _witnessed(self, groups, *arguments, **named):
    if self._rank == 0:
        line = {"version": self.weight_version, "groups": [_told(group) for group in groups]}
        with _FILE.open("a") as file:
            file.write(json.dumps(line) + "\n")
    return _train_step(self, groups, *arguments, **named)


def _told(group):
    """Its id, the oldest version of any of its tokens, and the length of each episode."""
    turns = [turn for trajectory in group.trajectories for turn in trajectory.turns]
    versions = [int(turn.weight_versions.min()) for turn in turns if len(turn.weight_versions)]
    return {
        "id": group.group_id,
        "oldest": min(versions, default=None),
        "turns": [len(trajectory.turns) for trajectory in group.trajectories],
        "tokens": [
            sum(len(turn.action_token_ids) for turn in trajectory.turns)
            for trajectory in group.trajectories
        ],
    }


Learner.train_step = _witnessed
