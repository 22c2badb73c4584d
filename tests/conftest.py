"""Hypothesis settings of the whole suite: a busy machine is no reason to fail.

Tests may import the modules that lie beside this file.
"""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile(
    "redline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("redline")
