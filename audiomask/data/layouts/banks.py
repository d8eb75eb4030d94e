"""Banks: note banks, MIDI songs and SoundFonts, the material of bands."""

from __future__ import annotations

from pathlib import Path

from audiomask.audio.names import is_audio
from audiomask.data.bands.notes import PIECES, SUBSTITUTES, find_libraries, is_note
from audiomask.data.bands.source import BANK, FONTS, SONGS, BankSource
from audiomask.data.layouts.layout import Layout
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.splits import (
    assign,
    assign_libraries,
    assign_songs,
    folder_split,
    library_key,
)
from audiomask.data.layouts.walk import walk_files

MIDI_SUFFIXES = (".mid", ".midi")
FONT_SUFFIXES = (".sf2", ".sf3")
#: first words of drums' file names
_DRUMS = frozenset(PIECES.values()).union(SUBSTITUTES, *SUBSTITUTES.values())


def find(folder: Path) -> BankSource | None:
    """The instrument libraries, MIDI songs and SoundFonts of a folder, as one source.

    None when there are none, or only MIDI songs and SoundFonts beside audio that is not notes: then
    the audio counts.

    Raises:
        DataError: a folder cannot be read.
    """
    libraries = _split_libraries(folder)
    audio = walk_files(folder, is_audio)
    songs, fonts = find_scores(folder)
    if not libraries and (audio or not songs + fonts):
        return None
    named = assign_songs(file.relative_to(folder).as_posix() for file in songs)
    kinds = {BANK: libraries, SONGS: songs, FONTS: fonts}
    others = [file for file in audio if not _is_placed(file, libraries)]
    return BankSource(
        folder,
        " and ".join(kind for kind, found in kinds.items() if found),
        libraries=tuple(sorted(libraries.items())),
        songs=tuple((file, named[file.relative_to(folder).as_posix()]) for file in songs),
        fonts=_split_fonts(folder, fonts, libraries),
        problems=summarize(
            folder,
            others,
            "audio file is not named as a note of a library and is left out",
            "audio files are not named as notes of a library and are left out",
        ),
    )


def find_scores(folder: Path) -> tuple[list[Path], list[Path]]:
    """The MIDI songs and the SoundFonts below a folder.

    Raises:
        DataError: a folder cannot be read.
    """
    files = walk_files(folder, lambda file: file.suffix.lower() in MIDI_SUFFIXES + FONT_SUFFIXES)
    songs = [file for file in files if file.suffix.lower() in MIDI_SUFFIXES]
    return songs, [file for file in files if file.suffix.lower() in FONT_SUFFIXES]


def _split_libraries(folder: Path) -> dict[Path, str]:
    """The instrument libraries of a folder and of its subfolders for splits, with their splits.

    A folder of songs within a folder ``drums`` resembles a drum kit. Unless there is a library of
    pitched notes, one of drums must have a known drum.
    """
    found = assign_libraries(find_libraries(folder))
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        split = folder_split(part.name)
        if split is not None:
            found |= dict.fromkeys(find_libraries(part), split)
    return found if any(map(_is_library, found)) else {}


def _is_library(folder: Path) -> bool:
    """Whether ``<stem>/<library>`` certainly holds notes."""
    if folder.parent.name != "drums":
        return True
    return any(
        is_note("drums", file) and file.stem.split("_")[0] in _DRUMS for file in folder.iterdir()
    )


def _is_placed(file: Path, libraries: dict[Path, str]) -> bool:
    """Whether a file is a note of one of the libraries."""
    return file.parent in libraries and is_note(file.parent.parent.name, file)


def _split_fonts(
    folder: Path, fonts: list[Path], libraries: dict[Path, str]
) -> tuple[tuple[Path, str], ...]:
    """SoundFonts with their splits: a subfolder's, or that of notes rendered from the font.

    Others get theirs from ``splits.assign`` by name.
    """
    rendered = {library_key(library): split for library, split in libraries.items()}
    hashed = assign(font.stem for font in fonts)

    def split(font: Path) -> str:
        above = font.relative_to(folder).parts[:-1]
        placed = folder_split(above[0]) if above else None
        return placed or rendered.get(font.stem) or hashed[font.stem]

    return tuple((font, split(font)) for font in fonts)


LAYOUT = Layout("a note bank (guitar/LIBRARY/60_v100.wav), MIDI songs, SoundFonts", find)
