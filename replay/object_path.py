"""A file of a store that lies in a bucket, or on any other file system of `pyarrow.fs`.

It has the calls of `pathlib.Path` that a store needs, with the same errors, so that the store's
code is one for both. A file appears whole or not at all: on S3, GCS and Azure because an object is
there only when its upload is complete, elsewhere by writing another name first and moving it.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import total_ordering

import pyarrow as pa
from pyarrow import fs as pafs

_PUT_IS_ATOMIC = frozenset({"s3", "gcs", "abfs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStat:
    """What `ObjectPath.stat` tells."""

    st_size: int


@total_ordering
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectPath:
    """A name on a file system; nothing is asked of it before a call."""

    filesystem: pafs.FileSystem
    key: str
    """The path within the file system, without a slash at its end."""
    uri: str
    """What messages call it."""
    nbytes: int | None = None
    """Its size, where a listing told it."""

    def __truediv__(self, name: str) -> "ObjectPath":
        return replace(self, key=f"{self.key}/{name}", uri=_join(self.uri, name), nbytes=None)

    def __str__(self) -> str:
        return self.uri

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and other.key == self.key

    def __lt__(self, other: "ObjectPath") -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """What it lies in."""
        base, mark, query = self.uri.partition("?")
        above = base.rpartition("/")[0] + mark + query
        return replace(self, key=self.key.rpartition("/")[0], uri=above, nbytes=None)

    def with_name(self, name: str) -> "ObjectPath":
        """Another name beside this one."""
        return self.parent / name

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self._info().type is pafs.FileType.File

    def stat(self) -> ObjectStat:
        """Its size; raises FileNotFoundError."""
        if self.nbytes is not None:
            return ObjectStat(st_size=self.nbytes)
        info = self._info()
        if info.type is not pafs.FileType.File:
            raise FileNotFoundError(f"{self}: no such object")
        return ObjectStat(st_size=info.size)

    def read_buffer(self) -> pa.Buffer:
        """All of it; raises FileNotFoundError."""
        with self.filesystem.open_input_file(self.key) as stream:
            return stream.read_buffer()

    def read_bytes(self) -> bytes:
        """All of it; raises FileNotFoundError."""
        return self.read_buffer().to_pybytes()

    def read_text(self) -> str:
        """All of it as UTF-8; raises FileNotFoundError."""
        return self.read_bytes().decode()

    def write_whole(self, data: bytes | memoryview) -> None:
        """Write all of it so that no reader finds a part; raises OSError."""
        if _base(self.filesystem).type_name in _PUT_IS_ATOMIC:
            self._put(data)
            return
        part = self.with_name(f"{self.name}.{secrets.token_hex(4)}.tmp")
        try:
            part._put(data)
            part.replace(self)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def mkdir(self, *, parents: bool = True, exist_ok: bool = True) -> None:
        """Make a folder, where the file system has folders."""
        if _base(self.filesystem).type_name not in _PUT_IS_ATOMIC:
            self.filesystem.create_dir(self.key, recursive=parents)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Files right in it whose names match; none when it is not there."""
        selector = pafs.FileSelector(self.key, allow_not_found=True)
        for info in self.filesystem.get_file_info(selector):
            if info.type is pafs.FileType.File and fnmatchcase(info.base_name, pattern):
                yield replace(self / info.base_name, nbytes=info.size)

    def replace(self, target: "ObjectPath") -> None:
        """Give it another name."""
        self.filesystem.move(self.key, target.key)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete it; raises FileNotFoundError unless `missing_ok`."""
        try:
            self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def _put(self, data: bytes | memoryview) -> None:
        with self.filesystem.open_output_stream(self.key) as stream:
            stream.write(data)

    def _info(self) -> pafs.FileInfo:
        return self.filesystem.get_file_info(self.key)


def _base(filesystem: pafs.FileSystem) -> pafs.FileSystem:
    while isinstance(filesystem, pafs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    return filesystem


def _join(uri: str, name: str) -> str:
    """A URL's options stay at its end."""
    base, mark, query = uri.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"
