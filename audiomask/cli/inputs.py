"""The inputs of a command: files, folders walked recursively, and ``-``."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiomask.errors import UsageError

Location = Path | Literal["-"]
"""A file, or standard input or output."""

AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"),
    *(".aifc", ".au", ".snd", ".caf", ".m4a", ".mp4", ".aac", ".wma", ".mka", ".webm", ".ac3"),
)
"""What counts as audio in a folder; a file named on the command line may have any name."""


@dataclass(frozen=True)
class Input:
    """One file to work on, or standard input."""

    source: Location
    relative: Path
    """Where its output goes below ``-o``: its name, or its path below the folder walked."""

    @property
    def label(self) -> str:
        """How messages name it."""
        return "standard input" if self.source == "-" else str(self.source)


@dataclass(frozen=True)
class Inputs:
    """All inputs of a command, in order and without repetitions."""

    items: tuple[Input, ...]
    several: bool
    """Whether several files or a folder were given, so that ``-o`` is a folder."""


def collect_inputs(
    arguments: Sequence[str], accept: Callable[[Path], bool], output_folder: Path | None = None
) -> Inputs:
    """Find the files that ``arguments`` name, before anything is written.

    A folder gives the files below it that ``accept`` takes, in the order of their names, save
    hidden ones and those in ``output_folder``, where an earlier run left its results. One folder
    alone is mirrored from its top; with more arguments each folder keeps its name.
    Raises UsageError for a folder without such files and for a second ``-``.
    """
    if list(arguments).count("-") > 1:
        raise UsageError("standard input ('-') can be read only once")
    found: dict[str, Input] = {}
    folders = 0
    for argument in arguments:
        path = Path(argument)
        if argument == "-":
            found["-"] = Input("-", Path("stdin"))
        elif path.is_dir():
            folders += 1
            top = Path(path.resolve().name) if len(arguments) > 1 else Path()
            files = _walk(path, accept, output_folder)
            if not files:
                raise UsageError(f"no fitting files in the folder {path}")
            for file in files:
                found.setdefault(_identity(file), Input(file, top / file.relative_to(path)))
        else:
            found.setdefault(_identity(path), Input(path, Path(path.name)))
    return Inputs(tuple(found.values()), several=len(found) > 1 or folders > 0)


def is_audio(path: Path) -> bool:
    """Whether a file found in a folder is taken for audio, by its name."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _walk(folder: Path, accept: Callable[[Path], bool], excluded: Path | None) -> list[Path]:
    barred = None if excluded is None else _identity(excluded)
    if barred == _identity(folder):
        barred = None  # results go among the inputs: told apart by their names alone
    files: list[Path] = []
    for root, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and _identity(Path(root, name)) != barred
        )
        files += (Path(root, name) for name in sorted(names) if not name.startswith("."))
    return [file for file in files if accept(file) and file.is_file()]
