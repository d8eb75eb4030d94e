"""Stores: random access to shards, in a folder or cached from a stream."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import soundfile
from torch import Tensor

from audiomask.audio.atomic import AtomicFile
from audiomask.audio.opening import error_reason
from audiomask.audio.slices import Slice
from audiomask.audio.source import ResampledSource
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.reading import SeekingSource
from audiomask.data.shards.address import Address, stream
from audiomask.data.shards.manifest import Member, Shard
from audiomask.errors import AudioFileError, DataError, why

#: seconds without a write after which an unfinished copy is abandoned
_STALE_SECONDS = 600
#: seconds to wait before retries of a failed stream
RETRY_PAUSES = (1.0, 5.0)


class Store(Protocol):
    """Opens shards by name."""

    def open(self, name: str) -> BinaryIO:
        """A shard as a seekable file."""

    def prefetch(self, name: str) -> None:
        """Prepare a shard that will be needed soon."""


class FolderStore:
    """Shards in a folder, read in place.

    Args:
        address: the folder's.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def open(self, name: str) -> BinaryIO:
        """A shard.

        Raises:
            DataError: it cannot be read.
        """
        path = Path(self.address.of(name))
        try:
            return path.open("rb")
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({why(error)})") from error

    def prefetch(self, name: str) -> None:
        """Do nothing."""


class CachedRemoteStore:
    """A cache of streamed shards, each read from start to end.

    All workers of a machine share the cache: a shard is streamed once, by the first worker that
    needs it. The next one is streamed in the background.

    Args:
        address: the shards' address.
        shards: all shards that may be opened.
        keep: size of the cache in shards; the least recently used one is removed.
        folder: of the cache, which several processes and runs may share; by default a temporary
            folder of this process.
    """

    def __init__(
        self, address: Address, shards: Iterable[Shard], keep: int, folder: Path | None = None
    ) -> None:
        self.address, self.keep = address, keep
        self._sizes = {shard.name: shard.size for shard in shards}
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="audiomask-shards-"))
            weakref.finalize(self, _remove, folder, os.getpid())
        self.folder, self._prefetched = folder, ""

    def open(self, name: str) -> BinaryIO:
        """A shard, fetched if it is not cached.

        Raises:
            DataError: it cannot be fetched, has another size than in the manifest, or cannot be
                stored.
        """
        while True:
            path = self._fetch(name)
            try:
                opened = path.open("rb")
            except FileNotFoundError:
                continue  # it was just removed for another
            with contextlib.suppress(OSError):
                os.utime(path)
            return opened

    def prefetch(self, name: str) -> None:
        """Start fetching a shard in the background."""
        if name != self._prefetched:
            self._prefetched = name
            threading.Thread(target=self.try_fetch, args=(name,), daemon=True).start()

    def try_fetch(self, name: str) -> None:
        """Fetch a shard unless another process does; errors recur when it is opened."""
        with contextlib.suppress(DataError):
            self._fetch(name, wait=False)

    def _fetch(self, name: str, wait: bool = True) -> Path:
        """The path of a complete cached shard; without ``wait``, it may still be incomplete."""
        from filelock import FileLock, Timeout

        path = self.folder / name
        if path.is_file():
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            with lock.acquire(timeout=-1 if wait else 0, poll_interval=0.01):
                if not path.is_file():
                    self._make_room(path.parent)
                    self.copy(name, path)
        except Timeout:
            pass  # another process is fetching it
        except (OSError, AudioFileError) as error:
            raise DataError(f"{path}: cannot be kept ({error}); give another --cache") from error
        return path

    def copy(self, name: str, path: Path) -> None:
        """Stream a shard into a file, with retries."""
        address, size = self.address.of(name), self._sizes[name]
        for pause in (*RETRY_PAUSES, None):
            try:
                with AtomicFile(path, overwrite=True) as temporary, temporary.open("wb") as out:
                    for block in stream(address):
                        out.write(block)
                    if out.tell() != size:
                        raise wrong_size(address, out.tell(), size)
                return
            except DataError:
                if pause is None:
                    raise
                time.sleep(pause)

    def _make_room(self, folder: Path) -> None:
        """Remove the least recently used shards, and abandoned copies."""
        kept: list[tuple[float, Path]] = []
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                used = path.stat().st_mtime
                if path.suffix == ".tar":
                    kept.append((used, path))
                elif path.suffix == ".part" and time.time() - used > _STALE_SECONDS:
                    path.unlink()
        for _, path in sorted(kept)[: max(len(kept) - self.keep + 1, 0)]:
            with contextlib.suppress(OSError):
                path.unlink()


def _remove(folder: Path, process: int) -> None:
    """Remove a temporary folder, only in the process that made it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def wrong_size(where: str, found: int, size: int) -> DataError:
    """The error of a shard of another size than in the manifest."""
    what = "is cut short" if found < size else "is another than it was"
    return DataError(f"{where}: {what}: {found:,} bytes, not {size:,}; copy or pack it again")


class MemberReader:
    """Reads spans of members.

    Args:
        store: of their shards.
        address: of their shards, for errors.
        sample_rate: to resample to, in Hz.
    """

    def __init__(
        self, store: Store, address: Address, sample_rate: int = DEFAULT_SAMPLE_RATE
    ) -> None:
        self.store, self.address, self.sample_rate = store, address, sample_rate

    def read(self, member: Member, start: int, stop: int) -> Tensor:
        """Samples [start, stop), float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: the shard cannot be opened, or the member is damaged.
        """
        name = f"{self.address.of(member.shard)}: {member.name}"
        with self.store.open(member.shard) as shard:
            try:
                file = soundfile.SoundFile(Slice(shard, member.offset, member.size))
            except soundfile.LibsndfileError as error:
                raise DataError(
                    f"{name} is damaged ({error_reason(error)}); copy or pack it again"
                ) from error
            with file:
                source = ResampledSource(SeekingSource(file, name), self.sample_rate)
                return source.read(start, stop) * member.gain
