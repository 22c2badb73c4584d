"""Freed heap memory goes back to the system."""

import ctypes
import platform

import psutil
import pytest

from redline.learner.memory import return_freed_memory

_BLOCK, _COUNT = 60_000, 2000  # below the size from which glibc maps each block on its own


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim belongs to glibc")
def test_holes_in_the_heap_go_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(_BLOCK) for _ in range(_COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, _BLOCK)
    for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
        libc.free(block)
    held = psutil.Process().memory_info().rss
    assert return_freed_memory()
    assert held - psutil.Process().memory_info().rss > _BLOCK * _COUNT * 0.8
    libc.free(blocks[-1])
