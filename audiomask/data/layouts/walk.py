"""Walking: the files below a folder, through links, each folder once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from audiomask.errors import DataError, why


def walk_files(folder: Path, accept: Callable[[Path], bool]) -> list[Path]:
    """The files below a folder that ``accept`` takes, sorted.

    Linked folders are followed, for trees of training data are often made of links. A folder that
    can be reached in several ways is visited once, by its own path rather than through a link, so
    that a link to a folder above it does no harm. What begins with a dot is passed over, and so
    are links to nothing.

    Args:
        folder: where to begin.
        accept: asked with the path of every file.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    pending = deque([folder])
    while pending:
        current = pending.popleft()
        identity = os.path.realpath(current)
        if identity in seen:
            continue
        seen.add(identity)
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{current}: cannot be read ({why(error)})") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = current / entry.name
            # of a link that leads round in a circle, the entry itself would not tell
            link = entry.is_symlink()
            if os.path.isdir(path) if link else entry.is_dir():
                # links come after all that is reached without them
                (pending.append if link else pending.appendleft)(path)
            elif accept(path) and (os.path.isfile(path) if link else entry.is_file()):
                found.append(path)
    return sorted(found)
