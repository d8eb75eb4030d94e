"""Runs: what ``audiomask train`` does, from options to a finished checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from audiomask.checkpoint import (
    Checkpoint,
    bundled_folder,
    load_checkpoint,
    load_weights,
    restore,
)
from audiomask.data.augmentation import Augmentation
from audiomask.data.places import name_of
from audiomask.errors import CheckpointError, ConfigError
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.config import STEMS
from audiomask.networks.vqvae import build_vqvae
from audiomask.networks.vqvae.model import VQVAE
from audiomask.runtime import distributed
from audiomask.training.batch_size import largest_batch
from audiomask.training.batches import Feed, feed_of
from audiomask.training.dry_run import kept, pack_data, preview
from audiomask.training.loop import Run, train
from audiomask.training.options import BUNDLED, TrainOptions
from audiomask.training.processes import processes
from audiomask.training.record import describe, record
from audiomask.training.run_setup import Plan, precision_of, prepare, survey
from audiomask.training.schedule import Schedule, plan_time
from audiomask.training.settings import resolve
from audiomask.training.state import seconds_spent
from audiomask.training.task import Task
from audiomask.training.tasks.mlm import MLMTask, Scenes
from audiomask.training.tasks.vqvae import Crops, VQVAETask

#: seconds of an excerpt that crops are cut from, and how many
EXCERPT_SECONDS = 3.0
CROPS = 2
#: excerpts whose crops a VQ-VAE starts from
EXAMPLES = 64


def train_vqvae(options: TrainOptions) -> int:
    """Train a VQ-VAE; returns the step reached.

    Raises:
        AudiomaskError: of data, configuration, checkpoint or a loss that is not finite.
    """
    if options.pack is not None:
        return pack_data(options, options.pack)
    with processes(options.device) as device:
        prepare(options)
        init = starting_point(options, "vqvae")
        preset, base = (options.preset, {}) if init is None else (init.preset, init.config)
        config, schedule, augmentation = resolve(
            options,
            build_vqvae(preset, base).config,
            Schedule(steps=20_000, batch_size=6),
            Augmentation(),
        )
        torch.manual_seed(options.seed)
        model = build_vqvae(preset, dataclasses.asdict(config))
        if init is not None:
            load_weights(model, init)
        sources = survey(options)
        rate, hop = config.sample_rate, config.hop_length
        plan = Plan(
            options, device, schedule, augmentation, sources,
            # which stem is which makes no difference here: those of the data
            sorted({stem for source in sources for stem in source.stems}) or STEMS,
            round(EXCERPT_SECONDS * rate),
            need_stems=False,
        )  # fmt: skip
        blend = plan.open("train")
        if options.dry_run:
            return preview(plan, blend, model)
        crops = Crops(round(0.75 * rate / hop) * hop, CROPS, options.seed)
        if isinstance(model, VQVAE) and init is None and not options.resume:
            examples = feed_of(blend, crops, torch.device("cpu"))
            found = [examples.collate([examples.data[number]]) for number in range(EXAMPLES)]
            model.start(torch.cat(found).flatten(0, 1).to(device))
        task = VQVAETask(model, preset, {"data": [name_of(place) for place in options.data]})
        feed = feed_of(blend, crops, device)
        return carry_out(plan, "vqvae", task, feed, plan.check(crops), config, preset, {})


def train_mlm(options: TrainOptions) -> int:
    """Train a masked language model on the tokens of a VQ-VAE; returns the step reached.

    Raises:
        AudiomaskError: of data, configuration, checkpoint or a loss that is not finite.
    """
    if options.pack is not None:
        return pack_data(options, options.pack)
    with processes(options.device) as device:
        prepare(options)
        source = load_checkpoint(options.vqvae or bundled_folder() / "vqvae", "vqvae")
        vqvae = restore(source, build_vqvae).to(device).eval()
        codebooks = vqvae.codebooks()
        belongs = {
            "codebook_size": codebooks.shape[1],
            "code_dim": codebooks.shape[2],
            "hop_length": vqvae.config.hop_length,
            "sample_rate": vqvae.config.sample_rate,
        }
        init = starting_point(options, "mlm")
        if init is not None and init.notes.get("vqvae") != source.fingerprint:
            raise CheckpointError(
                f"{init.folder}: learned the tokens of another VQ-VAE; name that one with --vqvae"
            )
        preset, base = (options.preset, {}) if init is None else (init.preset, init.config)
        config, schedule, augmentation = resolve(
            options,
            build_mlm(preset, {"levels": len(codebooks)} | base | belongs).config,
            Schedule(steps=20_000, batch_size=8, optimiser="muon", learning_rate=3e-3),
            Augmentation(),
            fixed=belongs,
        )
        if config.levels > len(codebooks):
            raise ConfigError(f"levels is {config.levels}; the VQ-VAE has {len(codebooks)}")
        torch.manual_seed(options.seed)
        codebooks = codebooks[: config.levels].cpu()
        model = build_mlm(preset, dataclasses.asdict(config), codebooks)
        if init is not None:
            load_weights(model, init)
        plan = Plan(
            options, device, schedule, augmentation, survey(options),
            config.stems, config.window * config.hop_length, need_stems=True,
        )  # fmt: skip
        blend = plan.open("train")
        if options.dry_run:
            return preview(plan, blend, model)
        scenes = Scenes(config, vqvae, options.seed)
        feed = feed_of(blend, scenes, device)
        if options.keep_tokens is not None:
            feed = kept(plan, source.fingerprint, scenes, blend)
        notes = {"vqvae": source.fingerprint, "data": [name_of(place) for place in options.data]}
        task = MLMTask(model, preset, notes, vqvae)
        origin = {"vqvae_fingerprint": source.fingerprint}
        return carry_out(plan, "mlm", task, feed, plan.check(scenes), config, preset, origin)


def starting_point(options: TrainOptions, kind: str) -> Checkpoint | None:
    """The checkpoint that ``--init`` names, if there is one.

    Raises:
        CheckpointError: it cannot be read, or is of another kind.
    """
    if options.init is None:
        return None
    named = options.init
    if named == BUNDLED and not named.is_dir():
        named = bundled_folder() / kind
    return load_checkpoint(named, kind)


def carry_out(
    plan: Plan,
    kind: str,
    task: Task,
    feed: Feed,
    check: Feed | None,
    config: Any,
    preset: str,
    origin: Mapping[str, Any],
) -> int:
    """Write down what the run is, and train; returns the step reached.

    Raises:
        AudiomaskError: of a folder, of data, or a loss that is not finite.
    """
    options, device = plan.options, plan.device
    spent = seconds_spent(options.out) if options.resume else 0.0
    planned_here = "total_seconds" in options.overrides
    schedule = plan_time(plan.schedule, planned_here, options.steps, options.max_time, spent)
    run = Run(
        device=device,
        precision=precision_of(options.precision, device),
        workers=options.workers,
        seed=options.seed,
        max_time=options.max_time,
        resume=options.resume,
        replan=planned_here,
        quiet=options.quiet,
        # on a CPU compiling takes longer than it saves in runs of hours
        compile=device.type == "cuda" if options.compile is None else options.compile,
        shard=options.shard,
        tensorboard=options.tensorboard,
    )
    if options.batch_size == "auto":
        size = largest_batch(task, feed, device, run.autocast())
        schedule = dataclasses.replace(schedule, batch_size=size)
    if distributed.rank() == 0:
        found = {"precision": run.precision, "preset": preset, "batch_size": schedule.batch_size}
        came = {**origin, "processes": distributed.world_size()}
        now = describe(kind, options, config, schedule, plan.augmentation, found, came)
        record(options.out, now, options.resume)
    return train(task, feed, schedule, options.out, run, check)
