"""Recursive listing of files, through links, each folder once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from audiomask.errors import DataError, why


def walk_files(folder: Path, accept: Callable[[Path], bool]) -> list[Path]:
    """The files below a folder that ``accept`` takes, sorted.

    Linked folders are followed. A folder that can be reached in several ways is visited once, by
    its own path rather than through a link, so that circular links do no harm. Names that begin
    with a dot are skipped, and so are broken links.

    Args:
        folder: where to begin.
        accept: called with the path of every file.

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
            # the entry itself may raise for a circular link
            link = entry.is_symlink()
            if os.path.isdir(path) if link else entry.is_dir():
                # links come after all folders that are reached without them
                (pending.append if link else pending.appendleft)(path)
            elif accept(path) and (os.path.isfile(path) if link else entry.is_file()):
                found.append(path)
    return sorted(found)
