"""What a store holds when it is opened, by its segments and journals, and what is lost."""

import logging
from dataclasses import dataclass

from redline.replay.history import History
from redline.replay.ledger import Ledger
from redline.replay.manifest import Manifest, find_lost
from redline.replay.places import Place
from redline.replay.shelf import Shelf

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What was found."""

    known: set[str]
    """Ids that must not be stored again."""
    lost: dict[int, str]
    """Ids by number of the groups that damaged or missing segments held."""
    next_sequence: int


def take_stock(
    path: Place, history: History, manifest: Manifest, shelf: Shelf, ledger: Ledger
) -> Stock:
    """Fill an empty ledger with every sound group; log what was lost.

    A lost group that is done counts as known: nobody needs it again.
    """
    known: set[str] = set()
    for entry in history.retired_groups():
        known.add(entry.group_id)
        ledger.retire(entry)
    history.replay(ledger)
    _take_segments(manifest, shelf, ledger, known)
    manifest.forget(ledger.retired)
    sound = {file.name for file in shelf.paths()}
    lost: dict[int, str] = {}
    for segment in find_lost(path, manifest.segments, ledger.retired, sound=sound):
        _log.error("%s", segment)
        lost |= {n: name for n, name in segment.numbered() if name not in known}
    known |= {name for n, name in lost.items() if ledger.is_done(n)}
    ends = [
        *(name.stop for name in shelf.names()),
        *(name.stop for name in shelf.corrupt_names()),
        *(last + 1 for _, last in ledger.retired.ranges()),
        manifest.stop,
    ]
    return Stock(known=known, lost=lost, next_sequence=max(ends))


def _take_segments(manifest: Manifest, shelf: Shelf, ledger: Ledger, known: set[str]) -> None:
    """Every sound segment's groups, the first of each id."""
    for path, entries in shelf.check():
        if all(entry.sequence in ledger.retired for entry in entries):
            shelf.remove(path)  # a crash came between retiring and deleting it
            continue
        manifest.add(path.name, [entry.group_id for entry in entries])
        for entry in entries:
            if entry.group_id in known:
                _log.error("%s: group %s is stored twice; skipped", path, entry.group_id)
                continue
            known.add(entry.group_id)
            ledger.add(entry)
