"""Survey: a table of what was found in the folders of training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiomask.data.layouts.banks import BANK, FONTS, SONGS
from audiomask.data.layouts.splits import SPLITS
from audiomask.data.tracks import Source

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
    made: list[tuple[str, ...]] = []

    def add(layout: str, unit: str, splits: Iterable[str], hours: str, stems: str) -> None:
        counts = Counter(splits)
        made.append((name, layout, unit, *(f"{counts[split]:,}" for split in SPLITS), hours, stems))

    if source.tracks:
        seconds = sum(track.seconds for track in source.tracks)
        stems = Counter(stem for track in source.tracks for stem in track.stems)
        splits = (track.split for track in source.tracks)
        add(source.layout, "tracks", splits, hours_of(seconds), listing(stems))
    if source.shards is not None:
        manifest = source.shards.manifest
        splits = (shard.split for shard in manifest.shards for _ in shard.segments)
        add(source.layout, "segments", splits, hours_of(manifest.seconds), listing(manifest.stems))
    if source.libraries:
        stems = Counter(library.parent.name for library, _ in source.libraries)
        add(BANK, "instruments", splits_of(source.libraries), "endless", listing(stems))
    if source.songs:
        add(SONGS, "songs", splits_of(source.songs), NONE, NONE)
    if source.fonts:
        add(FONTS, "fonts", splits_of(source.fonts), "endless", NONE)
    return made


def splits_of(found: Iterable[tuple[Path, str]]) -> list[str]:
    """The splits of libraries, songs or fonts."""
    return [split for _, split in found]


def hours_of(seconds: float) -> str:
    """Hours in few digits: ``145.2``, ``0.34``, ``0.0012``."""
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
