"""The pool's handle of one fork server: start it, give it orders, end it."""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from redline.sandbox.records import InfrastructureError, LayerReport
from redline.sandbox.tiers import Tier
from redline.sandbox.wire import (
    ABORT,
    END,
    FAULT,
    HELLO,
    MAX_PACKET,
    REFUSED,
    RUN,
    RunEnd,
    RunOrder,
)

_SCRIPT = Path(__file__).with_name("fork_server.py")
_START_SECONDS = 60.0
_GRACE_SECONDS = 15.0
_CLOSE_SECONDS = 5.0
# Everything the server and its children see of the environment. The hash seed gives sets one order
# in every run; `-I` would ignore it, so its other halves, -s and -P, are given alone. The seed is 1
# because under 0 one known wrong program (MBPP 480, `max(set(text), key=text.count)`) is right.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "1", "TZ": "UTC0"}
_FLAGS = ("-s", "-P", "-S", "-B", "-X", "utf8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildInput:
    """What a contained child is given: its limits and its payload."""

    order: RunOrder
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutput:
    """What a contained child left: how it ended and its result file."""

    end: RunEnd
    result: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a fork server told when it started."""

    pid: int
    """Of the process that forks the children; at tier `namespaces` a child of the one started."""
    uid: int | None
    """User of its children; None when it is the pool's own."""
    tier: Tier
    layers: tuple[LayerReport, ...]


class TierUnavailable(InfrastructureError):
    """A tier cannot be had on this machine."""

    def __init__(self, tier: Tier, layer: str, errno: str, reason: str) -> None:
        self.tier = tier
        self.layer = layer
        self.errno = errno
        self.reason = reason
        where = tier if layer == tier else f"{tier}: {layer}"
        super().__init__(f"{where}: {reason}" + (f" ({errno})" if errno else ""))

    def __reduce__(self) -> tuple[type, tuple[Tier, str, str, str]]:
        return type(self), (self.tier, self.layer, self.errno, self.reason)


class ForkServer:
    """One fork server; runs one order at a time, on the event loop that started it."""

    def __init__(self, tier: Tier) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._errors_fd = os.memfd_create("fork-server-stderr")
        self._answer: asyncio.Future[bytes] | None = None
        self._gone = ""
        self._forker = -1  # pidfd of the process that forks
        self.executions = 0
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_FLAGS, str(_SCRIPT), str(theirs.fileno()), tier],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors_fd,
                pass_fds=(theirs.fileno(),),
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # Ctrl-C on the terminal reaches only the pool
            )
        except OSError:
            self._socket.close()
            os.close(self._errors_fd)
            raise
        finally:
            theirs.close()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._on_readable)

    @classmethod
    async def start(cls, tier: Tier) -> "ForkServer":
        """Start a server of exactly this tier and wait until it has proven it.

        Raises `TierUnavailable` when the machine does not give the tier, and other
        `InfrastructureError`s when the server cannot be started at all.
        """
        try:
            server = cls(tier)
        except OSError as error:
            raise InfrastructureError(f"cannot start a fork server: {error}") from error
        try:
            server._greet(tier, await server._receive(_START_SECONDS))
        except BaseException as error:
            server.kill()
            if isinstance(error, InfrastructureError) and server.killed_by_filter:
                raise TierUnavailable(tier, "start", "SIGSYS", "killed by a filter") from error
            raise
        return server

    def _greet(self, tier: Tier, hello: bytes) -> None:
        """Take in what the server said of itself; raises `InfrastructureError`."""
        if hello[:1] == REFUSED:
            raise TierUnavailable(tier, **json.loads(hello[1:]))
        if hello[:1] != HELLO:
            raise InfrastructureError(f"fork server greeted with {hello[:80]!r}")
        told = json.loads(hello[1:])
        layers = tuple(LayerReport(**layer) for layer in told["layers"])
        self.facts = ServerFacts(
            pid=told["pid"], uid=told["uid"], tier=Tier(told["tier"]), layers=layers
        )
        try:
            self._forker = os.pidfd_open(self.facts.pid)
        except ProcessLookupError as error:
            raise InfrastructureError("fork server ended at once") from error

    @property
    def killed_by_filter(self) -> bool:
        """Whether a system-call filter that was there before killed the server."""
        return self._process.returncode == -signal.SIGSYS

    facts: ServerFacts

    @property
    def usable(self) -> bool:
        """Whether the server is there and runs nothing."""
        return not self._gone and self._answer is None

    async def run(self, *inputs: ChildInput) -> list[RunOutput]:
        """Run one contained child, or a candidate and its judge child, and return what they left.

        Raises `InfrastructureError` when the server died, did not answer in time or could not
        contain a child. When cancelled, the children are ended and the server stays unusable until
        `settle` has seen the end.
        """
        if not self.usable:
            raise InfrastructureError(self._gone or "fork server is busy")
        files: list[int] = []
        try:
            for each in inputs:
                files += (os.memfd_create("payload"), os.memfd_create("result"))
                _write_all(files[-2], each.payload)
            self._send(RUN + b"".join(each.order.pack() for each in inputs), files)
            longest = max(each.order.wall_seconds for each in inputs)
            ends = self._ends_of(await self._receive(longest + _GRACE_SECONDS), len(inputs))
            self.executions += 1
            return [
                _output(end, each.order, result_fd)
                for end, each, result_fd in zip(ends, inputs, files[1::2], strict=True)
            ]
        finally:
            for fd in files:
                os.close(fd)

    def _ends_of(self, answer: bytes, count: int) -> list[RunEnd]:
        """How the children ended; after any other answer the server is not to be used again."""
        if answer[:1] == END:
            with contextlib.suppress(struct.error, ValueError):
                ends = RunEnd.unpack_all(answer[1:])
                if len(ends) == count:
                    return ends
        reason = f"fork server answered {answer[:80]!r}"
        if answer[:1] == FAULT:
            reason = f"fork server could not run a child: {answer[1:].decode('utf-8', 'replace')}"
        self._set_gone(reason)
        raise InfrastructureError(reason)

    async def settle(self) -> None:
        """After a cancelled run: end the child and wait until nothing of it is left."""
        if self._answer is None or self._gone:
            return
        with contextlib.suppress(InfrastructureError):
            self._send(ABORT, [])
            done, _ = await asyncio.wait([self._answer], timeout=_GRACE_SECONDS)
            if not done:
                self.kill()
        self._answer.exception()  # seen; `_gone` keeps it
        self._answer = None

    async def close(self) -> None:
        """End the server and its child; killed if it does not go by itself."""
        self._disconnect("fork server was closed")
        deadline = self._loop.time() + _CLOSE_SECONDS
        while self._process.poll() is None and self._loop.time() < deadline:
            await asyncio.sleep(0.002)
        self.kill()

    def kill(self) -> None:
        """Kill the server at once; the kernel then kills what it started (parent-death signals)."""
        self._disconnect("fork server was killed")
        self._process.kill()
        self._process.wait()
        if self._forker >= 0:
            poller = select.poll()
            poller.register(self._forker, select.POLLIN)
            poller.poll(1000 * _CLOSE_SECONDS)
            os.close(self._forker)
            self._forker = -1

    def _disconnect(self, reason: str) -> None:
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._set_gone(reason)
        os.close(self._errors_fd)

    def _send(self, packet: bytes, fds: list[int]) -> None:
        try:
            socket.send_fds(self._socket, [packet], fds)
        except OSError as error:
            self._set_gone(f"fork server is gone: {error}{self._last_words()}")
            raise InfrastructureError(self._gone) from error

    async def _receive(self, seconds: float) -> bytes:
        """The next packet; a server that stays silent longer than this is killed."""
        answer = self._answer = self._loop.create_future()
        if self._gone:
            self._answer = None
            raise InfrastructureError(self._gone)
        try:
            async with asyncio.timeout(seconds):
                packet: bytes = await asyncio.shield(answer)
        except TimeoutError as error:
            self.kill()
            raise InfrastructureError(f"fork server said nothing for {seconds:g} s") from error
        self._answer = None
        return packet

    def _on_readable(self) -> None:
        try:
            packet = self._socket.recv(MAX_PACKET)
        except BlockingIOError:
            return
        except OSError as error:
            packet, reason = b"", f": {error}"
        else:
            reason = ""
        if not packet:
            self._loop.remove_reader(self._socket.fileno())
            self._set_gone(f"fork server died{reason}{self._last_words()}")
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(packet)

    def _set_gone(self, reason: str) -> None:
        self._gone = self._gone or reason
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(InfrastructureError(self._gone))

    def _last_words(self) -> str:
        text = os.pread(self._errors_fd, 4096, 0).decode("utf-8", "replace").strip()
        return f": {text.splitlines()[-1]}" if text else ""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _output(end: RunEnd, order: RunOrder, result_fd: int) -> RunOutput:
    size = min(os.fstat(result_fd).st_size, order.result_bytes)
    return RunOutput(end=end, result=os.pread(result_fd, size, 0))
