"""Layouts: what a folder of training data is, told from what lies in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from audiomask.audio.names import AUDIO_ENDINGS, ending_counts
from audiomask.data.layouts import (
    banks,
    musdb,
    recordings,
    shards,
    slakh,
    stem_folders,
    track_folders,
)
from audiomask.data.layouts.problems import relative_names, summarize
from audiomask.data.layouts.walk import walk_files
from audiomask.data.places import is_address
from audiomask.data.tracks import Source
from audiomask.errors import DataError, why

#: in this order: the more a layout asks for, the earlier it is tried
FINDERS: tuple[Callable[[Path], Source | None], ...] = (
    shards.find,
    slakh.find,
    musdb.find,
    banks.find,
    stem_folders.find,
    track_folders.find,
    recordings.find,
)
KNOWN = (
    "Slakh2100, MUSDB18-HQ, a note bank (guitar/LIBRARY/60_v100.wav), MIDI songs, SoundFonts, "
    "stems by folder (guitar/SONG.wav), track folders (SONG/guitar.wav), recordings, tar shards "
    "(shards.json)"
)


def recognize(data: Path | str) -> Source:
    """What a folder of training data holds, or the shards at an address.

    Args:
        data: a folder, or what ``shards.address`` understands: ``https://host/shards/``,
            ``pipe:ssh host cat /shards/``, ``shards/train/{000000..000099}.tar`` …

    Raises:
        DataError: the folder is missing, empty, of no known layout, or has nothing readable.
    """
    if is_address(str(data)):
        return shards.find_at(str(data))
    folder = Path(data)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; give the folder that it lies in")
    try:
        if not any(folder.iterdir()):
            raise DataError(f"{folder}: is empty")
        found = next(filter(None, (find(folder) for find in FINDERS)), None)
    except OSError as error:
        where = error.filename or folder
        raise DataError(f"{where}: cannot be read ({why(error)})") from error
    if found is None:
        raise DataError(
            f"{folder}: holds no audio, MIDI songs, SoundFonts or notes; known layouts: {KNOWN}; "
            "see 'Train on your own sounds' in the README"
        )
    if not (found.tracks or found.libraries or found.songs or found.fonts or found.shards):
        reasons = "; ".join(found.problems) or "its songs have no audio"
        raise DataError(f"{folder}: is laid out as {found.layout}, but {reasons}")
    if found.tracks and found.layout != slakh.LAYOUT:  # which brings MIDI files of its own
        found = dataclasses.replace(found, problems=found.problems + scores_beside_audio(folder))
    if found.layout in (recordings.LAYOUT, stem_folders.LAYOUT, track_folders.LAYOUT):
        found = dataclasses.replace(found, problems=found.problems + non_audio(folder))
    return found


def non_audio(folder: Path) -> tuple[str, ...]:
    """A line about the files that are no audio by their names, if there are any."""
    known = (*AUDIO_ENDINGS, *banks.MIDI_SUFFIXES, *banks.FONT_SUFFIXES)
    others = walk_files(folder, lambda file: file.suffix.lower() not in known)
    if not others:
        return ()
    what = "file that is" if len(others) == 1 else "files that are"
    return (f"passed over {len(others):,} {what} no audio by name: {ending_counts(others)}",)


def scores_beside_audio(folder: Path) -> tuple[str, ...]:
    """A line about the MIDI songs and SoundFonts that lie beside audio, if there are any."""
    songs, fonts = banks.find_scores(folder)
    return summarize(
        relative_names(folder, sorted(songs + fonts)),
        "MIDI file or SoundFont lies beside the audio and is left out; give it its own folder",
        "MIDI files and SoundFonts lie beside the audio and are left out; give them their own "
        "folder",
    )
