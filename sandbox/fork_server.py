"""The fork server: a small process of its own from which every contained child is forked.

Started by `redline.sandbox.server` as `python -s -P -S -B fork_server.py FD TIER` with an
environment of its own making; FD is its end of a `SOCK_SEQPACKET` pair. It isolates itself and
proves its tier, then serves one order at a time: fork, let the child contain itself, wait, make
sure that nothing is left, answer.

Forking from here costs about a millisecond; forking from a process that holds an engine costs
fifty times that, and would hand its memory to the candidate.
"""

import gc
import json
import os
import signal
import socket
import sys
import types
from dataclasses import dataclass
from importlib.machinery import PathFinder

if __name__ == "__main__":
    # Started without site-packages: make the files beside this one importable under their name,
    # without running the package's own __init__.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    for name, path in (("redline", []), ("redline.sandbox", [here])):
        package = types.ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package

from redline.sandbox.candidate import read_payload, run_payload
from redline.sandbox.containment import (
    PROOF_FD,
    ContainmentError,
    Layers,
    contain,
    keep_only,
)
from redline.sandbox.isolate import LayerFailed, isolate
from redline.sandbox.judge_child import read_judge_payload, run_judge
from redline.sandbox.supervise import PoolGone, StraysSurviveError, kill_strays, supervise
from redline.sandbox.tiers import Tier
from redline.sandbox.wire import (
    END,
    FAULT,
    HELLO,
    MAX_PACKET,
    REFUSED,
    RUN,
    EndCause,
    RunEnd,
    RunOrder,
)

PRELOADED = (
    *("abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath", "collections"),
    *("collections.abc", "contextlib", "contextvars", "copy", "csv", "dataclasses", "datetime"),
    *("decimal", "difflib", "enum", "fnmatch", "fractions", "functools", "graphlib", "hashlib"),
    *("heapq", "html", "inspect", "io", "itertools", "json", "keyword", "locale", "logging"),
    *("math", "numbers", "operator", "os", "pathlib", "pickle", "platform", "pprint", "queue"),
    *("random", "re", "secrets", "statistics", "string", "struct", "sys", "textwrap", "threading"),
    *("time", "timeit", "traceback", "types", "typing", "unicodedata", "urllib.parse", "uuid"),
    *("warnings", "weakref", "zlib", "_strptime", "encodings.ascii", "encodings.cp1252"),
    *("encodings.hex_codec", "encodings.latin_1", "encodings.raw_unicode_escape"),
    *("encodings.rot_13", "encodings.unicode_escape", "encodings.utf_8", "encodings.utf_16"),
    *("encodings.utf_32", "argparse", "codecs", "colorsys", "concurrent.futures", "configparser"),
    *("errno", "getopt", "glob", "gzip", "hmac", "ipaddress", "shlex", "shutil", "signal"),
    *("subprocess", "tempfile", "tomllib", "unittest"),
)
"""Modules that programs import: loaded once here, free in every child. They are all there is: a
child imports nothing from disk, so that a verdict does not depend on what its user may read.

They cost a server 45 ms of CPU time at its start and 15 MB, and a fork about 60 us for each
megabyte. `asyncio` alone would make each fork 15 % slower, and its loop needs sockets."""

_CONTAINED = b"contained"


def main(control: socket.socket, tier: Tier) -> None:
    """Serve orders until the pool closes its end; at once over if the tier cannot be had."""
    _reset_signals()
    _preload()
    _close_imports()
    gc.collect()
    gc.freeze()
    try:
        isolation = isolate(tier, control.fileno())
    except LayerFailed as error:
        told = {"layer": error.layer, "errno": error.errno_name, "reason": error.reason}
        control.send(REFUSED + json.dumps(told).encode())
        return
    layers = isolation.layers
    control.send(HELLO + json.dumps(isolation.facts()).encode())
    while True:
        packet, fds, _, _ = socket.recv_fds(control, MAX_PACKET, 4)
        if not packet:
            return
        if packet[:1] == RUN:  # an abort that comes after the end finds nothing to do
            _serve(control, layers, RunOrder.unpack_all(packet[1:]), fds)


def _serve(control: socket.socket, layers: Layers, orders: list[RunOrder], fds: list[int]) -> None:
    """Run one order, or the two of a candidate and its judge child, and answer."""
    try:
        answer = _run(control, layers, orders, fds)
    except OSError as error:
        answer = FAULT + f"{type(error).__name__}: {error}".encode()
    finally:
        for fd in fds:
            os.close(fd)
    control.send(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """What one contained child is given."""

    order: RunOrder
    payload_fd: int
    result_fd: int
    proof_read: int
    """Tells that the child contained itself and read its payload. The other end is closed before
    any of the candidate's code runs, which can neither claim a fault of the sandbox nor hide one.
    """
    proof_write: int
    link_fds: tuple[int, int] | None
    is_judge: bool


def _run(control: socket.socket, layers: Layers, orders: list[RunOrder], fds: list[int]) -> bytes:
    opened: list[int] = []
    try:
        children = _children(orders, fds, opened)
        ends = _run_children(children, layers, control, opened)
        proofs = [os.read(child.proof_read, 1024) for child in children]
    finally:
        for fd in opened:
            os.close(fd)
    for end, proof in zip(ends, proofs, strict=True):
        # A child may be killed before its proof when the other one has ended.
        if proof != _CONTAINED and end.cause not in (EndCause.ABORTED, EndCause.OVER):
            return FAULT + (proof or f"the child ended before it was ready: {end}".encode())
    return END + b"".join(end.pack() for end in ends)


def _children(orders: list[RunOrder], fds: list[int], opened: list[int]) -> list[_Child]:
    """One child, or candidate and judge child with a pipe for each direction between them."""
    links: list[tuple[int, int] | None] = [None]
    if len(orders) == 2:
        opened += (questions := os.pipe())
        opened += (answers := os.pipe())
        links = [(questions[0], answers[1]), (answers[0], questions[1])]
    children = []
    for index, (order, link_fds) in enumerate(zip(orders, links, strict=True)):
        opened += (proof := os.pipe())
        children.append(
            _Child(
                order=order,
                payload_fd=fds[2 * index],
                result_fd=fds[2 * index + 1],
                proof_read=proof[0],
                proof_write=proof[1],
                link_fds=link_fds,
                is_judge=index == 1,
            )
        )
    return children


def _run_children(
    children: list[_Child], layers: Layers, control: socket.socket, opened: list[int]
) -> list[RunEnd]:
    """Fork them all and watch them; of `opened` only the reading ends of proofs stay."""
    parent = os.getpid()
    pids: list[int] = []
    try:
        for child in children:
            pid = os.fork()
            if pid == 0:
                _child(child, layers, parent)
            pids.append(pid)
    except OSError:
        kill_strays()  # the first child, where there is no second
        raise
    for fd in [fd for fd in opened if fd not in [child.proof_read for child in children]]:
        os.close(fd)
        opened.remove(fd)
    return supervise(list(zip(pids, (child.order for child in children), strict=True)), control)


def _child(child: _Child, layers: Layers, parent: int) -> None:
    """The forked child; never returns."""
    try:
        keep_only(child.payload_fd, child.result_fd, child.proof_write, child.link_fds)
        try:
            contain(child.order, layers, parent)
        except ContainmentError as error:
            os.write(PROOF_FD, str(error).encode()[:1000])
            os._exit(1)
        if child.is_judge:
            judge_payload = read_judge_payload()
            _prove()
            run_judge(judge_payload)
        else:
            payload = read_payload()
            _prove()
            run_payload(payload, child.order)
        os._exit(0)
    finally:
        os._exit(1)


def _prove() -> None:
    os.write(PROOF_FD, _CONTAINED)
    os.close(PROOF_FD)


def _reset_signals() -> None:
    """Undo what was inherited: an ignored or blocked signal could not enforce a limit."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for limit in (signal.SIGPROF, signal.SIGXCPU, signal.SIGXFSZ):
        signal.signal(limit, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's business


def _preload() -> None:
    """Load the modules without the work some ask to be done in every forked child.

    `random` would take a new seed there, so that verdicts vary, and `threading` and `logging`
    would renew locks that no thread of this process can hold: together half a millisecond.
    """
    register, os.register_at_fork = os.register_at_fork, lambda **_: None
    for module in PRELOADED:
        __import__(module)
    os.register_at_fork = register
    sys.modules["random"].seed(0)


def _close_imports() -> None:
    """Import no more from disk, and let `import redline` fail in a candidate as it should."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder]
    for name in [name for name in sys.modules if name.partition(".")[0] == "redline"]:
        _kept.append(sys.modules.pop(name))


_kept: list[types.ModuleType] = []


if __name__ == "__main__":
    try:
        main(socket.socket(fileno=int(sys.argv[1])), Tier(sys.argv[2]))
    except (PoolGone, BrokenPipeError, KeyboardInterrupt):
        pass
    except StraysSurviveError as error:
        sys.exit(f"fork server: {error}")
