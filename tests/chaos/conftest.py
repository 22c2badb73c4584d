"""Lets the tests of this folder import each other's helpers, and those of all tests."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
