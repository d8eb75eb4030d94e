"""What is done with the data instead of a run: packing it as shards, or a preview."""

from __future__ import annotations

from pathlib import Path

import torch

from audiomask.data.interleave import InterleavedDataset
from audiomask.data.shards.packing import pack
from audiomask.data.survey import HEADINGS, rows
from audiomask.page.parts import Table
from audiomask.runtime import distributed
from audiomask.runtime.console import progress_bars, stderr_console
from audiomask.training.options import TrainOptions
from audiomask.training.preview import write_preview
from audiomask.training.run_setup import RunSetup, survey


def pack_data(options: TrainOptions, out: Path) -> int:
    """Write the data as tar shards and train nothing; returns 0 steps.

    Raises:
        DataError: it cannot be packed, or the folder cannot be written.
    """
    sources = survey(options)
    with progress_bars(shown=not options.quiet) as bar:
        line = bar.add_task("segments", total=None)
        packed = pack(
            sources,
            out,
            seed=options.seed,
            threads=options.threads,
            progress=lambda done, total: bar.update(line, completed=done, total=total),
        )
    shards = packed.manifest.shards
    console = stderr_console(options.quiet)
    console.print(f"{len(shards)} shards in {out}; train with --data {out}")
    if packed.left_out:
        console.print(f"left out, being unreadable: {', '.join(packed.left_out)}", highlight=False)
    return 0


def preview(setup: RunSetup, dataset: InterleavedDataset, model: torch.nn.Module) -> int:
    """Write a page of training excerpts, and print the amount of data; returns 0 steps."""
    options, train_config = setup.options, setup.train_config
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    items = (
        train_config.steps
        * train_config.batch_size
        * train_config.accumulate
        * distributed.world_size()
    )
    seconds = dataset.samples / dataset.sample_rate
    amount = (
        f"{size / 1e6:.1f} M parameters; {train_config.steps:,} steps take {items:,} excerpts of "
        f"{seconds:.1f} s: {items * seconds / 3600:,.1f} h of audio"
    )
    problems = [f"{source.where}: {why}" for source in setup.sources for why in source.problems]
    files = write_preview(
        dataset.excerpt,
        dataset.names,
        options.out / "dry-run",
        sample_rate=dataset.sample_rate,
        tables=[Table("Data", HEADINGS, rows(setup.sources))],
        notes=[amount, *problems],
    )
    console = stderr_console(options.quiet)
    console.print(amount)
    console.print(f"{len(files)} files in {options.out / 'dry-run'}; nothing was trained")
    return 0
