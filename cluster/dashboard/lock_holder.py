"""Who holds a run's lock, asked without taking it: a try could refuse a run that just starts."""

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")


def lock_holder(path: Path, locks: Path = _LOCKS) -> int | None:
    """The process that holds a lock (flock) on the file; None when none is known.

    Linux lists the locks of this machine that the reader's process namespace can see.
    """
    try:
        status = path.stat()
        lines = locks.read_text().splitlines()
    except OSError:
        return None  # no such file, or a system that does not tell
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    wanted = f"{device}:{status.st_ino}"
    for line in lines:
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[-3] == wanted:
            return int(fields[-4])
    return None
