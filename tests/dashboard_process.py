"""`redline dashboard` as a process of its own."""

import json
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def dashboard(run, *options):
    """The page of a run, served by a process of its own; its address."""
    command = [sys.executable, "-m", "redline.cluster.main", "dashboard", str(run), "--json"]
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line)["url"], process
    finally:
        process.terminate()
        process.communicate(timeout=30)
