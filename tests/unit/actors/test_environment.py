"""What an engine's process inherits."""

import os

from redline.actors.environment import prepare_environment
from redline.actors.settings import EngineSettings


def test_an_engine_is_spawned_and_what_the_user_set_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {"VLLM_LOGGING_LEVEL": "INFO", "OMP_NUM_THREADS": "7"})
    prepare_environment(str(tmp_path), EngineSettings(omp_threads=2))
    assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
    assert os.environ["VLLM_LOGGING_LEVEL"] == "INFO"
    assert os.environ["OMP_NUM_THREADS"] == "2"
