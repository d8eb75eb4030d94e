"""Layouts: recognition of a folder of training data by its contents."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from audiomask.data.layouts import (
    banks,
    musdb,
    recordings,
    shards,
    slakh,
    stem_folders,
    track_folders,
)
from audiomask.data.places import is_address
from audiomask.data.sources import Source
from audiomask.errors import DataError, why

#: from the most specific layout to the most general, in the order in which they are tried
LAYOUTS = (
    shards.LAYOUT,
    slakh.LAYOUT,
    musdb.LAYOUT,
    banks.LAYOUT,
    stem_folders.LAYOUT,
    track_folders.LAYOUT,
    recordings.LAYOUT,
)


def recognize(data: Path | str) -> Source:
    """The source in a folder of training data, or the shards at an address.

    Args:
        data: a folder, or an address for ``shards.address``: ``https://host/shards/``,
            ``pipe:ssh host cat /shards/``, ``shards/train/{000000..000099}.tar`` …

    Raises:
        DataError: the folder is missing, empty, of no known layout, or has nothing readable.
    """
    if is_address(str(data)):
        return shards.find_at(str(data))
    folder = Path(data)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; give the folder that it lies in")
    try:
        if not any(folder.iterdir()):
            raise DataError(f"{folder}: is empty")
        for layout in LAYOUTS:
            found = layout.find(folder)
            if found is not None:
                break
    except OSError as error:
        where = error.filename or folder
        raise DataError(f"{where}: cannot be read ({why(error)})") from error
    if found is None:
        # the project's own layout, shards, comes last
        known = ", ".join(one.known_as for one in (*LAYOUTS[1:], LAYOUTS[0]))
        raise DataError(
            f"{folder}: holds no audio, MIDI songs, SoundFonts or notes; known layouts: {known}; "
            "see docs/training.md"
        )
    if found.is_empty:
        reasons = "; ".join(found.problems) or "its songs have no audio"
        raise DataError(f"{folder}: is laid out as {found.layout}, but {reasons}")
    left = (line for leftovers in layout.leftovers for line in leftovers(folder))
    return dataclasses.replace(found, problems=(*found.problems, *left))
