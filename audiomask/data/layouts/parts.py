"""Stem and mixture files, assembled to a source of tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from audiomask.data.layouts.headers import measure
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.splits import assign_songs
from audiomask.data.recorded import RecordedSource
from audiomask.data.stem_names import is_complete, mixture_rank, stem_name
from audiomask.data.tracks import Track

#: preferred formats of a file that exists in several
_BEST = (".wav", ".wave", ".flac", ".aif", ".aiff")


class StemFile(NamedTuple):
    """One file of a song: the song's name, the stem's or mixture's name as written, the file."""

    song: str
    name: str
    file: Path


def assemble(
    folder: Path, layout: str, parts: Iterable[StemFile], problems: Sequence[str]
) -> RecordedSource:
    """A source of the songs that files belong to.

    A stem may have several files, such as ``guitar 1.wav`` and ``guitar 2.wav``. Of files that
    differ only in format, one is taken.

    Args:
        folder: the source's.
        layout: the source's.
        parts: files of all songs, in any order.
        problems: lines about files already left out.
    """
    songs: dict[str, dict[str, list[Path]]] = {}
    mixtures: dict[str, list[tuple[int, Path]]] = {}
    kept, copies = _without_copies(parts)
    for song, name, file in kept:
        stems = songs.setdefault(song, {})
        rank = mixture_rank(name)
        if rank is None:
            stems.setdefault(stem_name(name), []).append(file)
        else:
            mixtures.setdefault(song, []).append((rank, file))
    splits = assign_songs(songs)
    tracks = [
        Track(
            song,
            splits[song],
            {name: tuple(sorted(stems[name])) for name in sorted(stems)},
            min(mixtures[song])[1] if song in mixtures else None,
            0.0,
        )
        for song, stems in sorted(songs.items())
    ]
    measured, unreadable = measure(tracks, folder)
    names = {name for stems in songs.values() for name in stems}
    problems = (
        *problems,
        *summarize(
            folder,
            copies,
            "file is there in another format too and is left out",
            "files are there in another format too and are left out",
        ),
        *unreadable,
    )
    return RecordedSource(folder, layout, measured, complete=is_complete(names), problems=problems)


def _without_copies(parts: Iterable[StemFile]) -> tuple[list[StemFile], list[Path]]:
    """The files, one of those that differ only in format; and the other files."""
    best: dict[Path, StemFile] = {}
    copies = []
    for part in sorted(parts, key=lambda part: _quality(part.file)):
        if best.setdefault(part.file.with_suffix(""), part) is not part:
            copies.append(part.file)
    return list(best.values()), sorted(copies)


def _quality(file: Path) -> tuple[int, Path]:
    """A key that sorts lossless files before the others."""
    suffix = file.suffix.lower()
    return _BEST.index(suffix) if suffix in _BEST else len(_BEST), file
