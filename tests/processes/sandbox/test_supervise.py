"""Killing what a run started, where the system lets it start something."""

import subprocess
import sys
import time

import psutil

STRAYS = """
import os, subprocess, sys, time
from redline.sandbox import kernel
from redline.sandbox.containment import remember_children
from redline.sandbox.supervise import kill_strays

kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
remember_children()
pids_read, pids_write = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            for _ in range(2):
                os.fork()
            os.write(pids_write, b"%d " % os.getpid())
            time.sleep(60)
        os._exit(0)
pids = b""
while pids.count(b" ") < 12:
    pids += os.read(pids_read, 100)
kill_strays()
print(pids.decode())
"""


def test_daemons_of_daemons_are_killed_and_reaped():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STRAYS], capture_output=True, text=True, timeout=30, check=True
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(set(pids)) == 12
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert time.monotonic() - started < 20


def test_the_server_itself_says_what_it_cannot_do(tmp_path):
    """A server without its socket ends with an error, and does not hang."""
    script = tmp_path / "start.py"
    script.write_text("from redline.sandbox import server; print(server._SCRIPT)")
    path = subprocess.check_output([sys.executable, str(script)], text=True).strip()
    done = subprocess.run([sys.executable, "-S", path, "99"], capture_output=True, timeout=30)
    assert done.returncode == 1
    assert b"Bad file descriptor" in done.stderr
