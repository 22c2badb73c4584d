"""The guardian of a run: whatever becomes of the driver, no process of the run is left."""

import os
import signal
import subprocess
import sys
import time

import pytest
from redline_driving import alive

from redline.cluster import guardian


def test_the_guardian_ends_what_a_killed_driver_leaves(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "from redline.cluster.guardian import Guardian\n"
        "Guardian()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'],"
        " start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 15
    while alive([child]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive([child])


def test_an_orderly_end_leaves_nobody_either():
    watch = guardian.Guardian()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    assert watch.close() == 1
    assert child.wait(timeout=5) == -9
    assert guardian.MARKER not in os.environ


_HIDING = """
import ctypes, os, subprocess, sys, time
libc = ctypes.CDLL(None)
time.sleep(3)  # the guardian looks once a second
start, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[47:49])
ctypes.memset(start, 0, end - start)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], env={})
print("hidden", flush=True)  # its parent is gone by then
time.sleep(100)
"""


def test_who_hides_its_environment_and_loses_its_parent_is_ended_all_the_same():
    watch = guardian.Guardian()
    leave = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
    parent = subprocess.Popen(
        [sys.executable, "-c", leave, _HIDING], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "hidden\n"
    assert parent.wait(timeout=10) == 0
    assert watch.close() == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_guardian_that_was_killed_or_stopped_leaves_nobody_either(monkeypatch, how):
    monkeypatch.setattr(guardian, "_CLOSE_SECONDS", 1.0)
    watch = guardian.Guardian()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    watch._process.send_signal(how)
    assert watch.close() == 1
    assert child.wait(timeout=5) == -9
    assert watch._process.poll() is not None
