"""Groups that are being sampled, saved beside the segments: what a resumed run goes on with.

A save is one file `in_flight-<number>-<crc32>.arrow`, there whole or not at all; the newest sound
one counts. It has a record batch of `schema.SCHEMA` for each group. An episode that has not ended
has one turn more than it took: the state that waits for an action, without any action tokens. The
batch's metadata says which episodes these are.
"""

import json
import logging
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from redline.replay.decode import batches_to_groups
from redline.replay.encode import group_to_batch
from redline.replay.errors import SegmentError
from redline.replay.files import map_file, write_atomically
from redline.replay.places import Place
from redline.replay.records import (
    EpisodeSoFar,
    PartialGroup,
    Trajectory,
    TrajectoryGroup,
    Turn,
)
from redline.replay.schema import SCHEMA, check_schema

_NAME = re.compile(r"in_flight-(\d{10})-([0-9a-f]{8})\.arrow")
_RUNNING = "running"

_log = logging.getLogger(__name__)


def save_in_flight(folder: Place, groups: Sequence[PartialGroup]) -> None:
    """Save these groups and forget what was saved before; raises OSError when it cannot."""
    older = _saves(folder)
    number = int(older[-1].name.split("-")[1]) + 1 if older else 0
    data = encode_in_flight(groups)
    write_atomically(
        folder / f"in_flight-{number:010d}-{zlib.crc32(data):08x}.arrow", memoryview(data)
    )
    for file in older:
        file.unlink(missing_ok=True)


def load_in_flight(folder: Place) -> list[PartialGroup]:
    """What was saved last; a damaged save is logged and its groups are begun again."""
    for file in reversed(_saves(folder)):
        try:
            return _read(file)
        except SegmentError as error:
            _log.error("%s; the groups in it are begun again", error)
    return []


def encode_in_flight(groups: Sequence[PartialGroup]) -> pa.Buffer:
    """An Arrow file of all groups that have a turn."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA) as writer:
        for group in groups:
            if not group.trajectories:
                continue
            running = [episode.trajectory.sample_index for episode in group.running]
            episodes = (*group.ended, *map(_with_open_turn, group.running))
            batch = group_to_batch(
                TrajectoryGroup(
                    group_id=group.group_id, task_id=group.task_id, trajectories=episodes
                )
            )
            writer.write_batch(batch, {_RUNNING: json.dumps(running)})
    return sink.getvalue()


def decode_in_flight(source: pa.NativeFile, origin: str) -> list[PartialGroup]:
    """The groups of such a file; raises `SegmentError` naming `origin` when it is none."""
    try:
        reader = pa.ipc.open_file(source)
        check_schema(reader.schema, origin)
        batches = map(reader.get_batch_with_custom_metadata, range(reader.num_record_batches))
        return [_partial(batch, json.loads(metadata[_RUNNING])) for batch, metadata in batches]
    except (pa.ArrowInvalid, pa.ArrowSerializationError) as error:
        raise SegmentError(f"{origin}: not a whole Arrow file ({error})") from error


def _read(file: Place) -> list[PartialGroup]:
    name = _NAME.fullmatch(file.name)
    source = map_file(file)
    if name is None or zlib.crc32(source.read_buffer()) != int(name[2], 16):
        raise SegmentError(f"{file}: corrupted or truncated")
    source.seek(0)
    return decode_in_flight(source, str(file))


def _saves(folder: Place) -> list[Place]:
    """All saves, oldest first."""
    files: list[Place] = [f for f in folder.glob("in_flight-*.arrow") if _NAME.fullmatch(f.name)]
    return sorted(files, key=lambda file: file.name)


def _with_open_turn(episode: EpisodeSoFar) -> Trajectory:
    last = episode.trajectory.turns[-1]
    nothing = np.zeros(0, np.int32)
    waiting = Turn(
        state_token_ids=episode.next_state,
        action_token_ids=nothing,
        rollout_logprobs=np.zeros(0, np.float32),
        weight_versions=nothing,
        action_text="",
        command=None,
        error=None,
        program=last.program,
        feedback=last.feedback,
        verdict=None,
        reward=0.0,
    )
    return replace(episode.trajectory, turns=(*episode.trajectory.turns, waiting))


def _partial(batch: pa.RecordBatch, running: list[int]) -> PartialGroup:
    (group,) = batches_to_groups([batch])
    episodes = {t.sample_index: t for t in group.trajectories}
    return PartialGroup(
        group_id=group.group_id,
        task_id=group.task_id,
        ended=tuple(t for t in group.trajectories if t.sample_index not in running),
        running=tuple(
            EpisodeSoFar(
                trajectory=replace(episodes[index], turns=episodes[index].turns[:-1]),
                next_state=episodes[index].turns[-1].state_token_ids,
            )
            for index in running
        ),
    )
