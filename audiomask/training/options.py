"""Options of a training run. Without torch, so that the command line starts fast."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from audiomask.data.places import place_of
from audiomask.errors import UsageError
from audiomask.kinds import KINDS
from audiomask.options import Option

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")

#: the value of ``init`` that means the checkpoint that comes with audiomask
BUNDLED = Path("bundled")


class _Precision(StrEnum):
    """The number format of matrix products."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def parse_time(text: str) -> float:
    """``90``, ``90s``, ``9m``, ``1.5h`` or ``1h30m`` in seconds.

    Raises UsageError for any other text, and for a time of zero.
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
    """``["layers=4", "lr=3e-4"]`` as a mapping; raises UsageError for texts without ``=``."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes key=value, not '{pair}'")
        if key.strip() in overrides:
            raise UsageError(f"--set {key.strip()} is given twice")
        overrides[key.strip()] = value.strip()
    return overrides


@dataclass(frozen=True)
class RunFile:
    """A run file; :mod:`audiomask.training.runfile` reads it.

    Attributes:
        path: the file, for messages.
        options: its options by their field of :class:`TrainOptions`, converted and checked.
        tables: its settings, unchecked, by table ("model", "schedule", "augmentation") and name;
            :func:`audiomask.training.settings.resolve` checks them.
        origin: the data and checkpoints of the run that wrote it, which are no settings.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


_data = partial(Option, "What to learn from")
_run = partial(Option, "The run")
_recipe = partial(Option, "Settings")
_speed = partial(Option, "Speed and memory")
#: the presets of every kind, in words
_PRESETS = "; ".join(f"{kind.name}: {', '.join(kind.presets)}" for kind in KINDS.values())
#: the stages of every kind that has some, in words
_STAGES = "; ".join(f"{k.name}: {', '.join(k.stages)}" for k in KINDS.values() if k.stages)


@dataclass(frozen=True)
class TrainOptions:
    """The options of ``audiomask train``; :func:`audiomask.training.run.train_kind` runs them.

    ``None`` means the preset's value or, for ``compile``, the faster choice of the device.

    Attributes:
        data: folders of data, and addresses of shards.
        out: folder of the checkpoint and of all other files of the run.
        preset: the model's sizes and recipe, one of its kind's.
        stage: the one of its kind's stages to train; None for a kind without stages.
        steps: of the optimizer since the run began, with all its resumptions. The learning rate
            falls over them.
        max_time: seconds until this call stops and saves. Without ``steps`` the learning rate
            falls until then.
        resume: continue the run in ``out``.
        precision: number format of matrix products; "auto" is the fastest that is safe.
        compile: whether the model is compiled before it is trained.
        workers: processes that load data, for each process that trains.
        batch_size: excerpts of a micro-batch in each process; "auto" is as many as the GPU holds.
        accumulate: micro-batches a step.
        shard: spread the model over the GPUs, not only the data.
        seed: decides the first weights, the data and its order.
        save_every: steps between checkpoints.
        validate_every: steps between validations.
        tensorboard: write TensorBoard's files as well.
        init: checkpoint to start from; ``BUNDLED`` for the one that comes with audiomask.
        vqvae: VQ-VAE whose tokens the model learns.
        spectrogram: spectrogram model whose semantic tokens the model learns.
        cache: folder of decoded notes, rendered SoundFonts and tokens, to be reused.
        keep_tokens: number of excerpts whose tokens are computed once and kept in ``cache``.
        dry_run: write a preview of the data below ``out``, and train nothing.
        pack: write the data as tar shards into this folder, and train nothing.
        overrides: texts of single settings, by name, over those of ``files``.
        files: run files, later ones over earlier ones. Only their tables are used: the command
            line has merged their options into the other fields.
        device: to compute on.
        threads: of the CPU; all cores by default.
        quiet: print only warnings and errors.
    """

    data: Annotated[
        tuple[Path | str, ...],
        _data(
            "--data",
            "Folder, or address of shards; repeatable.",
            "DIR",
            parse=place_of,
            required=False,
        ),
    ]
    out: Annotated[Path, _run("--out -o", "Folder of the checkpoint.", "DIR", required=False)]
    vqvae: Annotated[Path | None, _data("--vqvae", "VQ-VAE whose tokens are learned.", "DIR")] = (
        None
    )
    spectrogram: Annotated[
        Path | None,
        _data("--spectrogram", "Spectrogram model whose semantic tokens are learned.", "DIR"),
    ] = None
    init: Annotated[
        Path | None, _data("--init", "Checkpoint to start from; 'bundled': audiomask's own.", "DIR")
    ] = None
    cache: Annotated[
        Path | None,
        _data("--cache", "Keep decoded notes, rendered SoundFonts and tokens here.", "DIR"),
    ] = None
    keep_tokens: Annotated[
        int | None,
        _data(
            "--keep-tokens",
            "Train mlm or lm on N excerpts, coded once, kept in --cache.",
            "N",
            1,
            recorded=True,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        _data(
            "--dry-run",
            "Only show the training data: a table here, a page to listen to in OUT/dry-run.",
        ),
    ] = False
    pack: Annotated[
        Path | None, _data("--pack", "Only write the data as tar shards into DIR.", "DIR")
    ] = None
    steps: Annotated[
        int | None, _run("--steps", "Steps in all.", "N", 1, recorded=True, free=True)
    ] = None
    max_time: Annotated[
        float | None,
        _run(
            "--max-time",
            "Stop and save after 90s, 9m or 1h30m; without --steps, plan for that.",
            "TIME",
            parse=parse_time,
        ),
    ] = None
    resume: Annotated[
        bool, _run("--resume", "Go on with the run in --out, as its run.toml says.")
    ] = False
    save_every: Annotated[
        int | None,
        _run("--save-every", "Steps between checkpoints.", "N", 1, recorded=True, free=True),
    ] = None
    validate_every: Annotated[
        int | None,
        _run("--validate-every", "Steps between validations.", "N", 1, recorded=True, free=True),
    ] = None
    tensorboard: Annotated[
        bool,
        _run(
            "--tensorboard/--no-tensorboard",
            "Write TensorBoard's files, too.",
            recorded=True,
            free=True,
        ),
    ] = False
    preset: Annotated[
        str,
        _recipe("--preset", f"Sizes and recipe of the model: {_PRESETS}.", "NAME", recorded=True),
    ] = "default"
    stage: Annotated[
        str | None,
        _recipe("--stage", f"The stage to train: {_STAGES}.", "NAME", recorded=True),
    ] = None
    overrides: Annotated[
        Mapping[str, str],
        _recipe("--set", "Change one setting; repeatable.", "KEY=VALUE", parse=str),
    ] = field(default_factory=dict)
    seed: Annotated[
        int,
        _recipe("--seed", "Decides first weights and the order of data.", "N", 0, recorded=True),
    ] = 0
    batch_size: Annotated[
        int | Literal["auto"] | None,
        _speed(
            "--batch-size",
            "Excerpts at once; auto: as many as a GPU holds.",
            "N|auto",
            1,
            parse=parse_batch_size,
            recorded=True,
        ),
    ] = None
    accumulate: Annotated[
        int | None,
        _speed("--accumulate", "Batches that make a step (default: 1).", "N", 1, recorded=True),
    ] = None
    precision: Annotated[
        _Precision,
        _speed("--precision", "Of the heavy products; auto: fast and safe here.", recorded=True),
    ] = _Precision.auto
    compile: Annotated[
        bool | None,
        _speed(
            "--compile/--no-compile",
            "Compile the model first (default: where it helps).",
            recorded=True,
            free=True,
        ),
    ] = None
    shard: Annotated[
        bool,
        _speed(
            "--shard/--no-shard",
            "Spread a large model over torchrun's GPUs (FSDP).",
            recorded=True,
            free=True,
        ),
    ] = False
    workers: Annotated[
        int,
        _speed("--workers", "Processes that load data.", "N", 0, recorded=True, free=True),
    ] = 0
    files: tuple[RunFile, ...] = ()
    device: str = "auto"
    threads: int | None = None
    quiet: bool = False
