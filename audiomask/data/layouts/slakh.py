"""Slakh2100's layout: ``TrackNNNNN/{metadata.yaml, mix.flac, stems/SXX.flac}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from audiomask.audio.names import is_audio
from audiomask.data.layouts.headers import measure
from audiomask.data.layouts.layout import Layout
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.splits import TEST, TRAIN, VALIDATION, assign, folder_split
from audiomask.data.layouts.walk import walk_files
from audiomask.data.recorded import RecordedSource
from audiomask.data.tracks import Track

_NAME = "Slakh2100"
#: General MIDI programs by stem
_GROUPS = {"piano": range(0, 8), "guitar": range(24, 32), "bass": range(32, 40)}
#: the program of percussion
_DRUMS = 128
#: the folder of tracks omitted from the redux edition
_OMITTED = "omitted"
_NUMBERED = re.compile(r"^Track(\d{5})$")
#: the last track of a split in the original numbering; later ones are the test split
_LAST_TRAIN, _LAST_VALIDATION = 1500, 1875
#: the original format, and that of conversions
_SUFFIXES = (".flac", ".wav")
#: errors of broken metadata
_BROKEN = (yaml.YAMLError, OSError, LookupError, TypeError, AttributeError, ValueError)
# like yaml.SafeLoader, ten times as fast, if libyaml is installed
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Entries:
    """The stems in one track's metadata.

    Attributes:
        stems: existing files, by stem.
        missing: listed files that do not exist.
        rendered_here: whether it was rendered by a SoundFont, as the songs of
            ``examples/render_band.py``, whose numbers are not Slakh2100's.
    """

    stems: dict[str, list[Path]] = field(default_factory=dict)
    missing: list[Path] = field(default_factory=list)
    rendered_here: bool = False


def find(folder: Path) -> RecordedSource | None:
    """The tracks below a folder in the layout of Slakh2100; None when there are none.

    The original and the redux edition have tracks in ``train``, ``validation`` and ``test``;
    ``omitted`` is skipped. Tracks outside such folders are split by their numbers, as in the
    original; those of other names, or rendered by SoundFonts, by ``splits.assign``.

    Raises:
        DataError: a folder cannot be read.
    """
    listed: dict[Path, _Entries] = {}
    broken: list[Path] = []
    for file in walk_files(folder, lambda file: file.name == "metadata.yaml"):
        if _OMITTED in file.relative_to(folder).parts:
            continue
        try:
            listed[file.parent] = _read_entries(file)
        except _BROKEN:
            if (file.parent / "stems").is_dir():  # otherwise it is another program's file
                broken.append(file)
    if not listed and not broken:
        return None
    splits = _split_tracks(folder, listed)
    tracks = []
    for path, entries in listed.items():
        stems = {stem: tuple(entries.stems[stem]) for stem in sorted(entries.stems)}
        mixture = _existing(path / "mix")
        tracks.append(Track(_name_of(path, folder), splits[path], stems, mixture, 0.0))
    measured, unreadable = measure(tracks, folder)
    missing = [file for entries in listed.values() for file in entries.missing]
    places = {*listed, *(file.parent for file in broken)}
    outside = [
        file
        for file in walk_files(folder, is_audio)
        if places.isdisjoint(file.parents) and _OMITTED not in file.relative_to(folder).parts
    ]
    problems = (
        *summarize(folder, missing, "stem file is missing", "stem files are missing"),
        *summarize(
            folder,
            broken,
            "track has broken metadata and is left out",
            "tracks have broken metadata and are left out",
        ),
        *summarize(
            folder,
            outside,
            "audio file lies outside the tracks and is left out",
            "audio files lie outside the tracks and are left out",
        ),
        *unreadable,
    )
    return RecordedSource(folder, _NAME, measured, problems=problems)


def _name_of(path: Path, folder: Path) -> str:
    """A track's name: the path of its folder below the source's, or the source's own name."""
    return path.relative_to(folder).as_posix() if path != folder else path.name


def _split_tracks(folder: Path, listed: Mapping[Path, _Entries]) -> dict[Path, str]:
    """The splits of tracks, by folder if named after one, else by number or by name."""
    splits: dict[Path, str | None] = {}
    for path, entries in listed.items():
        above = path.relative_to(folder).parts[:-1]
        splits[path] = next(filter(None, map(folder_split, above)), None)
        if splits[path] is None and not entries.rendered_here:
            splits[path] = split_by_number(path.name)
    hashed = assign(_name_of(path, folder) for path, split in splits.items() if split is None)
    return {path: split or hashed[_name_of(path, folder)] for path, split in splits.items()}


def _read_entries(metadata: Path) -> _Entries:
    """The stems in a ``metadata.yaml``; entries that were not rendered have no file.

    Raises:
        OSError, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError: it cannot be
            read, or is not Slakh2100's.
    """
    text = metadata.read_text(encoding="utf-8")
    listed: dict[str, dict[str, Any]] = yaml.load(text, Loader)["stems"]
    found = _Entries()
    plugins = set()
    for name, entry in listed.items():
        stem = group_of(entry)
        file = _existing(metadata.parent / "stems" / name)
        if file is not None:
            found.stems.setdefault(stem, []).append(file)
        elif entry.get("audio_rendered", True):
            found.missing.append(metadata.parent / "stems" / f"{name}{_SUFFIXES[0]}")
        plugins.add(Path(str(entry.get("plugin_name"))).suffix.lower())
    found.rendered_here = bool(plugins) and plugins <= {".sf2", ".sf3"}
    return found


def _existing(path: Path) -> Path | None:
    """The audio file at a path given without suffix; None when there is none."""
    files = (path.with_name(path.name + suffix) for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def group_of(entry: dict[str, Any]) -> str:
    """The stem of a metadata entry; "other" for other instruments."""
    program = int(entry.get("program_num", -1))
    if entry.get("is_drum") or program == _DRUMS:
        return "drums"
    return next((name for name, programs in _GROUPS.items() if program in programs), "other")


def split_by_number(name: str) -> str | None:
    """The split of ``TrackNNNNN`` in the original numbering; None for other names."""
    match = _NUMBERED.match(name)
    if match is None:
        return None
    number = int(match[1])
    return TRAIN if number <= _LAST_TRAIN else VALIDATION if number <= _LAST_VALIDATION else TEST


LAYOUT = Layout(_NAME, find)
