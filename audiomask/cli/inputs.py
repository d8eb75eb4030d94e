"""The inputs of a command: files, folders walked recursively, patterns, and ``-``."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiomask.cli.patterns import is_pattern, matches
from audiomask.errors import UsageError, why

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

    A pattern such as ``album/*.wav`` that the shell left alone, and that is no file's name, gives
    what it matches in the same way, mirrored from the last folder without a wildcard on.
    Raises UsageError for a folder or pattern without such files, a folder that cannot be read, an
    empty name and a second ``-``.
    """
    if list(arguments).count("-") > 1:
        raise UsageError("standard input ('-') can be read only once")
    found: dict[str, Input] = {}
    folders = 0
    for argument in arguments:
        if not argument:
            raise UsageError("an input has no name: is a variable of the shell empty?")
        if argument == "-":
            found["-"] = Input("-", Path("stdin"))
            continue
        path = named_path(argument)
        places = [path] if path.is_dir() else []
        if is_pattern(argument) and not os.path.lexists(path):
            root, places = matches(path)
            top = Path()
        else:
            root = path
            top = Path(path.resolve().name) if len(arguments) > 1 else Path()
        if not places:
            found.setdefault(_identity(path), Input(path, Path(path.name)))
            continue
        folders += 1
        barred = None if output_folder is None else _identity(output_folder)
        if barred is not None and _is_below(root, barred):
            barred = None  # results go among the inputs: told apart by their names alone
        files = [file for place in places for file in _walk(place, barred) if accept(file)]
        if not files:
            kind = "in the folder" if path.is_dir() else "match"
            raise UsageError(f"no fitting files {kind} {path}")
        for file in files:
            found.setdefault(_identity(file), Input(file, top / file.relative_to(root)))
    return Inputs(tuple(found.values()), several=len(found) > 1 or folders > 0)


def is_audio(path: Path) -> bool:
    """Whether a file found in a folder is taken for audio, by its name."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def named_path(argument: str) -> Path:
    """The path that an argument names; ``./-`` is a file of that name, not standard input."""
    path = Path(argument)
    return Path.cwd() / path if str(path) == "-" and argument != "-" else path


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _walk(place: Path, barred: str | None) -> Iterator[Path]:
    """The files below a folder, or the one file; none that are hidden or in a barred folder.

    A link to what is gone counts as a file: that it cannot be read must not go unnoticed.
    """
    if barred is not None and _is_below(place, barred):
        return
    if not place.is_dir():
        yield place
        return
    for root, subfolders, names in os.walk(place, onerror=_refuse):
        subfolders[:] = sorted(
            name
            for name in subfolders
            if not name.startswith(".") and _identity(Path(root, name)) != barred
        )
        for name in sorted(names):
            file = Path(root, name)
            if not name.startswith(".") and (file.is_file() or not file.exists()):
                yield file


def _is_below(path: Path, folder: str) -> bool:
    return Path(_identity(path)).is_relative_to(folder)


def _refuse(error: OSError) -> None:
    """A folder that cannot be listed must not go unnoticed either."""
    raise UsageError(f"{error.filename}: the folder cannot be read: {why(error)}") from error
