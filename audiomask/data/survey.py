"""Survey: a table of the contents of training data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiomask.data.sources import Source
from audiomask.data.tracks import SPLITS

#: of the table's columns
HEADINGS = ("data", "layout", "of", *SPLITS, "hours", "stems")
#: most stems in a row; folders of songs may have hundreds
_LISTED = 12
_NONE = "–"


def table(sources: Sequence[Source]) -> Table:
    """A table with a row for each kind of items of each source.

    A row has the folder's name, the layout, the number of items (tracks, instruments, MIDI songs,
    SoundFonts) by split, the hours of sound, and the number of items by stem. Band material has no
    duration.
    """
    found = Table(box=None, pad_edge=False, header_style="bold")
    found.add_column("data", overflow="fold")
    found.add_column("layout")
    found.add_column("of")
    for heading in (*SPLITS, "hours"):
        found.add_column(heading, justify="right", no_wrap=True)
    found.add_column("stems", overflow="fold")
    for row in rows(sources):
        found.add_row(*map(Text, row))
    return found


def rows(sources: Sequence[Source]) -> list[tuple[str, ...]]:
    """The rows of the table as text, a cell for each of ``HEADINGS``."""
    return [row for source in sources for row in _rows(source)]


def _rows(source: Source) -> list[tuple[str, ...]]:
    """The rows of one source: its name, layout and unit, a number a split, hours, stems."""
    name = source.folder.name or source.folder.resolve().name or source.where
    return [
        (
            name,
            kind.layout,
            kind.unit,
            *(f"{kind.splits[split]:,}" for split in SPLITS),
            hours_of(kind.seconds),
            _listing(kind.stems),
        )
        for kind in source.contents()
    ]


def hours_of(seconds: float | None) -> str:
    """Hours in few digits, ``145.2``, ``0.34``, ``0.0012``; "endless" for infinity."""
    if seconds is None:
        return _NONE
    if seconds == math.inf:
        return "endless"
    hours = seconds / 3600
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"


def _listing(stems: Counter[str]) -> str:
    """Numbers by stem, the most frequent first: ``drums 1,289, guitar 812``."""
    ordered = sorted(stems.items(), key=lambda item: (-item[1], item[0]))
    names = [f"{name} {number:,}" for name, number in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        names.append(f"and {len(ordered) - _LISTED} more")
    return ", ".join(names) or _NONE


def show(sources: Sequence[Source], console: Console) -> None:
    """Print the table, then the sources' problems."""
    console.print(table(sources))
    for source in sources:
        for problem in source.problems:
            console.print(Text(f"warning: {source.where}: {problem}"), soft_wrap=True)
