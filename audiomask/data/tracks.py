"""Tracks: songs on disk as a layout names them, and the sources they are found in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audiomask.errors import DataError, why

if TYPE_CHECKING:
    from audiomask.data.shards.address import Shards

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Track:
    """One song on disk.

    Attributes:
        name: its path below the source's folder, for messages and for choosing its split.
        split: ``train``, ``validation`` or ``test``.
        stems: the files of each stem, several of which are summed; empty for a plain recording.
        mixture: the file of the whole song, for recordings whose parts are unknown.
        seconds: how long it is; the shortest of its files where they differ.
    """

    name: str
    split: str
    stems: Mapping[str, tuple[Path, ...]]
    mixture: Path | None
    seconds: float


@dataclass(frozen=True)
class Source:
    """What was found in one ``--data`` folder.

    Attributes:
        folder: the folder.
        layout: what it was recognised as, in words (``Slakh2100``, ``note bank`` …).
        tracks: songs; a MIDI song or an instrument library counts as none.
        libraries: instrument libraries of a note bank, ``<stem>/<library>``, with their splits.
        songs: MIDI files with their splits.
        fonts: SoundFonts with their splits.
        complete: whether a stem that a track does not name is silent in it. MUSDB18-HQ's
            ``other`` hides guitars and pianos: there it is not.
        problems: one line for everything that had to be left out.
        shards: songs that are packed into tar shards, which are not among ``tracks``.
    """

    folder: Path
    layout: str
    tracks: tuple[Track, ...] = ()
    libraries: tuple[tuple[Path, str], ...] = ()
    songs: tuple[tuple[Path, str], ...] = ()
    fonts: tuple[tuple[Path, str], ...] = ()
    complete: bool = True
    problems: tuple[str, ...] = field(default=())
    shards: Shards | None = None

    @property
    def where(self) -> str:
        """What to call it in messages: its folder, or the address of shards elsewhere."""
        return str(self.folder) if self.shards is None else self.shards.address.text

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems' names, sorted, over all splits."""
        names = {name for track in self.tracks for name in track.stems}
        if self.shards is not None:
            names.update(self.shards.manifest.stems)
        return tuple(sorted(names | {library.parent.name for library, _ in self.libraries}))


def signature(sources: Sequence[Source]) -> str:
    """A name for the data as it is: other files, sizes, times or splits give another.

    Raises:
        DataError: a file has gone since it was found.
    """
    known = hashlib.sha256()
    for source in sources:
        if source.shards is not None:
            known.update(source.shards.manifest.fingerprint.encode())
        files = [
            (track.split, file)
            for track in source.tracks
            for group in (*track.stems.values(), (track.mixture,))
            for file in group
            if file is not None
        ]
        files += [(split, file) for file, split in (*source.songs, *source.fonts)]
        for library, split in source.libraries:
            files += [(split, file) for file in sorted(library.iterdir())]
        for split, file in files:
            try:
                status = file.stat()
            except OSError as error:
                raise DataError(f"{file}: has gone ({why(error)})") from error
            entry = (split, file.name, status.st_size, status.st_mtime_ns)
            known.update(repr(entry).encode())
    return known.hexdigest()[:16]
