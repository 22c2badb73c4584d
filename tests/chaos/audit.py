"""What must hold of a run after all that was done to it, by the witness, the store and the curves.

The witness is `training_record.py`. Each thing that does not hold is a violation, told in one line.
"""

import json

from redline.replay.catalog import GroupState, read_catalog


def read_record(folder):
    """What the learner was given, step by step, in the order of time."""
    lines = (folder / "trained.jsonl").read_text().split("\n")
    return [json.loads(line) for line in lines if line]


def surviving(record):
    """The batch of each weight version in the history that was resumed last."""
    batches = {}
    for line in record:
        for version in [v for v in batches if v >= line["version"]]:
            del batches[version]  # what an earlier attempt trained after its checkpoint
        batches[line["version"]] = line["groups"]
    return batches


def audit(folder, *, name, groups_per_step=4, max_staleness=1):
    """Violations after the run `name` of this folder was ended in order."""
    run = folder / "runs" / name
    record = read_record(folder)
    batches = surviving(record)
    trained = [group["id"] for batch in batches.values() for group in batch]
    catalog = read_catalog(run / "replay")
    committed = {g.group_id for g in catalog.groups if g.state is GroupState.COMMITTED}
    steps = [json.loads(line) for line in (run / "metrics/steps.jsonl").read_text().splitlines()]
    found = [f"store: {problem}" for problem in catalog.problems]
    found += [f"trained twice: {x}" for x in {x for x in trained if trained.count(x) > 1}]
    found += [f"trained, not committed: {name}" for name in set(trained) - committed]
    found += [f"committed, not trained: {name}" for name in committed - set(trained)]
    found += [
        f"{group['id']}: trained at version {line['version']} with tokens of {group['oldest']}"
        for line in record
        for group in line["groups"]
        if group["oldest"] is not None and line["version"] - group["oldest"] > max_staleness
    ]
    names = [group.group_id for group in catalog.groups]
    found += [f"stored twice: {x}" for x in {x for x in names if names.count(x) > 1}]
    found += [f"dropped: {g.group_id}" for g in catalog.groups if g.state is GroupState.DROPPED]
    found += _lost(committed, 2 * (max_staleness + 1) * groups_per_step)
    if sorted(batches) != list(range(len(steps))):
        found.append(f"{len(steps)} steps told, versions trained: {sorted(batches)}")
    if [line["step"] for line in steps] != list(range(1, len(steps) + 1)):
        found.append(f"steps told: {[line['step'] for line in steps]}")
    found += [f"step {s['step']}: aborted episodes" for s in steps if s["dropped/aborted"]]
    return found


def _lost(committed, outstanding):
    """Groups that were begun long before the newest, and were never trained on."""
    numbers = sorted(int(name[1:]) for name in committed)
    old = max(0, len(numbers) - outstanding)
    return [f"lost: group {n}" for n in sorted(set(range(old)) - set(numbers))]
