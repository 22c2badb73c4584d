"""Errors of a worker reach whoever has to act on them."""

import pickle

import pytest

from redline.actors.errors import EngineError, StartError, WeightMismatch


@pytest.mark.parametrize(
    "error",
    [EngineError("dead"), StartError("no"), *(WeightMismatch("w", poisoned=p) for p in (0, 1))],
)
def test_they_cross_processes_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
