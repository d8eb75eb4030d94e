"""Training runs, from options to a finished checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from audiomask.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    bundled_folder,
    load_checkpoint,
    read_config,
    restore,
)
from audiomask.data.places import name_of
from audiomask.errors import CheckpointError, UsageError
from audiomask.kinds import KINDS, kind_of
from audiomask.kinds import resolve as resolve_path
from audiomask.runtime import distributed
from audiomask.training.batch_size import largest_batch
from audiomask.training.batches import BatchSource, batch_source
from audiomask.training.config import Run, plan_time
from audiomask.training.dry_run import pack_data, preview
from audiomask.training.loop import train
from audiomask.training.options import BUNDLED, TrainOptions
from audiomask.training.processes import processes
from audiomask.training.record import describe, record
from audiomask.training.run_setup import RunSetup, precision_of, prepare, survey
from audiomask.training.settings import resolve
from audiomask.training.state import seconds_spent
from audiomask.training.task import Required, Task
from audiomask.training.token_cache import open_cache


def train_kind(name: str, options: TrainOptions) -> int:
    """Train a model of a kind; returns the step reached.

    Raises:
        AudiomaskError: of data, configuration, checkpoint or a loss that is not finite.
    """
    if options.pack is not None:
        return pack_data(options, options.pack)
    kind = kind_of(name)
    task_class: type[Task] = resolve_path(kind.task)
    with processes(options.device) as device:
        prepare(options)
        names = kind.required_by(options.stage)
        required = {other: _open_required(options, other, device) for other in names}
        init = _starting_point(options, task_class)
        same = init is not None and init.kind == name
        for other, found in required.items():
            if init is not None and same and init.requires.get(other) != found.fingerprint:
                title = KINDS[other].title
                raise CheckpointError(
                    f"{init.folder}: was trained with another {title}; name that one with --{other}"
                )
        preset, base = (init.preset, init.config) if init and same else (options.preset, {})
        fixed = task_class.fixed(required)
        settings = task_class.defaults(required) | base | fixed
        if kind.stages:
            settings["stage"] = options.stage
        config, train_config, augmentation = resolve(
            options,
            kind.network(preset, settings).config,
            task_class.train_config,
            task_class.augmentation,
            fixed=fixed,
        )
        torch.manual_seed(options.seed)
        model = task_class.build(kind, preset, config, required)
        if init is not None:
            taken = task_class.load_init(model, init)
            if taken and not options.quiet and distributed.rank() == 0:
                Console(stderr=True).print(taken, highlight=False, soft_wrap=True)
        sources = survey(options)
        setup = RunSetup(
            options,
            device,
            train_config,
            augmentation,
            sources,
            task_class.stems(config, {stem for source in sources for stem in source.stems}),
            task_class.samples(config),
            config.sample_rate,
            task_class.needs_stems,
            task_class.channels(config),
            task_class.takes_recordings,
            task_class.elsewhere(config),
        )
        excerpts = setup.open("train")
        if options.dry_run:
            return preview(setup, excerpts, model)
        notes = {"data": [name_of(place) for place in options.data]}
        task = task_class(model.to(device), preset, notes, required)
        builder = task.batches(options.seed)
        task.start(setup, init, excerpts, builder)
        if options.keep_tokens is None:
            source = batch_source(excerpts, builder, device)
        else:
            prints = {other: found.fingerprint for other, found in required.items()}
            encoder = task.token_encoder(options.seed)
            source = open_cache(setup, prints, encoder, excerpts)
        origin = {f"{other}_fingerprint": found.fingerprint for other, found in required.items()}
        return _carry_out(
            setup, name, task, source, setup.validation(builder), config, preset, origin
        )


def _open_required(options: TrainOptions, kind: str, device: torch.device) -> Required:
    """The checkpoint of a kind that the run's model is trained with: the one named, or bundled.

    Raises:
        UsageError: none is named, and none is bundled.
        CheckpointError: there is none, or it is broken.
    """
    named: Path = getattr(options, kind) or bundled_folder() / kind
    if getattr(options, kind) is None and not (named / CONFIG_FILE).is_file():
        raise UsageError(f"no {KINDS[kind].title} comes with audiomask: name one with --{kind}")
    found = load_checkpoint(named, kind)
    return Required(found.fingerprint, restore(found).to(device).eval())


def _starting_point(options: TrainOptions, task: type[Task]) -> Checkpoint | None:
    """The checkpoint that ``--init`` names, if there is one.

    Raises:
        CheckpointError: it cannot be read, or is of a kind that the task does not start from.
    """
    if options.init is None:
        return None
    named = options.init
    if named == BUNDLED and not named.is_dir():
        suffix = "" if options.stage is None else f"-{options.stage}"
        named = bundled_folder() / f"{task.kind}{suffix}"
    kind = read_config(named)["kind"]
    found = load_checkpoint(named, kind if kind in task.starts_from else task.kind)
    if options.stage is not None and found.config.get("stage") != options.stage:
        stage = found.config.get("stage")
        raise CheckpointError(f"{named}: is the stage {stage}; the run is of {options.stage}")
    return found


def _carry_out(
    setup: RunSetup,
    kind: str,
    task: Task,
    source: BatchSource,
    validation: BatchSource | None,
    config: Any,
    preset: str,
    origin: Mapping[str, Any],
) -> int:
    """Write the run's run.toml, and train; returns the step reached.

    Raises:
        AudiomaskError: of a folder, of data, or a loss that is not finite.
    """
    options, device = setup.options, setup.device
    spent = seconds_spent(options.out) if options.resume else 0.0
    planned_here = "total_seconds" in options.overrides
    train_config = plan_time(
        setup.train_config, planned_here, options.steps, options.max_time, spent
    )
    run = Run(
        device=device,
        precision=precision_of(options.precision, device),
        workers=options.workers,
        seed=options.seed,
        max_time=options.max_time,
        resume=options.resume,
        replan=planned_here,
        quiet=options.quiet,
        # on a CPU compiling takes longer than it saves, even in runs of hours
        compile=device.type == "cuda" if options.compile is None else options.compile,
        shard=options.shard,
        tensorboard=options.tensorboard,
    )
    if options.batch_size == "auto":
        size = largest_batch(task, source, device, run.autocast())
        train_config = dataclasses.replace(train_config, batch_size=size)
    if distributed.rank() == 0:
        found = {
            "precision": run.precision,
            "preset": preset,
            "batch_size": train_config.batch_size,
        }
        came = {**origin, "processes": distributed.world_size()}
        now = describe(kind, options, config, train_config, setup.augmentation, found, came)
        record(options.out, now, options.resume)
    step = train(task, source, train_config, options.out, run, validation)
    with distributed.main_process_first():
        if distributed.rank() == 0:
            task.finish(options.out, source)
    return step
