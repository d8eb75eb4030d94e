"""Track folders: ``SONG/{guitar,drums,…}.wav``, one folder for each song."""

from __future__ import annotations

from pathlib import Path

from audiomask.audio.names import is_audio
from audiomask.data.layouts.layout import Layout
from audiomask.data.layouts.leftovers import non_audio, scores_beside_audio
from audiomask.data.layouts.parts import StemFile, assemble
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.splits import folder_split
from audiomask.data.layouts.walk import walk_files
from audiomask.data.recorded import RecordedSource
from audiomask.data.stem_names import common_name, mixture_rank, stem_name

_NAME = "track folders"
#: name of a song's subfolder for its stems
_INNER = "stems"


def find(folder: Path) -> RecordedSource | None:
    """The songs of a folder with a subfolder for each; None when its subfolders are not songs.

    A song's files are named after its stems; ``mixture``, ``mix`` or ``master`` is the whole song.
    They may be in a subfolder ``stems``. As album folders look similar, at least half of the
    folders with audio must have a mixture or a file with the common name of a stem that does not
    begin with a digit. Folders without one, and without a stem that another song has, are left out.

    A folder of two or more stems of one song and no other files is that song.

    Raises:
        DataError: a folder cannot be read.
    """
    songs: dict[Path, list[Path]] = {}
    for file in walk_files(folder, is_audio):
        inner = file.parent.name.casefold() == _INNER and file.parent != folder
        songs.setdefault(file.parent.parent if inner else file.parent, []).append(file)
    loose = [path for path in songs if _is_loose(path.relative_to(folder))]
    if loose == list(songs) == [folder] and _is_song(songs[folder]):
        loose = []
    outside = [file for path in loose for file in songs.pop(path)]
    certain = [path for path, files in songs.items() if any(map(_is_evidence, files))]
    if not certain or 2 * len(certain) < len(songs):
        return None
    stems = {stem_name(file.stem) for path in certain for file in songs[path]}
    parts = []
    for path, files in songs.items():
        name = path.relative_to(folder).as_posix() if path != folder else folder.name
        if path in certain or any(stem_name(file.stem) in stems for file in files):
            parts += [StemFile(name, file.stem, file) for file in files]
        else:
            outside += files
    problems = summarize(
        folder,
        sorted(outside),
        "audio file is no song's stem by its place and name and is left out",
        "audio files are no song's stems by their place and name and are left out",
    )
    return assemble(folder, _NAME, parts, problems)


def _is_loose(relative: Path) -> bool:
    """Whether a folder is the source's or a split's, whose files belong to no song."""
    return not relative.parts or (len(relative.parts) == 1 and _is_split(relative.name))


def _is_split(name: str) -> bool:
    """Whether a folder is named after a split."""
    return folder_split(name) is not None


def _is_evidence(file: Path) -> bool:
    """Whether a file's name shows that its folder is a song's."""
    if file.stem[:1].isdigit():
        return False
    return common_name(file.stem) is not None or mixture_rank(file.stem) is not None


def _is_song(files: list[Path]) -> bool:
    """Whether files are certainly the stems of one song."""
    stems = {common_name(file.stem) for file in files if mixture_rank(file.stem) is None}
    return all(map(_is_evidence, files)) and len(stems) >= 2


LAYOUT = Layout("track folders (SONG/guitar.wav)", find, (scores_beside_audio, non_audio))
