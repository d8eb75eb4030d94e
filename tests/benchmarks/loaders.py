"""Speed of the training data, compared with a loop of soundfile.read over the same excerpts.

    python tests/benchmarks/loaders.py NOTES MIDI,NOTES SLAKH MUSIC SHARDS --workers 2

One row for every argument: one or several folders or addresses of ``audiomask train --data``,
separated by commas. The speeds are seconds of mixture a second, of the loader with workers, of the
loader without workers, and of a plain loop that only reads the same files. Bands and shards read no
files; for them the loop reads rendered stems from FLAC files.
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
    """A batch builder that returns the excerpts."""

    def sample(self, index: int) -> torch.Tensor:
        """Unused."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: torch.Tensor) -> Excerpt:
        """The excerpts."""
        return excerpts


def loaded(dataset: InterleavedDataset, items: int, batch: int, workers: int) -> float:
    """Speed of a loader after its start."""
    loader = DataLoader(
        RankSlice(SeededItems(dataset, Everything()), 0, batch * max(workers, 1) + items, batch),
        batch_size=batch,
        collate_fn=CpuCollate(dataset, Everything()),
        num_workers=workers,
    )
    began, counted = 0.0, -batch * max(workers, 1)
    for excerpts in loader:
        counted += len(excerpts.mixture)
        if counted == 0:
            began = time.perf_counter()
    return items * SAMPLES / RATE / (time.perf_counter() - began)


def watched(dataset: InterleavedDataset, items: int) -> list[Read]:
    """The spans that the first items read: file, and samples [first, last) at 44.1 kHz."""
    found: list[Read] = []
    original = reading.read_span

    def read(file: Path, start: int, stop: int, sample_rate: int = RATE) -> torch.Tensor:
        found.append((file, start, stop))
        return original(file, start, stop, sample_rate)

    reading.read_span = read
    try:
        for index in range(items):
            dataset.excerpt(index)
    finally:
        reading.read_span = original
    return found


def stored(dataset: InterleavedDataset, items: int, folder: Path) -> list[Read]:
    """The spans of FLAC files of the first items' stems, which are written to a folder."""
    found = []
    for index in range(items):
        for number, stem in enumerate(dataset.excerpt(index).stems):
            if stem.any():
                file = folder / f"{index}-{number}.flac"
                sf.write(file, stem.T.numpy(), RATE)
                found.append((file, 0, SAMPLES))
    return found


def plain(reads: Sequence[Read], items: int) -> float:
    """Speed of reading spans by soundfile."""
    began = time.perf_counter()
    for file, start, stop in reads:
        scale = sf.info(file).samplerate / RATE
        first, last = max(round(start * scale), 0), round(stop * scale)
        sf.read(file, start=first, stop=last, dtype="float32", fill_value=0.0)
    return items * SAMPLES / RATE / (time.perf_counter() - began)


def plans(dataset: InterleavedDataset, items: int) -> float | None:
    """Speed of making plans in one process, without rendering; None if not all items are plans."""
    began = time.perf_counter()
    if not all(isinstance(dataset[index], RenderPlan) for index in range(items)):
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
    """Measure the speed of the training data."""
    torch.set_num_threads(1)
    table = Table(title="seconds of mixture a second")
    for column in ("data", "layout", f"{workers} workers", "no worker", "plain loop", "plans"):
        table.add_column(column, justify="left" if column in ("data", "layout") else "right")
    for argument in data:
        sources = [recognize(name) for name in argument.split(",")]
        names = sorted({stem for source in sources for stem in source.stems} - {"other"})
        varied = NONE if recorded else None
        dataset = open_data(sources, names[:4], SAMPLES, 0, augmentation=varied, cache=cache)
        note(f"{argument}: {len(names[:4])} stems, {', '.join(names[:4]) or 'recordings'}")
        helped = loaded(dataset, items, batch, workers)
        alone = loaded(dataset, items, batch, 0)
        with tempfile.TemporaryDirectory() as folder:
            reads = watched(dataset, items) or stored(dataset, items, Path(folder))
            peer = plain(reads, items)
        made = plans(dataset, items)
        numbers = [f"{value:,.0f}" for value in (helped, alone, peer)]
        layout = " + ".join(source.layout for source in sources)
        label = ", ".join(source.folder.name for source in sources)
        table.add_row(label, layout, *numbers, "" if made is None else f"{made:,.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
