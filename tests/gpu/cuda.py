"""What the tests of this folder need, and why one is skipped that does not have it."""

import pytest
import torch

DEVICE = torch.device("cuda")


def needs_gpus(count):
    """A mark that skips a test where torch sees fewer GPUs."""
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    reason = f"needs {count} CUDA device{'s' if count > 1 else ''}, torch sees {seen}"
    return pytest.mark.skipif(seen < count, reason=reason)
