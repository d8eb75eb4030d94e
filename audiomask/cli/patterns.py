"""Names with wildcards, where no shell expands them (Windows, scripts, quotes)."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from audiomask.errors import UsageError, why

_WILDCARDS = "*?["
_DEEP = "**"


def is_pattern(argument: str) -> bool:
    """Whether a name has wildcards."""
    return any(wildcard in argument for wildcard in _WILDCARDS)


def matches(pattern: Path) -> tuple[Path, list[Path]]:
    """Files and folders that a pattern matches, as in a shell.

    ``*`` and ``?`` do not match a leading dot; ``**`` is any number of folders, and does not
    follow links, which may lead in circles.

    Returns:
        The folder that the wildcards begin in, and what matches below it, sorted by name.
    """
    parts = pattern.parts
    fixed = next(number for number, part in enumerate(parts) if is_pattern(part))
    root = Path(*parts[:fixed])
    rest = [parts[fixed]]
    for part in parts[fixed + 1 :]:
        if not part == rest[-1] == _DEEP:  # `**/**` matches the same as `**`
            rest.append(part)
    if ".." in rest:
        raise UsageError(f"{pattern}: '..' may not follow a wildcard")
    return root, list(dict.fromkeys(_matches(root, rest)))


def _matches(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    part, *rest = parts
    if part == _DEEP:
        yield from _matches(folder, rest)
        for name in _names(folder):
            below = folder / name
            if rest and name[0] != "." and below.is_dir() and not below.is_symlink():
                yield from _matches(below, parts)
    elif is_pattern(part):
        for name in _names(folder):
            if fnmatch(name, part) and (name[0] != "." or part[0] == "."):
                yield from _matches(folder / name, rest)
    elif os.path.lexists(folder / part):
        yield from _matches(folder / part, rest)


def _names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none in a file or a missing folder."""
    try:
        return sorted(os.listdir(folder))
    except (NotADirectoryError, FileNotFoundError):
        return []
    except OSError as error:
        raise UsageError(f"{folder}: the folder cannot be read: {why(error)}") from error
