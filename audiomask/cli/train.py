"""``audiomask train``: train a model of any kind from a folder."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomask.cli.options import Common, takes
from audiomask.errors import ConfigError, UsageError
from audiomask.kinds import KINDS, Kind, kind_of
from audiomask.training.options import BUNDLED, TrainOptions, parse_overrides
from audiomask.training.runfile import merge, read_run, saved_run


@takes(TrainOptions)
def train(
    common: Common,
    context: typer.Context,
    asked: dict[str, Any],
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="What to train.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML file of options and settings; those given here win.",
            metavar="FILE",
            rich_help_panel="Settings",
        ),
    ] = None,
) -> int:
    """Train a model, such as a VQ-VAE, a masked language model or a mask U-Net, from a folder.

    --data takes Slakh2100, MUSDB18-HQ, folders of stems or of songs with stems, a note bank or
    SoundFonts (bands are made of them, after MIDI files in a further --data), and any folder of
    recordings, for mlm and masks beside one of these; a table says what was found.

    A --config file holds the options below by their long names (data = ["notes"], steps = 1000)
    and, in tables [model], [schedule] and [augmentation], what --set changes. The run.toml that
    a run leaves in --out is such a file.
    """
    entry = kind_of(kind)
    asked |= {"device": common.device, "threads": common.threads, "quiet": common.quiet}
    asked["overrides"] = parse_overrides(asked["overrides"])
    given = {name: value for name, value in asked.items() if _stands(context, name)}
    chosen = _chosen(kind, config, given)
    options = TrainOptions(**(asked | chosen))
    try:
        dataclasses.replace(common, device=options.device).check()
    except UsageError as error:
        raise ConfigError(f"{options.files[-1].path}: {error}") from error
    _check(entry, options, given)

    from audiomask.training.run import train_kind

    train_kind(kind, options)
    return 0


def _stands(context: typer.Context, name: str) -> bool:
    """Whether an option is given on the command line, even with its default value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _chosen(kind: str, config: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the command line over those of run files, with these files as ``files``.

    A resumed run has its own run.toml below all: its options stay unless they are given again.

    Raises:
        ConfigError: of a file.
        UsageError: there is no data, nowhere to write, or a checkpoint must be named again.
    """
    files = [] if config is None else [read_run(config, kind)]
    chosen = merge(files, given)
    # --pack writes shards and nothing else
    out = chosen.setdefault("out", chosen.get("pack"))
    if out is None:
        raise UsageError("nowhere to write: add --out DIR, or 'out' to a --config file")
    saved = saved_run(out, kind) if chosen.get("resume") else None
    if saved is not None:
        files.insert(0, saved)
        chosen = merge(files, given) | {"out": out}
        for name in ("batch_size", "precision"):
            # the value that was found when the run began, not one found now
            if chosen.get(name) == "auto":
                chosen[name] = saved.options.get(name, "auto")
    if chosen.get("resume") and "init" not in given:
        # a resumed run has begun already
        chosen["init"] = None
    if not chosen.get("data"):
        raise UsageError("nothing to learn from: add --data DIR, or 'data' to a --config file")
    for file in files:
        for name in ("vqvae", "spectrogram", "init"):
            begun = name == "init" and chosen.get("resume")
            if name in file.origin and not begun and not chosen.get(name):
                raise UsageError(
                    f"{file.path}: its run used a checkpoint '{file.origin[name]}': add "
                    f"--{name} DIR, or take '{name}' out of [origin]"
                )
    return chosen | {"files": tuple(files)}


def _check(kind: Kind, options: TrainOptions, given: Mapping[str, Any]) -> None:
    """Raise UsageError for options that are wrong whatever the data is.

    Args:
        kind: what is trained.
        options: the run.
        given: the options given on the command line, by field.
    """

    def name(field: str) -> str:
        """The name of an option where it was set: ``--out``, or ``run.toml: out``."""
        files = [] if field in given else [f.path for f in options.files if field in f.options]
        return f"{files[-1]}: {field}" if files else f"--{field.replace('_', '-')}"

    for place in options.data:
        if isinstance(place, Path) and not place.is_dir():
            raise UsageError(f"{name('data')} {place} is not a folder")
    _check_stage(kind, options, name)
    for other in ("vqvae", "spectrogram"):
        learners = [k.name for k in KINDS.values() if other in (*k.requires, *k.learns_from)]
        if getattr(options, other) is not None and kind.name not in learners:
            owners = " or ".join(f"'train {learner}'" for learner in learners)
            raise UsageError(
                f"{name(other)} belongs to {owners}; --init names a checkpoint to start from"
            )
    if options.preset not in kind.presets:
        owners = ", ".join(k.name for k in KINDS.values() if options.preset in k.presets) or "none"
        raise UsageError(
            f"{name('preset')} {options.preset} is not of 'train {kind.name}', which has "
            f"{', '.join(kind.presets)} (kinds that have it: {owners})"
        )
    if options.keep_tokens is not None and not kind.requires:
        owners = " and ".join(f"'train {other.name}'" for other in KINDS.values() if other.requires)
        raise UsageError(f"{name('keep_tokens')} is for kinds that learn tokens: {owners}")
    if options.keep_tokens is not None and options.cache is None:
        raise UsageError(f"{name('keep_tokens')} needs a folder to keep them in: add --cache DIR")
    if options.resume and options.init is not None:
        raise UsageError("--resume and --init exclude each other")
    init = None if options.init == BUNDLED else options.init
    places = {"init": init, "vqvae": options.vqvae, "spectrogram": options.spectrogram}
    for field, checkpoint in places.items():
        if checkpoint is not None and not checkpoint.is_dir():
            raise UsageError(f"{name(field)} {checkpoint} is not a folder")
    if options.pack is not None and (options.resume or options.dry_run):
        raise UsageError("--pack trains nothing: it excludes --resume and --dry-run")
    out = options.out
    if out.exists() and not out.is_dir():
        raise UsageError(f"{name('out')} {out} is a file: name a folder")
    fresh = not (options.resume or options.dry_run or options.pack)
    if fresh and (out / "config.json").exists():
        raise UsageError(
            f"{name('out')} {out} holds a checkpoint: --resume its run or name another folder"
        )


def _check_stage(kind: Kind, options: TrainOptions, name: Callable[[str], str]) -> None:
    """Raise UsageError for a stage that the kind does not have, or checkpoints it does not read.

    Args:
        kind: what is trained.
        options: the run.
        name: tells the name of an option where it was set.
    """
    known = ", ".join(kind.stages)
    if options.stage is None:
        if kind.stages and options.pack is None:
            raise UsageError(f"'train {kind.name}' trains one stage at a time: add --stage {known}")
        return
    if not kind.stages:
        owners = " or ".join(f"'train {k.name}'" for k in KINDS.values() if k.stages)
        raise UsageError(f"{name('stage')} belongs to {owners}")
    if options.stage not in kind.stages:
        raise UsageError(f"{name('stage')} {options.stage}: 'train {kind.name}' has {known}")
    for other in kind.requires:
        if getattr(options, other) is not None and other not in kind.stages[options.stage]:
            readers = " or ".join(s for s, needed in kind.stages.items() if other in needed)
            raise UsageError(f"{name(other)} is read by the stages {readers}, not {options.stage}")
