"""Who of a run is struck, how, and what became of the struck."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import psutil
from redline_driving import alive

TITLES = {
    "sampler": "ray::Sampler",
    "engine": "VLLM::EngineCore",
    "sandbox": "ray::SandboxActor",
    "fork server": "fork_server.py",
    "replay": "ray::ReplayActor",
    "learner": "ray::Learner",
}
"""What a process of each role is called by."""


def processes(run, role):
    """Ids of the processes of a role in a run, oldest first."""
    if role == "driver":
        return [run.process.pid]
    found = []
    for pid in run.descendants():
        try:
            process = psutil.Process(pid)
            if TITLES[role] in " ".join(process.cmdline()):
                found.append((process.create_time(), pid))
        except psutil.NoSuchProcess:
            continue
    return [pid for _, pid in sorted(found)]


@dataclass
class Striker:
    """Strikes at random, and remembers."""

    seed: int
    kills: Counter = field(default_factory=Counter)
    stops: Counter = field(default_factory=Counter)
    hung: dict = field(default_factory=dict)
    """Processes that were stopped and not continued, by id."""

    def __post_init__(self):
        self.random = random.Random(self.seed)

    def kill(self, run, role):
        """SIGKILL one of a role; False when there is none."""
        return self._strike(run, role, signal.SIGKILL, self.kills)

    def stop(self, run, role, seconds=None):
        """SIGSTOP one of a role, and SIGCONT after so many seconds, if any."""
        pid = self._strike(run, role, signal.SIGSTOP, self.stops)
        if pid and seconds is None:
            self.hung[pid] = role
        elif pid:
            time.sleep(seconds)
            _send(pid, signal.SIGCONT)
        return pid

    def unnoticed(self, seconds):
        """Roles of the stopped that the run has not ended in time."""
        deadline = time.monotonic() + seconds
        while (left := alive(self.hung)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [self.hung[pid] for pid in left]

    def told(self):
        """The counts, for who reads the output of a test."""
        return (
            f"seed {self.seed}: {sum(self.kills.values())} kills {dict(self.kills)}, "
            f"{sum(self.stops.values())} stops {dict(self.stops)}"
        )

    def _strike(self, run, role, number, counts):
        found = processes(run, role)
        pid = self.random.choice(found) if found else None
        if pid is None or not _send(pid, number):
            return None
        counts[role] += 1
        return pid


def _send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
