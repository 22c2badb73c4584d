"""Lets the tests of this folder import `redline_driving`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
