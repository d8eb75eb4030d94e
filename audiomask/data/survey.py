"""Survey: a table of what was found in the folders of training data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiomask.data.sources import Source
from audiomask.data.tracks import SPLITS

#: so many stems are listed; folders of songs may name hundreds
LISTED = 12
NONE = "–"


def table(sources: Sequence[Source]) -> Table:
    """What was found: a row for each source, and for each kind of thing when it has several.

    A row has the folder's name, the layout, how many tracks (instruments of a note bank, MIDI
    songs, SoundFonts) each split has, the hours of sound, and every stem with the number of
    tracks or instruments that have it. What bands play has no length.
    """
    found = Table(box=None, pad_edge=False, header_style="bold")
    found.add_column("data", overflow="fold")
    found.add_column("layout")
    found.add_column("of")
    for heading in (*SPLITS, "hours"):
        found.add_column(heading, justify="right", no_wrap=True)
    found.add_column("stems", overflow="fold")
    for source in sources:
        for row in rows(source):
            found.add_row(*map(Text, row))
    return found


def rows(source: Source) -> list[tuple[str, ...]]:
    """The rows of one source: its name, layout and unit, a number a split, hours, stems."""
    name = source.folder.name or source.folder.resolve().name or source.where
    return [
        (
            name,
            kind.layout,
            kind.unit,
            *(f"{kind.splits[split]:,}" for split in SPLITS),
            hours_of(kind.seconds),
            listing(kind.stems),
        )
        for kind in source.contents()
    ]


def hours_of(seconds: float | None) -> str:
    """Hours in few digits, ``145.2``, ``0.34``, ``0.0012``; or that there is no end, or none."""
    if seconds is None:
        return NONE
    if seconds == math.inf:
        return "endless"
    hours = seconds / 3600
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"


def listing(stems: Counter[str]) -> str:
    """Stems with their numbers, the most frequent first: ``drums 1,289, guitar 812``."""
    ordered = sorted(stems.items(), key=lambda item: (-item[1], item[0]))
    names = [f"{name} {number:,}" for name, number in ordered[:LISTED]]
    if len(ordered) > LISTED:
        names.append(f"and {len(ordered) - LISTED} more")
    return ", ".join(names) or NONE


def show(sources: Sequence[Source], console: Console) -> None:
    """Print the table, then a line for everything that had to be left out."""
    console.print(table(sources))
    for source in sources:
        for problem in source.problems:
            console.print(Text(f"warning: {source.where}: {problem}"), soft_wrap=True)
