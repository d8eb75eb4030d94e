"""Runs: what ``audiomask train`` does, from options to a finished checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from audiomask.checkpoint import bundled_folder, load_checkpoint, load_weights, restore
from audiomask.device import choose_device
from audiomask.errors import ConfigError, UsageError
from audiomask.mlm import build_mlm
from audiomask.mlm.config import STEMS
from audiomask.training.data import open_data
from audiomask.training.loop import Schedule, train
from audiomask.training.mlm import MLMTask, Scenes
from audiomask.training.options import TrainOptions
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
    model_settings, schedule_settings = split(options.overrides, plan, Schedule(1, 1))
    model = build_vqvae(preset, base | model_settings)
    if init is not None:
        load_weights(model, init)
    hop = model.config.hop_length
    crop = round(0.75 * model.config.sample_rate / hop) * hop
    excerpts = open_data(
        options.data, STEMS, round(EXCERPT_SECONDS * model.config.sample_rate), options.seed
    )
    task = VQVAETask(model, preset, {"data": [path.name for path in options.data]})
    return train(
        task,
        Crops(excerpts, crop, CROPS, options.seed),
        schedule_of(options, Schedule(steps=20_000, batch_size=2), schedule_settings),
        options.out,
        **how(options),
    )


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
    model_settings, schedule_settings = split(options.overrides, plan, Schedule(1, 1))
    model = build_mlm(options.preset, base | model_settings, codebooks)
    if init is not None:
        load_weights(model, init)
    excerpts = open_data(
        options.data,
        model.config.stems,
        model.config.window * model.config.hop_length,
        options.seed,
        need_stems=True,
    )
    notes = {
        "vqvae": source.fingerprint,
        "data": [path.name for path in options.data],
    }
    device = choose_device(options.device)
    # a GPU codes the batch in no time; beside a CPU that trains, the workers have time to spare
    coder = vqvae.eval() if device.type == "cpu" and options.workers else None
    task = MLMTask(model, vqvae.to(device), options.preset, notes)
    return train(
        task,
        Scenes(excerpts, model.config, options.seed, coder),
        schedule_of(options, Schedule(steps=20_000, batch_size=4), schedule_settings),
        options.out,
        **how(options),
    )


def prepare(options: TrainOptions) -> None:
    """Check where the run goes, and set the number of threads.

    Raises:
        UsageError: the folder holds another run, and --resume was not asked for.
    """
    if not options.resume and (options.out / "state.safetensors").exists():
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
