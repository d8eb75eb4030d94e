"""Stores: where shards are read from, at any place in them."""

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
from audiomask.audio.slices import Slice
from audiomask.audio.source import ResampledSource
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.reading import SeekingSource
from audiomask.data.shards.address import Address, stream
from audiomask.data.shards.manifest import Member, Shard
from audiomask.errors import AudioFileError, DataError, why

#: seconds without a byte after which a copy that somebody began is taken for dead
STALE_SECONDS = 600
#: seconds to wait before a stream that failed is tried again
RETRY_PAUSES = (1.0, 5.0)


class Store(Protocol):
    """Gives shards by their names."""

    def open(self, name: str) -> BinaryIO:
        """A shard, to be read at any place."""

    def prefetch(self, name: str) -> None:
        """A shard will be needed soon."""


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
            DataError: it has gone.
        """
        path = Path(self.address.of(name))
        try:
            return path.open("rb")
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({why(error)})") from error

    def prefetch(self, name: str) -> None:
        """Nothing is to be done."""


class CachedRemoteStore:
    """Shards that come as streams, each from its beginning to its end, and are kept for a while.

    All workers of a machine share what is kept: a shard comes once, whoever needs it first. The
    next one comes in the background.

    Args:
        address: where they come from.
        shards: all that may be asked for.
        keep: how many are kept; the one that was not used for longest makes room.
        folder: where; a temporary folder that goes with this process by default. Several
            processes, and runs, may share one.
    """

    def __init__(
        self, address: Address, shards: Iterable[Shard], keep: int, folder: Path | None = None
    ) -> None:
        self.address, self.keep = address, keep
        self.sizes = {shard.name: shard.size for shard in shards}
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="audiomask-shards-"))
            weakref.finalize(self, remove, folder, os.getpid())
        self.folder, self.prefetched = folder, ""

    def open(self, name: str) -> BinaryIO:
        """A shard, fetched if it is not there.

        Raises:
            DataError: it cannot be fetched, is not of the size that the manifest tells, or cannot
                be kept.
        """
        while True:
            path = self.fetch(name)
            try:
                opened = path.open("rb")
            except FileNotFoundError:
                continue  # it made room for another, just now
            with contextlib.suppress(OSError):
                os.utime(path)
            return opened

    def prefetch(self, name: str) -> None:
        """Begin to fetch a shard in the background."""
        if name != self.prefetched:
            self.prefetched = name
            threading.Thread(target=self.try_fetch, args=(name,), daemon=True).start()

    def try_fetch(self, name: str) -> None:
        """Fetch a shard unless somebody does; whoever needs it will meet an error again."""
        with contextlib.suppress(DataError):
            self.fetch(name, wait=False)

    def fetch(self, name: str, wait: bool = True) -> Path:
        """Where a shard is kept, once it is complete; or, without waiting, will be."""
        from filelock import FileLock, Timeout

        path = self.folder / name
        if path.is_file():
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            with lock.acquire(timeout=-1 if wait else 0, poll_interval=0.01):
                if not path.is_file():
                    self.make_room(path.parent)
                    self.copy(name, path)
        except Timeout:
            pass  # somebody else is at it
        except (OSError, AudioFileError) as error:
            raise DataError(f"{path}: cannot be kept ({error}); give another --cache") from error
        return path

    def copy(self, name: str, path: Path) -> None:
        """Read a shard as a stream into a file; a stream that breaks off is begun again."""
        address, size = self.address.of(name), self.sizes[name]
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

    def make_room(self, folder: Path) -> None:
        """Remove the shards that were not used for longest, and what was never finished."""
        kept: list[tuple[float, Path]] = []
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                used = path.stat().st_mtime
                if path.suffix == ".tar":
                    kept.append((used, path))
                elif path.suffix == ".part" and time.time() - used > STALE_SECONDS:
                    path.unlink()
        for _, path in sorted(kept)[: max(len(kept) - self.keep + 1, 0)]:
            with contextlib.suppress(OSError):
                path.unlink()


def remove(folder: Path, process: int) -> None:
    """Remove a temporary folder, in the process that made it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def wrong_size(where: str, found: int, size: int) -> DataError:
    """The error of a shard that is not as long as the manifest says."""
    what = "is cut short" if found < size else "is another than it was"
    return DataError(f"{where}: {what}: {found:,} bytes, not {size:,}; copy or pack it again")


class MemberReader:
    """Reads spans of members.

    Args:
        store: where their shards are.
        address: what to call them in errors.
        sample_rate: what to resample to.
    """

    def __init__(
        self, store: Store, address: Address, sample_rate: int = DEFAULT_SAMPLE_RATE
    ) -> None:
        self.store, self.address, self.sample_rate = store, address, sample_rate

    def read(self, member: Member, start: int, stop: int) -> Tensor:
        """Samples [start, stop), float32 [C, stop - start]; zeros beyond the ends.

        Raises:
            DataError: the shard cannot be had, or the member is damaged.
        """
        name = f"{self.address.of(member.shard)}: {member.name}"
        with self.store.open(member.shard) as shard:
            try:
                file = soundfile.SoundFile(Slice(shard, member.offset, member.size))
            except soundfile.LibsndfileError as error:
                reason = str(error.error_string).strip().rstrip(".")
                raise DataError(f"{name} is damaged ({reason}); copy or pack it again") from error
            with file:
                source = ResampledSource(SeekingSource(file, name), self.sample_rate)
                return source.read(start, stop) * member.gain
