"""``audiomask train``: train a VQ-VAE or a masked language model from a folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audiomask.cli.options import Common
from audiomask.errors import UsageError
from audiomask.training.options import TrainOptions, parse_overrides, parse_time


class Kind(StrEnum):
    """What to train."""

    vqvae = "vqvae"
    mlm = "mlm"


class Preset(StrEnum):
    """The sizes and recipes that come with the project."""

    default = "default"
    paper = "paper"


class Precision(StrEnum):
    """The number format of the heavy products."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def train(
    common: Common,
    kind: Annotated[Kind, typer.Argument(metavar="vqvae|mlm", help="What to train.")],
    data: Annotated[
        list[Path], typer.Option("--data", metavar="DIR", help="Folder of data; repeatable.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the checkpoint.")
    ],
    preset: Annotated[Preset, typer.Option("--preset")] = Preset.default,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="Steps in all.")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", metavar="TIME", help="Stop and save after 90s, 9m or 1h30m."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run saved in --out.")
    ] = False,
    precision: Annotated[Precision, typer.Option("--precision")] = Precision.auto,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=0, help="Processes that load data.")
    ] = 0,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", min=1, help="Examples a step.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0)] = 0,
    save_every: Annotated[
        int | None,
        typer.Option("--save-every", metavar="N", min=1, help="Steps between checkpoints."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option("--init", metavar="DIR", help="Checkpoint to start from.")
    ] = None,
    vqvae: Annotated[
        Path | None,
        typer.Option("--vqvae", metavar="DIR", help="VQ-VAE whose tokens the mlm learns."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Keep decoded notes, rendered SoundFonts and tokens here.",
        ),
    ] = None,
    keep_tokens: Annotated[
        int | None,
        typer.Option(
            "--keep-tokens",
            metavar="N",
            min=1,
            help="Train the mlm on N excerpts, coded once and kept in --cache.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be trained on: a table here, sounds and pictures in OUT/dry-run.",
        ),
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeatable."),
    ] = None,
) -> int:
    """Train a VQ-VAE or a masked language model.

    --data takes Slakh2100, MUSDB18-HQ, folders of stems or of songs with stems, a note bank or
    SoundFonts (bands are made of them, after MIDI files in a further --data), or, for a VQ-VAE,
    any folder of recordings; a table says what was found.
    """
    options = TrainOptions(
        data=tuple(data),
        out=out,
        preset=preset.value,
        steps=steps,
        max_time=None if max_time is None else parse_time(max_time),
        resume=resume,
        precision=precision.value,
        workers=workers,
        batch_size=batch_size,
        seed=seed,
        save_every=save_every,
        init=init,
        vqvae=vqvae,
        cache=cache,
        keep_tokens=keep_tokens,
        dry_run=dry_run,
        overrides=parse_overrides(overrides or []),
        device=common.device,
        threads=common.threads,
        quiet=common.quiet,
    )
    _check(kind, options)

    from audiomask.training.run import train_mlm, train_vqvae

    if kind is Kind.vqvae:
        train_vqvae(options)
    else:
        train_mlm(options)
    return 0


def _check(kind: Kind, options: TrainOptions) -> None:
    """Raise UsageError for what can be seen to be wrong before any work."""
    for folder in options.data:
        if not folder.is_dir():
            raise UsageError(f"--data {folder} is not a folder")
    if kind is Kind.vqvae and options.vqvae is not None:
        raise UsageError("--vqvae belongs to 'train mlm'; --init names a checkpoint to start from")
    if kind is Kind.vqvae and options.keep_tokens is not None:
        raise UsageError("--keep-tokens belongs to 'train mlm'")
    if options.keep_tokens is not None and options.cache is None:
        raise UsageError("--keep-tokens needs a folder to keep them in: add --cache DIR")
    if options.resume and options.init is not None:
        raise UsageError("--resume and --init exclude each other")
    for name, checkpoint in (("--init", options.init), ("--vqvae", options.vqvae)):
        if checkpoint is not None and not checkpoint.is_dir():
            raise UsageError(f"{name} {checkpoint} is not a folder")
    out = options.out
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a folder")
    if (out / "config.json").exists() and not (options.resume or options.dry_run):
        raise UsageError(f"--out {out} holds a checkpoint: --resume its run or name another folder")
