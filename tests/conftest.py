"""Hypothesis settings of the whole suite: a busy machine is no reason to fail.

`pytest --hypothesis-profile=thorough` looks ten times as long, as `make long` does.

Tests may import the modules that lie beside this file.
"""

import gc
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

QUICK = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    max_examples=50,
)
settings.register_profile("redline", QUICK)
settings.register_profile("thorough", QUICK, max_examples=500)
settings.load_profile("redline")

# Collecting imports torch and others: millions of objects that live to the end.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there may be garbage, and none of it among what was imported."""
    gc.freeze()
    gc.enable()
