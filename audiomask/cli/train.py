"""``audiomask train``: train a model of any kind from a folder."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomask.cli.options import Common
from audiomask.data.places import place_of
from audiomask.errors import ConfigError, UsageError
from audiomask.kinds import KINDS, Kind, kind_of
from audiomask.training.options import (
    BUNDLED,
    LEAST,
    TrainOptions,
    parse_batch_size,
    parse_overrides,
    parse_time,
)
from audiomask.training.runfile import merge, read_run, saved_run

#: the presets of every kind, in words
PRESETS = "; ".join(f"{kind.name}: {', '.join(kind.presets)}" for kind in KINDS.values())


class Precision(StrEnum):
    """The number format of the heavy products."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def _option(panel: str, names: str, help: str, metavar: str | None = None) -> Any:
    """An option in a panel of the help; one that counts (N) begins where ``LEAST`` says."""
    least = LEAST[names.removeprefix("--").replace("-", "_")] if metavar == "N" else None
    return typer.Option(
        *names.split(), help=help, metavar=metavar, min=least, rich_help_panel=panel
    )


_data = partial(_option, "What to learn from")
_run = partial(_option, "The run")
_recipe = partial(_option, "Settings")
_speed = partial(_option, "Speed and memory")


def train(
    common: Common,
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="What to train.")],
    data: Annotated[
        list[str] | None, _data("--data", "Folder, or address of shards; repeatable.", "DIR")
    ] = None,
    vqvae: Annotated[
        Path | None, _data("--vqvae", "VQ-VAE whose tokens the mlm learns.", "DIR")
    ] = None,
    init: Annotated[
        Path | None, _data("--init", "Checkpoint to start from; 'bundled': audiomask's own.", "DIR")
    ] = None,
    cache: Annotated[
        Path | None,
        _data("--cache", "Keep decoded notes, rendered SoundFonts and tokens here.", "DIR"),
    ] = None,
    keep_tokens: Annotated[
        int | None,
        _data("--keep-tokens", "Train the mlm on N excerpts, coded once, kept in --cache.", "N"),
    ] = None,
    dry_run: Annotated[
        bool,
        _data(
            "--dry-run",
            "Only show what would be learnt: a table here, sounds and pictures in OUT/dry-run.",
        ),
    ] = False,
    pack: Annotated[
        Path | None, _data("--pack", "Only write the data as tar shards into DIR.", "DIR")
    ] = None,
    out: Annotated[Path | None, _run("--out -o", "Folder of the checkpoint.", "DIR")] = None,
    steps: Annotated[int | None, _run("--steps", "Steps in all.", "N")] = None,
    max_time: Annotated[
        str | None,
        _run(
            "--max-time",
            "Stop and save after 90s, 9m or 1h30m; without --steps, plan for that.",
            "TIME",
        ),
    ] = None,
    resume: Annotated[
        bool, _run("--resume", "Go on with the run in --out, as its run.toml says.")
    ] = False,
    save_every: Annotated[
        int | None, _run("--save-every", "Steps between checkpoints.", "N")
    ] = None,
    validate_every: Annotated[
        int | None, _run("--validate-every", "Steps between validations.", "N")
    ] = None,
    tensorboard: Annotated[
        bool, _run("--tensorboard/--no-tensorboard", "Write TensorBoard's files, too.")
    ] = False,
    config: Annotated[
        Path | None,
        _recipe("--config", "TOML file of options and settings; those given here win.", "FILE"),
    ] = None,
    preset: Annotated[
        str,
        _recipe("--preset", f"Sizes and recipe of the model: {PRESETS}.", "NAME"),
    ] = "default",
    overrides: Annotated[
        list[str] | None, _recipe("--set", "Change one setting; repeatable.", "KEY=VALUE")
    ] = None,
    seed: Annotated[
        int, _recipe("--seed", "Decides first weights and the order of data.", "N")
    ] = 0,
    batch_size: Annotated[
        str | None,
        _speed("--batch-size", "Excerpts at once; auto: as many as a GPU holds.", "N|auto"),
    ] = None,
    accumulate: Annotated[
        int | None, _speed("--accumulate", "Batches that make a step (default: 1).", "N")
    ] = None,
    precision: Annotated[
        Precision, _speed("--precision", "Of the heavy products; auto: fast and safe here.")
    ] = Precision.auto,
    compile: Annotated[
        bool | None,
        _speed("--compile/--no-compile", "Compile the model first (default: where it helps)."),
    ] = None,
    shard: Annotated[
        bool, _speed("--shard/--no-shard", "Spread a large model over torchrun's GPUs (FSDP).")
    ] = False,
    workers: Annotated[int, _speed("--workers", "Processes that load data.", "N")] = 0,
) -> int:
    """Train a model: a VQ-VAE, a masked language model or a mask U-Net.

    --data takes Slakh2100, MUSDB18-HQ, folders of stems or of songs with stems, a note bank or
    SoundFonts (bands are made of them, after MIDI files in a further --data), or, for a VQ-VAE,
    any folder of recordings; a table says what was found.

    A --config file holds the options below by their long names (data = ["notes"], steps = 1000)
    and, in tables [model], [schedule] and [augmentation], what --set changes. The run.toml that
    a run leaves in --out is such a file.
    """
    entry = kind_of(kind)
    asked: dict[str, Any] = {
        "data": tuple(place_of(text) for text in data or ()),
        "vqvae": vqvae,
        "init": init,
        "cache": cache,
        "keep_tokens": keep_tokens,
        "dry_run": dry_run,
        "pack": pack,
        "out": out,
        "steps": steps,
        "max_time": None if max_time is None else parse_time(max_time),
        "resume": resume,
        "save_every": save_every,
        "validate_every": validate_every,
        "tensorboard": tensorboard,
        "preset": preset,
        "seed": seed,
        "batch_size": None if batch_size is None else parse_batch_size(batch_size),
        "accumulate": accumulate,
        "precision": precision.value,
        "compile": compile,
        "shard": shard,
        "workers": workers,
        "device": common.device,
        "threads": common.threads,
        "quiet": common.quiet,
    }
    given = {name: value for name, value in asked.items() if _stands(context, name)}
    chosen = _chosen(kind, config, given)
    options = TrainOptions(**(asked | chosen), overrides=parse_overrides(overrides or []))
    try:
        dataclasses.replace(common, device=options.device).check()
    except UsageError as error:
        raise ConfigError(f"{options.files[-1].path}: {error}") from error
    _check(entry, options)

    from audiomask.training.run import train_kind

    train_kind(kind, options)
    return 0


def _stands(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, be it with its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _chosen(kind: str, config: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``given`` on the command line and, below it, run files say, with these as ``files``.

    A run that is gone on with has its own run.toml below all: what is not said again stays.

    Raises:
        ConfigError: of a file.
        UsageError: there is no data, nowhere to write, or a checkpoint must be named again.
    """
    files = [] if config is None else [read_run(config, kind)]
    chosen = merge(files, given)
    # shards are all that packing writes
    out = chosen.setdefault("out", chosen.get("pack"))
    if out is None:
        raise UsageError("nowhere to write: add --out DIR, or 'out' to a --config file")
    saved = saved_run(out, kind) if chosen.get("resume") else None
    if saved is not None:
        files.insert(0, saved)
        chosen = merge(files, given) | {"out": out}
        for name in ("batch_size", "precision"):
            # as they were found when the run began, not as they would be found now
            if chosen.get(name) == "auto":
                chosen[name] = saved.options.get(name, "auto")
    if chosen.get("resume") and "init" not in given:
        # what a file says the run begins with: it has begun
        chosen["init"] = None
    if not chosen.get("data"):
        raise UsageError("nothing to learn from: add --data DIR, or 'data' to a --config file")
    for file in files:
        for name in ("vqvae", "init"):
            begun = name == "init" and chosen.get("resume")
            if name in file.origin and not begun and not chosen.get(name):
                raise UsageError(
                    f"{file.path}: its run used a checkpoint '{file.origin[name]}': add "
                    f"--{name} DIR, or take '{name}' out of [origin]"
                )
    return chosen | {"files": tuple(files)}


def _check(kind: Kind, options: TrainOptions) -> None:
    """Raise UsageError for what can be seen to be wrong before any work."""
    for place in options.data:
        if isinstance(place, Path) and not place.is_dir():
            raise UsageError(f"--data {place} is not a folder")
    if options.vqvae is not None and "vqvae" not in kind.requires:
        owners = " or ".join(f"'train {k.name}'" for k in KINDS.values() if "vqvae" in k.requires)
        raise UsageError(f"--vqvae belongs to {owners}; --init names a checkpoint to start from")
    if options.preset not in kind.presets:
        owners = ", ".join(k.name for k in KINDS.values() if options.preset in k.presets) or "none"
        raise UsageError(
            f"--preset {options.preset} is not of 'train {kind.name}', which has "
            f"{', '.join(kind.presets)} (kinds that have it: {owners})"
        )
    if options.keep_tokens is not None and not kind.requires:
        raise UsageError("--keep-tokens is for kinds that learn tokens, such as 'train mlm'")
    if options.keep_tokens is not None and options.cache is None:
        raise UsageError("--keep-tokens needs a folder to keep them in: add --cache DIR")
    if options.resume and options.init is not None:
        raise UsageError("--resume and --init exclude each other")
    init = None if options.init == BUNDLED else options.init
    for name, checkpoint in (("--init", init), ("--vqvae", options.vqvae)):
        if checkpoint is not None and not checkpoint.is_dir():
            raise UsageError(f"{name} {checkpoint} is not a folder")
    if options.pack is not None and (options.resume or options.dry_run):
        raise UsageError("--pack trains nothing: it excludes --resume and --dry-run")
    out = options.out
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a folder")
    fresh = not (options.resume or options.dry_run or options.pack)
    if fresh and (out / "config.json").exists():
        raise UsageError(f"--out {out} holds a checkpoint: --resume its run or name another folder")
