"""Preliminaries: what is done with the data before a run, or instead of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audiomask.data.interleave import InterleavedDataset
from audiomask.data.shards.packing import pack
from audiomask.data.sources import signature
from audiomask.errors import UsageError
from audiomask.runtime import distributed
from audiomask.training.batches import Feed
from audiomask.training.options import TrainOptions
from audiomask.training.preview import write_preview
from audiomask.training.run_setup import Plan, survey
from audiomask.training.tasks.mlm import Scenes
from audiomask.training.token_cache import TokenCache


def pack_data(options: TrainOptions, out: Path) -> int:
    """Write the data as tar shards and train nothing; returns 0 steps.

    Raises:
        DataError: it cannot be packed, or the folder cannot be written.
    """
    sources = survey(options)
    with progress(options.quiet) as bar:
        line = bar.add_task("segments", total=None)
        packed = pack(
            sources,
            out,
            seed=options.seed,
            threads=options.threads,
            progress=lambda done, total: bar.update(line, completed=done, total=total),
        )
    shards = packed.manifest.shards
    console = Console(stderr=True, quiet=options.quiet)
    console.print(f"{len(shards)} shards in {out}; train with --data {out}")
    if packed.left_out:
        console.print(f"left out, being unreadable: {', '.join(packed.left_out)}", highlight=False)
    return 0


def progress(quiet: bool) -> Progress:
    """A bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet)


def preview(plan: Plan, blend: InterleavedDataset, model: torch.nn.Module) -> int:
    """Write a page of what would be trained on, and say how much that is; returns 0 steps."""
    options, schedule = plan.options, plan.schedule
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    items = schedule.steps * schedule.batch_size * schedule.accumulate * distributed.world_size()
    seconds = blend.samples / 44100
    files = write_preview(blend.excerpt, blend.names, options.out / "dry-run")
    console = Console(stderr=True, quiet=options.quiet)
    console.print(
        f"{size / 1e6:.1f} M parameters; {schedule.steps:,} steps take {items:,} excerpts of "
        f"{seconds:.1f} s: {items * seconds / 3600:,.1f} h of audio"
    )
    console.print(f"{len(files)} files in {options.out / 'dry-run'}; nothing was trained")
    return 0


def kept(plan: Plan, fingerprint: str, scenes: Scenes, blend: InterleavedDataset) -> Feed:
    """A feed of scenes that are coded once and kept; made here as far as they are missing.

    Raises:
        UsageError: there is no folder to keep them in.
        DataError: the folder cannot be used.
    """
    options, config = plan.options, scenes.config
    if options.cache is None or options.keep_tokens is None:
        raise UsageError("--keep-tokens needs a folder to keep them in: add --cache DIR")
    identity = {
        "vqvae": fingerprint,
        "data": signature(plan.sources),
        "seed": options.seed,
        "stems": list(config.stems),
        "levels": config.levels,
        "window": config.window,
        "bands": config.bands,
        "band_stft": config.band_stft,
        "band_frames": config.band_frames,
        "augmentation": dataclasses.asdict(plan.augmentation),
    }
    cache = TokenCache(options.cache, identity, options.keep_tokens, scenes)
    with (
        distributed.main_process_first(),
        progress(options.quiet or distributed.rank() != 0) as bar,
    ):
        line = bar.add_task("tokens", total=cache.items)
        for done in cache.fill(blend, plan.device, options.workers):
            bar.update(line, completed=done)
    return cache.feed()
