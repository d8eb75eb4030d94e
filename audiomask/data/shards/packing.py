"""Packing of songs into tar shards."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from audiomask.audio.atomic import AtomicFile
from audiomask.data.shards.manifest import (
    FORMAT,
    MANIFEST,
    UNFINISHED,
    Manifest,
    Shard,
    from_json,
    scan,
)
from audiomask.data.shards.segments import PendingSegment, cut_song, encode, order_segments
from audiomask.data.sources import Source, signature
from audiomask.data.tracks import SPLITS
from audiomask.errors import AudioFileError, DataError, UsageError

_SECONDS = 30.0
_SHARD_BYTES = 256 << 20
#: called after every segment with the number done and the total
_Progress = Callable[[int, int], None]
#: the files of a sample, or the error
_Encoded = dict[str, bytes] | DataError

logger = logging.getLogger("audiomask")


@dataclass(frozen=True)
class _PackResult:
    """The result of packing.

    Attributes:
        folder: the shards' folder.
        manifest: their contents.
        left_out: songs with unreadable segments.
    """

    folder: Path
    manifest: Manifest
    left_out: tuple[str, ...] = ()


def pack(
    sources: Sequence[Source],
    out: Path,
    *,
    shard_bytes: int = _SHARD_BYTES,
    seconds: float = _SECONDS,
    seed: int = 0,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> _PackResult:
    """Write the songs of sources as tar shards ``out/<split>/000000.tar …`` and ``shards.json``.

    Songs are cut into segments, in an order decided by ``seed``, neighbours of different songs.
    Shards are written atomically, ``shards.json`` last. An interrupted packing continues when it is
    called again. The same songs give the same bytes.

    Args:
        sources: songs with stems or recordings, as ``layouts.recognize`` returns them.
        out: a folder that is missing, empty, or holds the beginning of the same packing.
        shard_bytes: a shard ends with the segment that reaches this size.
        seconds: duration of a segment; at least that of the excerpts to be drawn.
        seed: of the order.
        threads: for encoding; by default one a core.
        progress: called after every segment.

    Raises:
        DataError: the sources cannot be packed together, ``out`` has other contents or cannot be
            written, or nothing can be read.
        UsageError: ``seconds`` or ``shard_bytes`` is not positive.
    """
    if seconds <= 0 or shard_bytes <= 0:
        raise UsageError(f"shards of {shard_bytes} bytes with segments of {seconds} s: too small")
    _check_packable(sources)
    origin = {
        "data": [source.folder.resolve().name for source in sources],
        "signature": signature(sources),
        "seconds": seconds,
        "shard_bytes": shard_bytes,
        "seed": seed,
    }
    planned = _plan_segments(sources, seconds, seed)
    counter = _ProgressCounter(sum(map(len, planned.values())), progress)
    left_out: dict[str, None] = {}
    try:
        finished = _prepare_folder(out, origin)
        if finished is not None:
            return _PackResult(out, finished)
        shards: list[Shard] = []
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            for split, segments in planned.items():
                kept, first = _finished_shards(out, split)
                counter.take(first)
                made = _encode_ahead(pool, segments[first:], first, threads or os.cpu_count() or 1)
                samples = _readable_samples(made, counter, left_out)
                for sample in samples:
                    name = _name_of(split, len(kept))
                    kept.append(_write_shard(out, name, chain([sample], samples), shard_bytes))
                shards += kept
        if not shards:
            raise DataError(f"{', '.join(left_out)}: could not be read; nothing is packed")
        manifest = Manifest(tuple(shards), all(source.complete for source in sources), origin)
        _write_json(out / MANIFEST, manifest.to_json())
        (out / UNFINISHED).unlink(missing_ok=True)
    except (OSError, AudioFileError) as error:
        raise DataError(f"{out}: cannot be written ({error}); pack again to go on") from error
    return _PackResult(out, manifest, tuple(left_out))


def _check_packable(sources: Sequence[Source]) -> None:
    """Refuse sources that are not songs, or do not distinguish the same stems.

    Raises:
        DataError: names the source, and says what to do.
    """
    for source in sources:
        source.tracks_to_pack()
    first = sources[0]
    for source in sources[1:]:
        same = bool(first.stems) == bool(source.stems) and first.complete == source.complete
        if not same or not (first.complete or first.stems == source.stems):
            raise DataError(
                f"{source.where}: {source.layout} cannot be packed with the {first.layout} of "
                f"{first.where}, as their stems differ; pack each into its own folder"
            )


def _plan_segments(
    sources: Sequence[Source], seconds: float, seed: int
) -> dict[str, list[PendingSegment]]:
    """The segments of each split, in order, without empty splits.

    Names of songs of several sources begin with their folder's name.
    """
    several = len(sources) > 1
    planned = {}
    for split in SPLITS:
        songs = [
            cut_song(
                f"{source.folder.name}/{track.name}" if several else track.name, track, seconds
            )
            for source in sources
            for track in source.tracks_to_pack()
            if track.split == split
        ]
        if songs:
            planned[split] = order_segments(songs, seed)
    return planned


def _prepare_folder(out: Path, origin: Mapping[str, Any]) -> Manifest | None:
    """Create the folder or check its contents; returns its manifest when it is complete.

    Raises:
        DataError: it has other contents.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; name a folder for the shards")
    identity = {"format": FORMAT, "origin": dict(origin)}
    for name in (MANIFEST, UNFINISHED):
        if not (out / name).is_file():
            continue
        try:
            found = json.loads((out / name).read_text(encoding="utf-8"))
            same = {key: found[key] for key in identity} == identity
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise DataError(
                f"{out}: holds shards of other songs, or packed with other settings; name another "
                "folder or delete it"
            )
        if name == MANIFEST:
            return from_json((out / name).read_bytes(), str(out / name))
        for left in out.glob("*/.audiomask-*.part"):
            left.unlink()  # of a killed packing
        return None
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; name another folder for the shards")
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / UNFINISHED, identity)
    return None


def _finished_shards(out: Path, split: str) -> tuple[list[Shard], int]:
    """The complete shards of a split, and the number of the next segment."""
    kept: list[Shard] = []
    following = 0
    while (out / (name := _name_of(split, len(kept)))).is_file():
        try:
            shard, last = scan(out / name, name)
        except (tarfile.TarError, OSError, KeyError, ValueError):
            break  # it will be rewritten
        kept.append(shard)
        following = last + 1
    return kept, following


class _ProgressCounter:
    """Counts segments and calls ``progress``."""

    def __init__(self, total: int, progress: _Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def take(self, number: int) -> None:
        """Add to the number done."""
        self.done += number
        if self.progress is not None:
            self.progress(self.done, self.total)


def _encode_ahead(
    pool: ThreadPoolExecutor, segments: Sequence[PendingSegment], first: int, more: int
) -> Iterator[tuple[PendingSegment, _Encoded]]:
    """Segments, numbered from ``first``, with their files; ``more`` of them are encoded ahead."""
    waiting: deque[tuple[PendingSegment, Future[_Encoded]]] = deque()
    try:
        for number, segment in enumerate(segments, start=first):
            waiting.append((segment, pool.submit(_try_encode, segment, f"{number:06d}")))
            if len(waiting) > more:
                segment, job = waiting.popleft()
                yield segment, job.result()
        while waiting:
            segment, job = waiting.popleft()
            yield segment, job.result()
    finally:
        for _, job in waiting:
            job.cancel()


def _try_encode(segment: PendingSegment, key: str) -> _Encoded:
    """A segment's files, or the error."""
    try:
        return encode(segment, key)
    except DataError as error:
        return error


def _readable_samples(
    made: Iterator[tuple[PendingSegment, _Encoded]],
    counter: _ProgressCounter,
    left_out: dict[str, None],
) -> Iterator[dict[str, bytes]]:
    """The files of readable segments; a song with an unreadable one is logged once."""
    for segment, files in made:
        counter.take(1)
        if not isinstance(files, DataError):
            yield files
        elif segment.song not in left_out:
            left_out[segment.song] = None
            logger.warning("%s; what cannot be read of this song is left out", files)


def _write_shard(
    out: Path, name: str, samples: Iterator[dict[str, bytes]], shard_bytes: int
) -> Shard:
    """Write samples until the shard is large enough or there are none left."""
    with AtomicFile(out / name, overwrite=True) as temporary:
        with tarfile.open(temporary, "w") as tar:
            for files in samples:
                _add(tar, files)
                if tar.offset >= shard_bytes:
                    break
        shard, _ = scan(temporary, name)
    return shard


def _add(tar: tarfile.TarFile, files: Mapping[str, bytes]) -> None:
    """Append a sample's files, without times and owners, so that shards are reproducible."""
    for name, data in files.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))


def _name_of(split: str, number: int) -> str:
    """A shard's name."""
    return f"{split}/{number:06d}.tar"


def _write_json(file: Path, entries: Mapping[str, Any]) -> None:
    """Write JSON atomically, compact: a large manifest is megabytes."""
    with AtomicFile(file, overwrite=True) as temporary:
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
        temporary.write_text(text + "\n", encoding="utf-8")
