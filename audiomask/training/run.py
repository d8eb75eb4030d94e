"""Runs: what ``audiomask train`` does, from options to a finished checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audiomask.checkpoint import bundled_folder, load_checkpoint, load_weights, restore
from audiomask.device import choose_device
from audiomask.errors import ConfigError, UsageError
from audiomask.mlm import build_mlm
from audiomask.mlm.config import STEMS
from audiomask.training.cache import TokenCache
from audiomask.training.data import Augmentation, Blend, open_data
from audiomask.training.data.layouts import recognise
from audiomask.training.data.survey import show
from audiomask.training.data.tracks import Source, signature
from audiomask.training.feed import Feed, feed_of
from audiomask.training.loop import Schedule, train
from audiomask.training.mlm import MLMTask, Scenes
from audiomask.training.options import TrainOptions
from audiomask.training.preview import write_preview
from audiomask.training.vqvae import Crops, VQVAETask
from audiomask.vqvae import build_vqvae

#: seconds of an excerpt that crops are cut from, and how many
EXCERPT_SECONDS = 6.0
CROPS = 6


def train_vqvae(options: TrainOptions) -> int:
    """Train a VQ-VAE; returns the step reached.

    Raises:
        AudiomaskError: of data, configuration, checkpoint or a loss that is not finite.
    """
    prepare(options)
    init = load_checkpoint(options.init, "vqvae") if options.init else None
    preset, base = (options.preset, {}) if init is None else (init.preset, init.config)
    plan = build_vqvae(preset, base).config
    model_settings, schedule_settings, augmentation_settings = split(
        options.overrides, plan, Schedule(1, 1), Augmentation()
    )
    model = build_vqvae(preset, base | model_settings)
    if init is not None:
        load_weights(model, init)
    rate, hop = model.config.sample_rate, model.config.hop_length
    sources = survey(options)
    blend = open_data(
        sources,
        # which stem is which makes no difference here: those of the data
        sorted({stem for source in sources for stem in source.stems}) or STEMS,
        round(EXCERPT_SECONDS * rate),
        options.seed,
        augmentation=Augmentation(**augmentation_settings),
        cache=options.cache,
    )
    schedule = schedule_of(options, Schedule(steps=20_000, batch_size=2), schedule_settings)
    if options.dry_run:
        return preview(options, blend, model, schedule)
    crops = Crops(round(0.75 * rate / hop) * hop, CROPS, options.seed)
    task = VQVAETask(model, preset, {"data": [path.name for path in options.data]})
    feed = feed_of(blend, crops, choose_device(options.device))
    return train(task, feed, schedule, options.out, **how(options))


def train_mlm(options: TrainOptions) -> int:
    """Train a masked language model on the tokens of a VQ-VAE; returns the step reached.

    Raises:
        AudiomaskError: of data, configuration, checkpoint or a loss that is not finite.
    """
    prepare(options)
    source = load_checkpoint(options.vqvae or bundled_folder() / "vqvae", "vqvae")
    vqvae = restore(source, build_vqvae)
    codebooks = vqvae.codebooks()
    belongs = {
        "levels": codebooks.shape[0],
        "codebook_size": codebooks.shape[1],
        "code_dim": codebooks.shape[2],
        "hop_length": vqvae.config.hop_length,
        "sample_rate": vqvae.config.sample_rate,
    }
    init = load_checkpoint(options.init, "mlm") if options.init else None
    base = belongs if init is None else init.config
    plan = build_mlm(options.preset, base).config
    model_settings, schedule_settings, augmentation_settings = split(
        options.overrides, plan, Schedule(1, 1), Augmentation()
    )
    model = build_mlm(options.preset, base | model_settings, codebooks)
    if init is not None:
        load_weights(model, init)
    augmentation = Augmentation(**augmentation_settings)
    sources = survey(options)
    blend = open_data(
        sources,
        model.config.stems,
        model.config.window * model.config.hop_length,
        options.seed,
        augmentation=augmentation,
        cache=options.cache,
        need_stems=True,
    )
    schedule = schedule_of(options, Schedule(steps=20_000, batch_size=4), schedule_settings)
    if options.dry_run:
        return preview(options, blend, model, schedule)
    device = choose_device(options.device)
    scenes = Scenes(model.config, vqvae.to(device), options.seed)
    if options.keep_tokens is None:
        feed = feed_of(blend, scenes, device)
    else:
        identity = {
            "vqvae": source.fingerprint,
            "data": signature(sources),
            "seed": options.seed,
            "stems": list(model.config.stems),
            "window": model.config.window,
            "bands": model.config.bands,
            "band_stft": model.config.band_stft,
            "augmentation": dataclasses.asdict(augmentation),
        }
        feed = kept(options, identity, scenes, blend, device)
    notes = {
        "vqvae": source.fingerprint,
        "data": [path.name for path in options.data],
    }
    task = MLMTask(model, options.preset, notes)
    return train(task, feed, schedule, options.out, **how(options))


def survey(options: TrainOptions) -> list[Source]:
    """What is in the data folders, told on stderr as well.

    Raises:
        DataError: a folder is of no known layout.
    """
    sources = [recognise(folder) for folder in options.data]
    if not options.quiet:
        show(sources, Console(stderr=True))
    return sources


def preview(options: TrainOptions, blend: Blend, model: torch.nn.Module, schedule: Schedule) -> int:
    """Write a page of what would be trained on, and say how much that is; returns 0 steps."""
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    hours = schedule.steps * schedule.batch_size * blend.samples / 44100 / 3600
    files = write_preview(blend.excerpt, blend.names, options.out / "dry-run")
    console = Console(stderr=True, quiet=options.quiet)
    console.print(
        f"{size / 1e6:.1f} M parameters; {schedule.steps:,} steps of {schedule.batch_size} "
        f"excerpts of {blend.samples / 44100:.1f} s are {hours:,.1f} h of audio"
    )
    console.print(f"{len(files)} files in {options.out / 'dry-run'}; nothing was trained")
    return 0


def kept(
    options: TrainOptions,
    identity: Mapping[str, Any],
    scenes: Scenes,
    blend: Blend,
    device: torch.device,
) -> Feed:
    """A feed of scenes that are coded once and kept; made here as far as they are missing.

    Raises:
        UsageError: there is no folder to keep them in.
        DataError: the folder cannot be used.
    """
    if options.cache is None or options.keep_tokens is None:
        raise UsageError("--keep-tokens needs a folder to keep them in: add --cache DIR")
    cache = TokenCache(options.cache, identity, options.keep_tokens, scenes)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=options.quiet
    ) as progress:
        task = progress.add_task("tokens", total=cache.items)
        for done in cache.fill(blend, device, options.workers):
            progress.update(task, completed=done)
    return cache.feed()


def prepare(options: TrainOptions) -> None:
    """Check where the run goes, and set the number of threads.

    Raises:
        UsageError: the folder holds another run, and --resume was not asked for.
    """
    fresh = not (options.resume or options.dry_run)
    if fresh and (options.out / "state.safetensors").exists():
        raise UsageError(f"{options.out}: holds a run already; --resume it or name another folder")
    if options.threads:
        torch.set_num_threads(options.threads)
    # a model starts from the same weights when the seed is the same
    torch.manual_seed(options.seed)


def how(options: TrainOptions) -> dict[str, Any]:
    """The loop's arguments that do not depend on the model."""
    device = choose_device(options.device)
    precision = options.precision
    if precision == "auto":
        fast = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
        precision = "bf16" if fast else "fp32"
    return {
        "device": device,
        "precision": precision,
        "workers": options.workers,
        "seed": options.seed,
        "max_time": options.max_time,
        "resume": options.resume,
        "quiet": options.quiet,
    }


def schedule_of(options: TrainOptions, default: Schedule, settings: Mapping[str, Any]) -> Schedule:
    """The preset's schedule with the options over it."""
    given = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "save_every": options.save_every,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(default, **(dict(settings) | chosen))


def convert(text: str, kind: type) -> Any:
    """What a setting of type ``kind`` is when written as ``text``; raises ValueError."""
    if kind is bool:
        return text.lower() in ("1", "true", "yes")
    return text.split(",") if kind is tuple else kind(text)


def split(overrides: Mapping[str, str], *configs: Any) -> list[dict[str, Any]]:
    """Sort ``key=value`` settings by the configuration that has the key, converted to its type.

    Raises:
        ConfigError: no configuration has the key, or the value does not fit.
    """
    found: list[dict[str, Any]] = [{} for _ in configs]
    for key, text in overrides.items():
        for config, settings in zip(configs, found, strict=True):
            fields = {field.name for field in dataclasses.fields(config)}
            if key not in fields:
                continue
            kind = type(getattr(config, key))
            try:
                settings[key] = convert(text, kind)
            except ValueError as error:
                raise ConfigError(f"--set {key}: '{text}' is no {kind.__name__}") from error
            break
        else:
            raise ConfigError(f"--set {key}: no such setting")
    return found
