"""What a training run is asked to do, free of torch so that the command line starts fast."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from audiomask.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")

#: what ``init`` says for the checkpoint that comes with audiomask
BUNDLED = Path("bundled")
#: the least that each option with a number may be, on the command line and in a run file
LEAST = {
    "steps": 1,
    "workers": 0,
    "batch_size": 1,
    "accumulate": 1,
    "seed": 0,
    "save_every": 1,
    "validate_every": 1,
    "keep_tokens": 1,
    "threads": 1,
}


@dataclass(frozen=True)
class RunFile:
    """A run file as it was read; :mod:`audiomask.training.runfile` reads and writes them.

    Attributes:
        path: the file, for messages.
        options: its options by their field of :class:`TrainOptions`, converted and checked.
        tables: settings as they are written, by table ("model", "schedule", "augmentation")
            and name; :func:`audiomask.training.settings.resolve` checks them.
        origin: where its run came from; no setting.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainOptions:
    """One training run: ``audiomask train`` fills this in, ``training.run`` carries it out.

    ``None`` leaves a choice to the preset or, for ``compile``, to the machine.

    Attributes:
        data: folders of data, and addresses of shards.
        out: folder of the checkpoint and all that the run writes.
        preset: the model's sizes and recipe, one of its kind's.
        steps: the optimizer's steps since the run began, over all its resumptions. The learning
            rate falls over them.
        max_time: seconds until it stops and saves; counts this call only. Without ``steps`` the
            learning rate falls until then.
        resume: go on with the run in ``out``.
        precision: number format of the heavy products; "auto" is the fastest that is safe here.
        compile: whether the model is compiled before it is trained.
        workers: processes that load data, for each process that trains.
        batch_size: excerpts a micro-batch, in each process that trains; "auto" is as many as the
            GPU holds.
        accumulate: micro-batches a step.
        shard: spread the model over the GPUs, not only the data.
        seed: decides the first weights, the data and its order.
        save_every: steps between checkpoints.
        validate_every: steps between validations.
        tensorboard: write TensorBoard's files, too.
        init: checkpoint to start from; ``BUNDLED`` for the one that comes with audiomask.
        vqvae: VQ-VAE whose tokens are learnt.
        cache: folder of what is made once and used again.
        keep_tokens: how many excerpts are coded once and kept in ``cache``.
        dry_run: show what would be trained on, below ``out``, and train nothing.
        pack: write the data as tar shards into this folder, and train nothing.
        overrides: texts of single settings, by name. They go over ``files``.
        files: run files with settings, later ones over earlier ones. Of these only the tables
            count here: the command line has put their options into the fields above.
        device: where to compute.
        threads: of the CPU; all cores by default.
        quiet: say nothing but warnings and errors.
    """

    data: tuple[Path | str, ...]
    out: Path
    preset: str = "default"
    steps: int | None = None
    max_time: float | None = None
    resume: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool | None = None
    workers: int = 0
    batch_size: int | Literal["auto"] | None = None
    accumulate: int | None = None
    shard: bool = False
    seed: int = 0
    save_every: int | None = None
    validate_every: int | None = None
    tensorboard: bool = False
    init: Path | None = None
    vqvae: Path | None = None
    cache: Path | None = None
    keep_tokens: int | None = None
    dry_run: bool = False
    pack: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    files: tuple[RunFile, ...] = ()
    device: str = "auto"
    threads: int | None = None
    quiet: bool = False


def parse_time(text: str) -> float:
    """``90``, ``90s``, ``9m``, ``1.5h`` or ``1h30m`` in seconds.

    Raises UsageError for anything else, and for a time of zero.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise UsageError(f"not a time: '{text}' (write 90s, 9m, 1.5h or 1h30m)")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise UsageError(f"a time must be more than zero: '{text}'")
    return seconds


def parse_batch_size(text: str) -> int | Literal["auto"]:
    """A number of excerpts, or ``auto``; raises UsageError for anything else."""
    if text == "auto":
        return "auto"
    if not _COUNT.fullmatch(text):
        raise UsageError(f"--batch-size is a number from 1, or auto; not '{text}'")
    return int(text)


def parse_overrides(pairs: list[str]) -> dict[str, str]:
    """``["layers=4", "lr=3e-4"]`` as a mapping; raises UsageError for what is no ``key=value``."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes key=value, not '{pair}'")
        if key.strip() in overrides:
            raise UsageError(f"--set {key.strip()} is given twice")
        overrides[key.strip()] = value.strip()
    return overrides
