"""Functions called in a process of their own, and the memory that one takes at most there."""

import importlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

SECONDS = 600.0


def in_own_process(function: Callable[..., Any], *arguments: object) -> Any:
    """What `function` returns in a new process; raises TimeoutError after 10 minutes."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(function, *arguments).result(SECONDS)


def peak_mib(
    function: Callable[..., object], *arguments: object, imports: Sequence[str] = ()
) -> float:
    """Most MiB that the process which runs `function` holds, above what its imports take.

    `imports` are modules that the function would import only when called.
    """
    return in_own_process(_measure, function, arguments, imports)


def _measure(
    function: Callable[..., object], arguments: tuple[object, ...], imports: Sequence[str]
) -> float:
    for name in imports:
        importlib.import_module(name)
    before = _status_mib("VmRSS")
    function(*arguments)
    return _status_mib("VmHWM") - before


def _status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(f"{field}:"))
    return int(found.split()[1]) / 1024
