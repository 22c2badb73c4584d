"""Every threat, at each tier that claims to stop it, as root, unprivileged, and in a container.

One process per setting runs all threats one after the other; each is judged by a test of its own.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from threats import THREATS  # noqa: E402

CONFINED = (sys.executable, str(HERE.parent / "confined.py"))
SETTINGS = {
    "namespaces, as it is": ("namespaces", ()),
    "landlock, as it is": ("landlock", ()),
    "seccomp, as it is": ("seccomp", ()),
    "namespaces, unprivileged": ("namespaces", (*CONFINED, "--free")),
    "landlock, in a container": ("landlock", CONFINED),
    "seccomp, in a container": ("seccomp", (*CONFINED, "--no-landlock")),
}

pytestmark = pytest.mark.slow


@functools.cache
def outcomes(setting):
    tier, confinement = SETTINGS[setting]
    if confinement and os.geteuid() != 0 and setting == "namespaces, unprivileged":
        pytest.skip("without root this is `namespaces, as it is`")
    command = [*confinement, sys.executable, str(HERE / "run_threats.py"), tier]
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.name)
def test_a_threat_harms_nothing(setting, threat):
    found = outcomes(setting)[threat.name]
    assert "error" not in found, found["error"]
    assert threat.held(found["status"], found["detail"]), found
    assert found["tier"] == SETTINGS[setting][0]
    assert found["harm"] == []
    assert found["left"] == []
    assert found["correct_passes"]
    assert found["judging_seconds"] < 1.0
