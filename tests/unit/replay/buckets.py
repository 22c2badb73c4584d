"""File systems of `pyarrow.fs` that stand in for a bucket: in memory, of folders, and failing."""

import errno
import itertools
import uuid

from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import fs as pafs

from redline.replay.object_path import ObjectPath


def in_memory() -> ObjectPath:
    """A new place in memory, through fsspec."""
    filesystem = pafs.PyFileSystem(pafs.FSSpecHandler(MemoryFileSystem()))
    name = uuid.uuid4().hex
    return ObjectPath(filesystem=filesystem, key=f"/{name}", uri=f"memory://{name}")


def in_folder(folder) -> ObjectPath:
    """A folder, as another file system sees it."""
    filesystem = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
    return ObjectPath(filesystem=filesystem, key="store", uri="sub://store")


def mocked() -> ObjectPath:
    """pyarrow's own file system for tests."""
    filesystem = pafs._MockFileSystem()
    return ObjectPath(filesystem=filesystem, key="store", uri="mock://store")


class Faulty(pafs.FSSpecHandler):
    """Raises OSError at calls that write: before it acts, or after, when nobody can know."""

    def __init__(self, filesystem, faults=()):
        super().__init__(filesystem)
        self.faults = iter(faults)
        self.read_only = False

    def _guarded(self, act):
        if self.read_only:
            raise PermissionError(errno.EACCES, "AccessDenied: no rights for this bucket")
        fault = next(self.faults, None)
        if fault == "before":
            raise OSError(errno.EIO, "the request was lost")
        done = act()
        if fault == "after":
            raise OSError(errno.EIO, "the answer was lost")
        return done

    def move(self, src, dest):
        return self._guarded(lambda: super(Faulty, self).move(src, dest))

    def delete_file(self, path):
        return self._guarded(lambda: super(Faulty, self).delete_file(path))

    def open_output_stream(self, path, metadata):
        return self._guarded(lambda: super(Faulty, self).open_output_stream(path, metadata))


def faulty(faults=()) -> tuple[ObjectPath, Faulty]:
    """A place in memory whose calls fail as told, one after the other."""
    handler = Faulty(MemoryFileSystem(), itertools.chain(faults))
    name = uuid.uuid4().hex
    place = ObjectPath(
        filesystem=pafs.PyFileSystem(handler), key=f"/{name}", uri=f"memory://{name}"
    )
    return place, handler
