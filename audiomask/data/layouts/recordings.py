"""Recordings: a folder of audio files without stems."""

from __future__ import annotations

from pathlib import Path

from audiomask.audio.names import is_audio
from audiomask.data.layouts.headers import measure
from audiomask.data.layouts.layout import Layout
from audiomask.data.layouts.leftovers import non_audio, scores_beside_audio
from audiomask.data.layouts.splits import assign_songs
from audiomask.data.layouts.walk import walk_files
from audiomask.data.recorded import RecordedSource
from audiomask.data.tracks import Track

_NAME = "recordings"


def find(folder: Path) -> RecordedSource | None:
    """All audio files below a folder, each a track without stems; None when there are none.

    A track's name is the file's path without the suffix, so that a song in two formats is in one
    split.

    Raises:
        DataError: a folder cannot be read.
    """
    files = walk_files(folder, is_audio)
    if not files:
        return None
    names = {file: file.relative_to(folder).with_suffix("").as_posix() for file in files}
    splits = assign_songs(names.values())
    tracks = [Track(name, splits[name], {}, file, 0.0) for file, name in names.items()]
    measured, problems = measure(tracks, folder)
    return RecordedSource(folder, _NAME, measured, problems=problems)


LAYOUT = Layout(_NAME, find, (scores_beside_audio, non_audio))
