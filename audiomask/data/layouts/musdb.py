"""MUSDB18-HQ's layout: ``{train,test}/TRACK/{mixture,drums,bass,other,vocals}.wav``."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from audiomask.data.layouts.headers import measure
from audiomask.data.layouts.layout import Layout
from audiomask.data.layouts.leftovers import scores_beside_audio
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.splits import TRAIN, VALIDATION, folder_split
from audiomask.data.layouts.walk import walk_files
from audiomask.data.recorded import RecordedSource
from audiomask.data.tracks import Track

_NAME = "MUSDB18-HQ"
_STEMS = ("drums", "bass", "other", "vocals")
_MIXTURE = "mixture"
#: sums of stems that the musdb package writes beside them
_SUMS = {"accompaniment", "linear_mixture"}
#: the songs of ``train`` for validation: ``validation_tracks`` in
#: ``musdb/configs/mus.yaml`` of the musdb package (https://github.com/sigsep/sigsep-mus-db)
VALIDATION_SONGS = frozenset(
    {
        "Actions - One Minute Smile",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Johnny Lokke - Promises & Lies",
        "Patrick Talbot - A Reason To Leave",
        "Triviul - Angelsaint",
        "Alexander Ross - Goodbye Bolero",
        "Fergessen - Nos Palpitants",
        "Leaf - Summerghost",
        "Skelpolu - Human Mistakes",
        "Young Griffo - Pennies",
        "ANiMAL - Rockshow",
        "James May - On The Line",
        "Meaxic - Take A Step",
        "Traffic Experiment - Sirens",
    }
)


def find(folder: Path) -> RecordedSource | None:
    """The songs of a folder in the layout of MUSDB18-HQ; None when it has another.

    It needs one song with all five files, and no song with further stems. Other songs may lack
    files. The source is not complete: ``other`` includes guitars and pianos.

    Raises:
        DataError: a folder cannot be read.
    """
    songs: dict[Path, dict[str, Path]] = {}
    outside = []
    for file in walk_files(folder, lambda file: file.suffix.lower() == ".wav"):
        parts = file.relative_to(folder).parts
        if len(parts) == 3 and folder_split(parts[0]) is not None:
            songs.setdefault(file.parent, {})[file.stem] = file
        else:
            outside.append(file)
    names = {*_STEMS, _MIXTURE}
    if not any(names <= set(files) for files in songs.values()):
        return None
    if any(set(files) - names - _SUMS for files in songs.values()):
        return None
    tracks, missing = [], []
    for path, files in songs.items():
        missing += [path / f"{name}.wav" for name in (_MIXTURE, *_STEMS) if name not in files]
        stems = {name: (files[name],) for name in _STEMS if name in files}
        name = path.relative_to(folder).as_posix()
        tracks.append(Track(name, _split_of_song(path), stems, files.get(_MIXTURE), 0.0))
    measured, problems = measure(tracks, folder)
    problems = (
        *summarize(folder, missing, "file is missing", "files are missing"),
        *summarize(
            folder,
            outside,
            "audio file lies outside the songs and is left out",
            "audio files lie outside the songs and are left out",
        ),
        *problems,
    )
    return RecordedSource(folder, _NAME, measured, complete=False, problems=problems)


def _split_of_song(path: Path) -> str:
    """The split of ``{train,test}/SONG``: that of its folder, but for the validation songs."""
    split = folder_split(path.parent.name) or TRAIN
    fixed = unicodedata.normalize("NFC", path.name) in VALIDATION_SONGS
    return VALIDATION if split == TRAIN and fixed else split


LAYOUT = Layout(_NAME, find, (scores_beside_audio,))
