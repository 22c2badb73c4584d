"""Which segments may be deleted, so that a long run does not fill its disk."""

from redline.replay.cursor import Cursor
from redline.replay.ledger import GroupEntry, Ledger
from redline.replay.places import Place
from redline.replay.shelf import Shelf


def choose(
    shelf: Shelf, ledger: Ledger, keep_committed: int, before: Cursor | None
) -> list[tuple[Place, list[GroupEntry]]]:
    """Segments to delete, oldest first, with their groups.

    Only whole segments whose groups are all done, in `before` too when it is given; the newest
    such segments are kept until they hold `keep_committed` groups.
    """
    kept = 0
    doomed: list[tuple[Place, list[GroupEntry]]] = []
    safe = None if before is None else before.done()
    for name, path in reversed(list(zip(shelf.names(), shelf.paths(), strict=True))):
        numbers = range(name.first, name.stop)
        if not all(ledger.is_done(n) and (safe is None or n in safe) for n in numbers):
            continue
        if kept < keep_committed:
            kept += name.groups
            continue
        doomed.append((path, [ledger.entries[n] for n in numbers if n in ledger.entries]))
    return doomed[::-1]
