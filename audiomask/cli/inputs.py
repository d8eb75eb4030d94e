"""The inputs of a command: files, folders walked recursively, patterns, and ``-``."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from audiomask.audio.names import ending_counts, is_audio
from audiomask.cli.addresses import address_of, files_below, is_address, name_addresses
from audiomask.cli.paths import local_path
from audiomask.cli.patterns import is_pattern, matches
from audiomask.errors import UsageError, why

logger = logging.getLogger(__name__)

_RESULTS = (".tokens.safetensors", ".tokens.txt", ".infilled")
"""The ends of names of results, without the suffix of audio: these are passed over silently."""

Location = Path | Literal["-"]
"""A file, or standard input or output."""


@dataclass(frozen=True)
class Input:
    """One file to work on, or standard input."""

    source: Location
    relative: Path
    """Where its output goes below ``-o``: its name, or its path below the folder walked."""

    @property
    def label(self) -> str:
        """Its name in messages."""
        return "standard input" if self.source == "-" else name_addresses(str(self.source))


@dataclass(frozen=True)
class Inputs:
    """All inputs of a command, in order, each once."""

    items: tuple[Input, ...]
    several: bool
    """Whether several files or a folder were given, so that ``-o`` is a folder."""


def collect_inputs(
    arguments: Sequence[str],
    accept: Callable[[Path], bool] = is_audio,
    output_folder: Path | None = None,
    audio: bool = True,
) -> Inputs:
    """Find the files that ``arguments`` name, before anything is written.

    A folder stands for the files below it that ``accept`` takes, sorted by name, except hidden ones
    and those in ``output_folder``, where an earlier run left its results. A single folder is
    mirrored from its top; with more arguments each folder keeps its name.

    A pattern such as ``album/*.wav`` that the shell did not expand, and that is no file's name,
    stands for what it matches, mirrored from the last folder without a wildcard on. A message says
    how many files of which suffixes are passed over in folders that are walked for ``audio``;
    results of earlier runs are not counted.

    Raises UsageError for a folder or pattern without such files, a folder that cannot be read, an
    empty name and a second ``-``.
    """
    if list(arguments).count("-") > 1:
        raise UsageError("standard input ('-') can be read only once")
    found: dict[str, Input] = {}
    passed: list[Path] = []
    folders = 0
    for argument in arguments:
        if not argument:
            raise UsageError("an input has no name: is a variable of the shell empty?")
        if argument == "-":
            found["-"] = Input("-", Path("stdin"))
            continue
        path = named_path(argument)
        away = files_below(path)
        places = [path] if path.is_dir() and away is None else []
        if is_address(argument):
            root = path
            top = Path(path.name) if len(arguments) > 1 else Path()
        elif is_pattern(argument) and not os.path.lexists(path):
            root, places = matches(path)
            top = Path()
        else:
            root = path
            top = Path(path.resolve().name) if len(arguments) > 1 else Path()
        if not places and away is None:
            found.setdefault(_identity(path), Input(path, Path(_name_of(path))))
            continue
        folders += 1
        barred = None if output_folder is None else _identity(output_folder)
        if barred is not None and _is_below(root, barred):
            barred = None  # results go among the inputs: only names tell which they are
        met = list(dict.fromkeys(file for place in places for file in _walk(place, barred)))
        for file in away or ():
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if not hidden and (barred is None or not _is_below(file, barred)):
                met.append(file)
        files = [file for file in met if accept(file)]
        if audio:
            passed += [file for file in met if file not in set(files) and not _is_result(file)]
        if not files:
            kind = "in the folder" if path.is_dir() or away is not None else "match"
            raise UsageError(f"no fitting files {kind} {path}")
        for file in files:
            found.setdefault(_identity(file), Input(file, top / file.relative_to(root)))
    if passed:
        many = "1 file that is" if len(passed) == 1 else f"{len(passed)} files that are"
        logger.info("passed over %s no audio by name: %s", many, ending_counts(passed))
    return Inputs(tuple(found.values()), several=len(found) > 1 or folders > 0)


def named_path(argument: str) -> Path:
    """The path that an argument names; ``./-`` is a file of that name, not standard input.

    That of an address is its stand-in.
    """
    path = Path(local_path(argument, addresses=True))
    return Path.cwd() / path if str(path) == "-" and argument != "-" else path


def output_folder(output: str | None) -> Path | None:
    """The path of ``-o``; None for standard output, or where results go beside the inputs."""
    return None if output in (None, "-") else named_path(str(output))


def _is_result(path: Path) -> bool:
    """Whether a name is that of a result written beside its input."""
    return path.name.lower().endswith(_RESULTS[:2]) or path.stem.lower().endswith(_RESULTS[2])


def _name_of(path: Path) -> str:
    """The name of an input, that of a web address without its query."""
    address = address_of(path)
    return Path(urlsplit(address).path).name if address is not None else path.name


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _walk(place: Path, barred: str | None) -> Iterator[Path]:
    """The files below a folder, or the file itself; none that are hidden or in the barred folder.

    A broken link counts as a file, so that it is reported as unreadable.
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
    """Raise UsageError for a folder that cannot be listed."""
    raise UsageError(f"{error.filename}: the folder cannot be read: {why(error)}") from error
