"""Driving `redline` as a user does: as a process of its own, watched from outside."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SMALL = (
    "max_staleness=1", "checkpoint_every=2", "tasks.train_count=60", "tasks.heldout_count=12",
    "tasks.heldout_family_count=4", "eval.tasks=16", "eval.samples=2", "eval.max_turns=2",
    "rollout.group_size=4", "rollout.max_turns=2", "rollout.sampling.max_command_tokens=12",
    "rollout.engine.max_model_len=768", "rollout.engine.kv_cache_gib=0.25",
    "learner.groups_per_step=4", "learner.loss.no_signal=keep",
    "learner.loss.entropy_coef=0.01", "learner.optimizer.learning_rate=0.001",
)  # fmt: skip
"""A run of seconds. Nothing that a random model does is rewarded, so the entropy bonus moves it."""


def make_model(folder):
    """A random model of 0.1 M parameters with a tokenizer of its own."""
    code = (
        "import sys; from redline.learner.model import make_tiny;"
        "from redline.learner.settings import TinyModelSettings;"
        "texts = [f'{n}|def f(a):\\n***\\n### REPL {n} >>>    return a\\n' for n in range(50)];"
        "make_tiny(sys.argv[1], TinyModelSettings(vocab_size=320, hidden_size=64,"
        " intermediate_size=128, layers=2, heads=2), texts)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    return folder


_started = []


def kill_drivers():
    """End what a failed test left running; the guardian of each run ends its workers."""
    while _started:
        _started.pop().kill()


class Driver:
    """One `redline` process; its stderr is collected as it comes."""

    def __init__(self, *arguments, cwd, environment=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redline.cluster.main", *map(str, arguments)],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _started.append(self.process)
        self.err, self.out = [], []
        self._news = queue.Queue()
        self._threads = [
            threading.Thread(target=self._collect, args=arguments, daemon=True)
            for arguments in (
                (self.process.stderr, self.err, True),
                (self.process.stdout, self.out, False),
            )
        ]
        for thread in self._threads:
            thread.start()

    def _collect(self, stream, lines, tell):
        for line in stream:
            lines.append(line)
            if tell:
                self._news.put(line)
        if tell:
            self._news.put(None)

    def wait_for_line(self, text, seconds=600):
        """Read on until a line holds `text`."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._news.get(timeout=max(0.1, deadline - time.monotonic()))
            assert line is not None, f"ended without saying {text!r}:\n{''.join(self.err)}"
            if text in line:
                return line

    def finish(self, seconds=420):
        """Wait for the end; returns the exit status."""
        try:
            status = self.process.wait(timeout=seconds)
        finally:
            self.process.kill()
        for thread in self._threads:
            thread.join(timeout=20)
        return status

    def descendants(self):
        """Ids of all processes of the run."""
        import psutil

        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in children]

    def interrupt(self):
        """What Ctrl-C at the terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def result(self):
        """The JSON object on stdout."""
        return json.loads("".join(self.out))

    def complaint(self):
        """All of stderr."""
        return "".join(self.err)


def alive(pids):
    """Those of the processes that still run."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found


def assert_gone_within(pids, seconds):
    """All processes end in time; who does not is named."""
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = {pid: Path(f"/proc/{pid}/cmdline").read_text()[:80] for pid in alive(pids)}
    assert not left, f"still there after {seconds} s: {left}"
