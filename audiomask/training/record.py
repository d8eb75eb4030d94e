"""The record of a run: its options and settings, as ``run.toml`` beside its checkpoint.

It is a run file, so that the run can be repeated with data in other folders, and so that a run is
not resumed by mistake with other settings. Folders are recorded by name only.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from audiomask.audio.atomic import AtomicFile
from audiomask.data.places import name_of
from audiomask.errors import AudiomaskError, CheckpointError, UsageError
from audiomask.options import options_of
from audiomask.training.options import RunFile, TrainOptions
from audiomask.training.runfile import RUN_FILE, saved_run
from audiomask.training.settings import OPTIONS, TABLES
from audiomask.version import __version__

#: recorded options; folders are not among them
_RECORDED = tuple(name for name, option in options_of(TrainOptions).items() if option.recorded)
#: options and settings that may change when a run is resumed
_FREE = {name for name, option in options_of(TrainOptions).items() if option.free} | {
    "total_seconds", "validate_items", "log_every",
}  # fmt: skip
#: entries of [origin] that must not change
_ORIGIN = ("kind", "data", "vqvae_fingerprint", "spectrogram_fingerprint")


def describe(
    kind: str,
    options: TrainOptions,
    model: Any,
    train_config: Any,
    augmentation: Any,
    found: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of a run's run file.

    Args:
        kind: of model, see ``audiomask.kinds``.
        options: of the run.
        model: the resolved configuration of the model.
        train_config: the resolved one; its fields that are options are recorded as options.
        augmentation: the resolved one.
        found: values of options that the preset, machine or checkpoint decided:
            ``{"precision": "bf16", "preset": "paper", "batch_size": 16}``.
        origin: further entries of [origin]: ``{"vqvae_fingerprint": "…", "processes": 2}``.
    """
    fields = {"schedule": dataclasses.asdict(train_config), "model": dataclasses.asdict(model)}
    fields["augmentation"] = dataclasses.asdict(augmentation)
    chosen = {name: getattr(options, name) for name in _RECORDED}
    chosen["accumulate"] = options.accumulate or 1
    chosen |= {name: value for name, value in fields["schedule"].items() if name in _RECORDED}
    if train_config.total_seconds is not None and options.steps is None:
        chosen["steps"] = None  # limited by time, and so is the run when it is resumed
    chosen |= found or {}
    places = {
        "vqvae": options.vqvae, "spectrogram": options.spectrogram, "init": options.init,
    }  # fmt: skip
    came: dict[str, Any] = {
        "kind": kind,
        "version": __version__,
        "data": [_name(place) for place in options.data],
    }
    came |= {key: _name(folder) for key, folder in places.items() if folder is not None}
    document: dict[str, Any] = {name: chosen[name] for name in _RECORDED}
    for table in TABLES:
        document[table] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields[table].items()
            if name not in OPTIONS
        }
    document["origin"] = came | dict(origin or {})
    return _without_none(document)


def write_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Write what :func:`describe` returned as the folder's ``run.toml``, atomically.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    kind = document["origin"]["kind"]
    again = f"audiomask train {kind} --config {RUN_FILE} --data DIR --out DIR"
    try:
        with AtomicFile(folder / RUN_FILE, overwrite=True) as temporary:
            text = f"# the same run again: {again}\n{tomli_w.dumps(document)}"
            temporary.write_text(text, encoding="utf-8")
    except (OSError, AudiomaskError) as error:
        raise CheckpointError(f"{folder}: cannot write {RUN_FILE} ({error})") from error


def differences(saved: RunFile, now: Mapping[str, Any]) -> list[str]:
    """The settings that differ when a run is resumed and must not, a line each.

    Args:
        saved: the run file of the run.
        now: what :func:`describe` returns for the options it is resumed with.
    """
    lines = [
        (name, saved.options.get(name), now.get(name))
        for name in _RECORDED
        if name not in _FREE and name != "batch_size"
    ]
    # half the batch size in each of two processes is the same
    before, after = _batch(saved.options, saved.origin), _batch(now, now["origin"])
    if before[0] * before[1] != after[0] * after[1]:
        lines.append(("batch_size", _batch_shown(*before), _batch_shown(*after)))
    for table in TABLES:
        old = saved.tables.get(table, {})
        # a setting that only one of them has is of another version of audiomask
        both = [name for name in now[table] if name in old and name not in _FREE]
        lines += [(name, old[name], now[table][name]) for name in both]
    for name in _ORIGIN:
        if name in saved.origin:
            lines.append((name, saved.origin[name], now["origin"].get(name)))
    return [
        f"{name} is {_shown(new)}, and was {_shown(began)} when the run began"
        for name, began, new in lines
        if began != new
    ]


def record(folder: Path, now: Mapping[str, Any], resume: bool = False) -> None:
    """Write a run's ``run.toml`` when it begins or is resumed.

    Args:
        folder: of the run.
        now: what :func:`describe` returns for the run.
        resume: whether it is resumed.

    Raises:
        UsageError: it is resumed with other settings (see :func:`differences`).
        CheckpointError: the folder cannot be written.
    """
    saved = saved_run(folder, now["origin"]["kind"]) if resume else None
    if saved is None:
        write_run(folder, now)
        return
    changed = differences(saved, now)
    if changed:
        raise UsageError(
            f"--resume {folder}: {'; '.join(changed)}: resume with the settings in its {RUN_FILE}, "
            "or start another run from it with --init"
        )
    # the checkpoint that the run began from is kept in [origin]
    write_run(folder, {**now, "origin": {**saved.origin, **now["origin"]}})


def _name(place: Path | str) -> str:
    """The last part of a folder's path, as text in UTF-8."""
    return os.fsencode(name_of(place)).decode("utf-8", "replace")


def _batch(options: Mapping[str, Any], origin: Mapping[str, Any]) -> tuple[int, int]:
    """Batch size in each process, and number of processes."""
    return options.get("batch_size", 0), origin.get("processes", 1)


def _batch_shown(size: int, processes: int) -> str:
    return f"{size} in each of {processes} processes" if processes > 1 else str(size)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not set" if value is None else str(value)


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    """The document without None, which TOML does not have."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if value is not None
    }
