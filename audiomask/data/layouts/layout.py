"""A layout: one way to arrange training data in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from audiomask.data.sources import Source


class Layout(NamedTuple):
    """How a layout is recognized.

    Attributes:
        known_as: its name with an example, for the list of known layouts in errors.
        find: the source of a folder in this layout; None when the folder has another.
        leftovers: functions that return lines about unused files of a folder.
    """

    known_as: str
    find: Callable[[Path], Source | None]
    leftovers: tuple[Callable[[Path], tuple[str, ...]], ...] = ()
