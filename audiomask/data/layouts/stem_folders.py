"""Stems by folder: ``guitar/*.wav``, ``drums/*.flac`` …, one folder for each stem."""

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
from audiomask.data.stem_names import common_name, mixture_rank

_NAME = "stems by folder"


def find(folder: Path) -> RecordedSource | None:
    """The songs of a folder whose subfolders are named after stems; None when they are not.

    Files of one path below several stems' folders (``guitar/live/song.wav`` and
    ``drums/live/song.flac``) are one song; a single file is a song of one stem, to be mixed with
    others. A folder ``mixture`` beside the stems' holds whole songs.

    More than half of the subfolders with audio must be named after stems, at least one other than
    "other", which a collection of music may have too. The rest is left out.

    Raises:
        DataError: a folder cannot be read.
    """
    parts, outside, known, unknown = [], [], set(), set()
    for file in walk_files(folder, is_audio):
        head, song = _split_off(file.relative_to(folder))
        *above, name = head.parts or ("",)
        if common_name(name) is not None or mixture_rank(name) is not None:
            known.add(head)
            parts.append(StemFile(Path(*above, song.with_suffix("")).as_posix(), name, file))
        else:
            unknown.add(head)
            outside.append(file)
    named = {common_name(head.name) for head in known} - {None, "other"}
    unknown.discard(Path())  # loose files say nothing about the folders
    if not named or len(known) <= len(unknown):
        return None
    problems = summarize(
        folder,
        outside,
        "audio file lies outside the folders named after stems and is left out",
        "audio files lie outside the folders named after stems and are left out",
    )
    return assemble(folder, _NAME, parts, problems)


def _split_off(relative: Path) -> tuple[Path, Path]:
    """A path's first folder (below one named after a split), and the path below it."""
    parts = relative.parts
    depth = min(2 if folder_split(parts[0]) is not None else 1, len(parts) - 1)
    return Path(*parts[:depth]), Path(*parts[depth:])


LAYOUT = Layout("stems by folder (guitar/SONG.wav)", find, (scores_beside_audio, non_audio))
