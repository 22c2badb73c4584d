"""Run every threat at one tier and print how each ended, as JSON; a process of its own.

python run_threats.py TIER
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from threats import THREATS

from redline.sandbox.blocking import BlockingSandbox
from redline.sandbox.records import ExecutionRequest, InfrastructureError, Limits
from redline.sandbox.settings import SandboxSettings

CORRECT = ExecutionRequest(
    program="def add(a, b):\n    return a + b",
    tests=("assert add(1, 2) == 3", "total = add(2, 2)\nassert total == 4"),
    entry_point="add",
)
LIMITS = Limits(cpu_seconds=0.3, wall_seconds=2.0, memory_mib=128)
SECRET = "canary"


def main(tier):
    settings = SandboxSettings(min_tier=tier, max_tier=tier, max_retries=0)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as local,
        subprocess.Popen(["/bin/sleep", "3600"]) as victim,
        BlockingSandbox(1, settings) as sandbox,
    ):
        try:
            canary = Path(folder) / "canary"
            canary.write_text(SECRET)
            name = f"redline-threats-{os.getpid()}"
            local.bind(f"\0{name}")
            local.listen()
            words = {"VICTIM": victim.pid, "PORT": port.getsockname()[1], "LISTENER": name}
            words["CANARY"] = canary
            world = World(canary, port, local, victim)
            found = {threat.name: run(threat, words, sandbox, world) for threat in THREATS}
        finally:
            victim.kill()
    print(json.dumps(found))


class World:
    """What the threats must not touch."""

    def __init__(self, canary, port, local, victim):
        self.canary, self.port, self.local, self.victim = canary, port, local, victim
        for listener in (port, local):
            listener.setblocking(False)

    def harm(self):
        """What was touched; empty where nothing was."""
        harm = []
        if self.canary.read_text() != SECRET or len(list(self.canary.parent.iterdir())) != 1:
            harm.append("the canary file")
        if self.victim.poll() is not None:
            harm.append("the victim process")
        for listener, name in ((self.port, "port"), (self.local, "local socket")):
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            harm.append(f"the {name}")
        return harm


def run(threat, words, sandbox, world):
    program = threat.program
    for word, value in words.items():
        program = program.replace(word, str(value))
    request = ExecutionRequest(
        program=program, tests=(threat.test,), entry_point="f", limits=LIMITS
    )
    began = time.process_time()
    (answer,) = sandbox.run_all([request])
    judging = time.process_time() - began
    if isinstance(answer, InfrastructureError):
        return {"error": str(answer)}
    (after,) = sandbox.run_all([CORRECT])
    return {
        "status": answer.tests[0].status.value,
        "detail": answer.tests[0].detail_blind,
        "tier": answer.tier,
        "judging_seconds": judging,
        "harm": world.harm(),
        "correct_passes": getattr(after, "passed", False),
        "left": left(sandbox),
    }


def left(sandbox):
    """Processes that the servers still have."""
    servers = [server.facts.pid for server in sandbox._pool._servers]
    return [child.pid for pid in servers for child in psutil.Process(pid).children()]


if __name__ == "__main__":
    main(sys.argv[1])
