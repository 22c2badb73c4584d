"""Errors of the replay room; each names the file, trajectory, group or lease that it is about."""


class ReplayError(Exception):
    """Base of every error that this room raises on purpose."""


class InvalidTrajectoryError(ReplayError, ValueError):
    """A record that cannot be stored: its arrays disagree or a number makes no sense."""


class SegmentError(ReplayError):
    """A segment file is truncated or corrupted."""


class SchemaVersionError(ReplayError):
    """Data of another schema version than this redline reads."""


class JournalError(ReplayError):
    """A journal holds a damaged line that is not its last one."""


class StoreError(ReplayError):
    """The store cannot be opened or cannot do what was asked of it."""


class LeaseError(StoreError):
    """A lease that this store does not hold (any more)."""
