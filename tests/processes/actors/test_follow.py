import os
import subprocess
import sys
import textwrap

import pytest

from redline.actors.environment import prepare_environment
from redline.actors.follow import OWNER
from redline.actors.settings import EngineSettings

CHILD = """
import time
from redline.actors.follow import follow_owner
follow_owner()
print("up", flush=True)
time.sleep(60)
"""


def start(owner: int) -> subprocess.Popen:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD)],
        env={**os.environ, OWNER: str(owner)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"up\n"
    return child


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_ends_soon_after_its_owner(reaped):
    owner = subprocess.Popen(["/bin/sleep", "60"])
    child = start(owner.pid)
    try:
        assert child.poll() is None
        owner.kill()
        if reaped:
            owner.wait()
        assert child.wait(timeout=20) == 1
    finally:
        child.kill()
        child.wait()
        owner.wait()


def test_the_environment_names_the_owner_and_keeps_what_the_user_set(monkeypatch, tmp_path):
    environment = {"VLLM_LOGGING_LEVEL": "DEBUG", "OMP_NUM_THREADS": "7"}
    monkeypatch.setattr(os, "environ", environment)
    prepare_environment(str(tmp_path), EngineSettings(omp_threads=3))
    assert environment[OWNER] == str(os.getpid())
    assert environment["OMP_NUM_THREADS"] == "3", "a setting of its own"
    assert environment["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_a_policy_by_name_may_use_the_network(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    prepare_environment("someone/some-policy", EngineSettings())
    assert "HF_HUB_OFFLINE" not in os.environ
