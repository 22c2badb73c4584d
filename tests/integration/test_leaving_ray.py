"""A driver that leaves Ray does not end by it, whoever frees what at that moment."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

LEAVE = """
import asyncio, sys, threading, time
from pathlib import Path
import ray
from redline.cluster.launch import Cluster
from redline.cluster.load import load_config

class Node:
    pass

def litter():  # garbage that only a collection frees
    while not over.is_set():
        node = Node()
        node.me, node.ref = node, refs.pop()
        time.sleep(0)

cluster = Cluster(load_config("demo", ["ray.num_cpus=1"]), Path(sys.argv[1]), needs=[])
one = ray.put(1)
refs = [ray.ObjectRef(one.binary()) for _ in range(500_000)]
over = threading.Event()
threads = [threading.Thread(target=litter) for _ in range(4)]
for thread in threads:
    thread.start()
time.sleep(0.05)
asyncio.run(cluster.stop_within(60))
over.set()
for thread in threads:
    thread.join()
print(len(refs))
"""


def test_garbage_of_other_threads_does_not_end_the_process(tmp_path):
    driver = subprocess.run(
        [sys.executable, "-c", LEAVE, str(tmp_path)], capture_output=True, text=True, timeout=240
    )
    assert driver.returncode == 0, driver.stderr
    assert 0 < int(driver.stdout.splitlines()[-1]) < 500_000, "no garbage was made meanwhile"
