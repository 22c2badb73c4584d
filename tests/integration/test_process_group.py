"""The learner's process group when no launcher made one."""

import os
import subprocess
import sys

_JOIN = """
import os
import torch
import torch.distributed as dist
from redline.learner.process_group import join_process_group
join_process_group()
join_process_group()
assert dist.get_world_size() == 1 and "MASTER_PORT" not in os.environ
value = torch.ones(2)
dist.all_reduce(value)
assert value.tolist() == [1.0, 1.0]
"""


def test_a_process_alone_needs_no_port():
    environment = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "MASTER_PORT")}
    done = subprocess.run(
        [sys.executable, "-c", _JOIN], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
