"""Lets the tests of this folder, and the processes they start, import `replay_factories`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
