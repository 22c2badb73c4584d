"""Whether a store can go back, or forth, to what a cursor names."""

from redline.replay.cursor import Cursor
from redline.replay.errors import StoreError
from redline.replay.ledger import Ledger


def check_reachable(cursor: Cursor, store_id: str, groups: int, ledger: Ledger) -> None:
    """Raise `StoreError` when the cursor is not of this store or names what is not there.

    `groups` is how many groups the store ever took.
    """
    if cursor.store_id != store_id:
        raise StoreError(f"cursor of store {cursor.store_id}, but this is {store_id}")
    ranges = [*cursor.committed, *(entry.groups for entry in cursor.dropped)]
    newest = max((r.last for r in ranges), default=-1)
    if newest >= groups:
        raise StoreError(
            f"cursor names group {newest}, but the store has only {groups}; is this an older "
            "copy of it?"
        )
    missing = ledger.retired_outside(cursor)
    if missing:
        raise StoreError(
            f"cursor needs {missing} groups that retention deleted; resume from a newer "
            "checkpoint, and give `compact` the cursor of the oldest one you keep"
        )
