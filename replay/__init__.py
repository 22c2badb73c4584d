"""Records that cross a process, and the durable store of trajectories.

records.py        every record between sampler, store and learner
settings.py       settings of the store
store.py          ReplayStore: append, seal, lease, commit, rewind, compact
ledger.py         who may have which group, in memory      history.py   the same, durable
cursor.py         the place of a run that checkpoints keep retention.py what may be deleted
schema.py         the Arrow schema           encode.py, decode.py, checks.py  records <-> Arrow
segment.py        sealed files               shelf.py      the segments of one store
journal.py        append-only lines          files.py      atomic writes
places.py         folders and URLs           object_path.py, object_journal.py  in a bucket
stock.py          what an opened store holds
in_flight.py      groups being sampled, saved for a resumed run
identity.py       a store's id and lock      sequences.py  sets of numbers as ranges
catalog.py        reading beside the writer  verify.py, export.py
manifest.py       what a bad disk took       batches.py    what a rewind lends again
sampling.py       which groups are lent      tables.py, sql.py  flat tables, questions to them
render.py, render_catalog.py, render_answer.py, diff_view.py, visible.py, to_json.py  for users
"""
