"""How fast training data is made, beside a plain loop of soundfile.read on the same excerpts.

    python tests/benchmarks/loaders.py NOTES MIDI,NOTES SLAKH MUSIC SHARDS --workers 2

One row for every argument, a folder or address that ``audiomask train --data`` takes or several
with commas between them. Seconds of mixture a second: the loader with its workers, everything
done that a training step needs; the loader in this process alone; the plain loop, which only
reads what the loader has read, one file after the other. Bands and shards read no files: for them
the loop reads their stems from FLAC files, as if somebody had rendered and stored them all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import soundfile as sf
import torch
import typer
from report import note
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from audiomask.data import reading
from audiomask.data.augmentation import NONE
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import CpuCollate, InterleavedDataset, SeededItems
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.training.batches import RankSlice

RATE = 44_100
SAMPLES = 577 * 512  # 6.7 s, the default window
Read = tuple[Path, int, int]


class Everything:
    """A batch of excerpts as they are."""

    def draw(self, index: int) -> torch.Tensor:
        """Nothing."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, drawn: torch.Tensor) -> Excerpt:
        """The excerpts."""
        return excerpts


def loaded(blend: InterleavedDataset, items: int, batch: int, workers: int) -> float:
    """Seconds of mixture a second from a loader, its start left out."""
    loader = DataLoader(
        RankSlice(SeededItems(blend, Everything()), 0, batch * max(workers, 1) + items, batch),
        batch_size=batch,
        collate_fn=CpuCollate(blend, Everything()),
        num_workers=workers,
    )
    began, counted = 0.0, -batch * max(workers, 1)
    for excerpts in loader:
        counted += len(excerpts.mixture)
        if counted == 0:
            began = time.perf_counter()
    return items * SAMPLES / RATE / (time.perf_counter() - began)


def watched(blend: InterleavedDataset, items: int) -> list[Read]:
    """What is read for the first items, as (file, first sample, last) at 44.1 kHz."""
    found: list[Read] = []
    original = reading.read_span

    def read(file: Path, start: int, stop: int, sample_rate: int = RATE) -> torch.Tensor:
        found.append((file, start, stop))
        return original(file, start, stop, sample_rate)

    reading.read_span = read
    try:
        for index in range(items):
            blend.excerpt(index)
    finally:
        reading.read_span = original
    return found


def stored(blend: InterleavedDataset, items: int, folder: Path) -> list[Read]:
    """The stems of the first items as FLAC files."""
    found = []
    for index in range(items):
        for number, stem in enumerate(blend.excerpt(index).stems):
            if stem.any():
                file = folder / f"{index}-{number}.flac"
                sf.write(file, stem.T.numpy(), RATE)
                found.append((file, 0, SAMPLES))
    return found


def plain(reads: Sequence[Read], items: int) -> float:
    """Seconds of mixture a second when the excerpts are merely read."""
    began = time.perf_counter()
    for file, start, stop in reads:
        scale = sf.info(file).samplerate / RATE
        first, last = max(round(start * scale), 0), round(stop * scale)
        sf.read(file, start=first, stop=last, dtype="float32", fill_value=0.0)
    return items * SAMPLES / RATE / (time.perf_counter() - began)


def plans(blend: InterleavedDataset, items: int) -> float | None:
    """Seconds of mixture a second of plans alone, one process: what a GPU is fed with."""
    began = time.perf_counter()
    if not all(isinstance(blend[index], RenderPlan) for index in range(items)):
        return None
    return items * SAMPLES / RATE / (time.perf_counter() - began)


def main(
    data: Annotated[list[str], typer.Argument(metavar="FOLDER[,FOLDER]...")],
    items: Annotated[int, typer.Option(min=1, help="Excerpts to count.")] = 400,
    batch: Annotated[int, typer.Option(min=1)] = 4,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    cache: Annotated[Path | None, typer.Option(help="As --cache of audiomask train.")] = None,
    recorded: Annotated[
        bool, typer.Option(help="Without augmentation: read and mix alone.")
    ] = False,
) -> None:
    """Measure the loaders."""
    torch.set_num_threads(1)
    table = Table(title="seconds of mixture a second")
    for column in ("data", "layout", f"{workers} workers", "no worker", "plain loop", "plans"):
        table.add_column(column, justify="left" if column in ("data", "layout") else "right")
    for argument in data:
        sources = [recognize(name) for name in argument.split(",")]
        names = sorted({stem for source in sources for stem in source.stems} - {"other"})
        varied = NONE if recorded else None
        blend = open_data(sources, names[:4], SAMPLES, 0, augmentation=varied, cache=cache)
        note(f"{argument}: {len(names[:4])} stems, {', '.join(names[:4]) or 'recordings'}")
        helped = loaded(blend, items, batch, workers)
        alone = loaded(blend, items, batch, 0)
        with tempfile.TemporaryDirectory() as folder:
            reads = watched(blend, items) or stored(blend, items, Path(folder))
            peer = plain(reads, items)
        made = plans(blend, items)
        numbers = [f"{value:,.0f}" for value in (helped, alone, peer)]
        layout = " + ".join(source.layout for source in sources)
        label = ", ".join(source.folder.name for source in sources)
        table.add_row(label, layout, *numbers, "" if made is None else f"{made:,.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
