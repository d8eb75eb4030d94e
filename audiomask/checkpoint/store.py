"""Checkpoints: folders with config.json and model.safetensors. Never pickle.

config.json holds ``format``, ``kind`` (see ``audiomask.kinds``), ``preset``, ``config`` (the
model's configuration), ``sha256`` of model.safetensors, ``requires`` (fingerprints of the
checkpoints that it was trained with, by kind) and notes. The fingerprint of a checkpoint is the
first 16 digits of that digest; tokens carry the fingerprint of their VQ-VAE.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiomask.audio.atomic import AtomicFile
from audiomask.checkpoint.eight_bit import pack, unpack
from audiomask.errors import AudioFileError, CheckpointError, ConfigError
from audiomask.kinds import KINDS

_FORMAT = 3
#: the oldest format of each kind that can still be read, where it is not 2: in format 3 the default
#: VQ-VAE's tokens hold other things
_OLDEST = {"vqvae": 3, "mlm": 3}
CONFIG_FILE = "config.json"
MODEL_FILE = "model.safetensors"
#: a larger config.json is refused
_MAX_CONFIG_BYTES = 1 << 20
#: characters of the longest text in it that messages repeat
_MAX_NAME = 128
#: types that floating point tensors may be stored in
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint in memory.

    Attributes:
        folder: where it came from.
        kind: see ``audiomask.kinds``.
        preset: the preset that ``config`` is of: "default", "paper" …
        config: the model's configuration.
        fingerprint: identifies the exact weights.
        requires: fingerprints of the checkpoints that it was trained with, by kind.
        tensors: the state dict, floats in the precision they were saved in.
        notes: the other entries of config.json.
    """

    folder: Path
    kind: str
    preset: str
    config: dict[str, Any]
    fingerprint: str
    tensors: dict[str, Tensor]
    requires: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    kind: str,
    preset: str,
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    notes: dict[str, Any] | None = None,
    eight_bit: bool = False,
    requires: Mapping[str, str] | None = None,
) -> str:
    """Write a checkpoint for inference, matrices in half precision; returns its fingerprint.

    With ``eight_bit``, large matrices are 8-bit integers.

    Each file is written under a hidden name and renamed, the configuration last: the digest refuses
    a folder that was left with only one of them.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    half = {
        # vectors are small, and may be variances beyond the range of half precision
        name: (value.half() if value.is_floating_point() and value.dim() > 1 else value).cpu()
        for name, value in tensors.items()
    }
    if eight_bit:
        half = pack(half)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / MODEL_FILE, half)
        digest = sha256(folder / MODEL_FILE)
        entries = {
            "format": _FORMAT,
            "kind": kind,
            "preset": preset,
            "config": config,
            "sha256": digest,
            "requires": dict(requires or {}),
            **(notes or {}),
        }
        write_json(folder / CONFIG_FILE, entries)
    except (OSError, SafetensorError, AudioFileError) as error:
        raise CheckpointError(f"{folder}: cannot write the checkpoint ({error})") from error
    return fingerprint_of(entries)


def load_checkpoint(folder: Path, kind: str | None = None) -> Checkpoint:
    """Read and verify a checkpoint.

    Args:
        folder: holds config.json and model.safetensors.
        kind: refuse any other.

    Raises:
        CheckpointError: a file is missing, malformed or altered, or the kind is another.
    """
    entries = read_config(folder)
    if kind is not None and entries["kind"] != kind:
        raise CheckpointError(f"{folder}: is a checkpoint of kind {entries['kind']}, not {kind}")
    file = folder / MODEL_FILE
    if not file.is_file():
        raise CheckpointError(f"{folder}: {MODEL_FILE} is missing; copy the whole folder again")
    digest = sha256(file)
    if digest != entries["sha256"]:
        raise CheckpointError(
            f"{file}: its content is not what config.json promises (truncated or altered); "
            "copy the folder again"
        )
    try:
        tensors = unpack(load_file(file))
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        # PyTorch, not safetensors, refuses shapes that overflow and types it does not support
        words = " ".join(str(error).split())
        raise CheckpointError(f"{file}: not a safetensors file ({words[:200]})") from error
    known = {"format", "kind", "preset", "config", "sha256", "requires"}
    return Checkpoint(
        folder=folder,
        kind=entries["kind"],
        preset=entries["preset"],
        config=entries["config"],
        fingerprint=fingerprint_of(entries),
        tensors=tensors,
        requires=entries["requires"],
        notes={key: value for key, value in entries.items() if key not in known},
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The checked entries of a checkpoint's config.json.

    Raises:
        CheckpointError: there is none, or it is malformed.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise CheckpointError(f"{folder}: not a checkpoint folder ({CONFIG_FILE} is missing)")
    try:
        if file.stat().st_size > _MAX_CONFIG_BYTES:
            raise CheckpointError(f"{file}: too large for a configuration")
        entries = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"{file}: not a JSON object")
    for key, kind in (
        ("format", int),
        ("kind", str),
        ("preset", str),
        ("config", dict),
        ("sha256", str),
        ("requires", dict),
    ):
        if key == "requires" and entries.get("format") == 1:
            raise CheckpointError(
                f"{file}: is of audiomask 0.1, whose mlm held the masks too; train it anew"
            )
        value = entries.get(key)
        if not isinstance(value, kind):
            raise CheckpointError(f"{file}: entry '{key}' is missing or of the wrong type")
        if isinstance(value, str) and len(value) > _MAX_NAME:
            raise CheckpointError(f"{file}: entry '{key}' is too long")
    for kind, fingerprint in entries["requires"].items():
        if kind not in KINDS or not isinstance(fingerprint, str) or len(fingerprint) > _MAX_NAME:
            raise CheckpointError(f"{file}: entry 'requires' is not of kinds and fingerprints")
    if entries["format"] > _FORMAT:
        raise CheckpointError(f"{file}: is of format {entries['format']}; update audiomask")
    if entries["format"] < _OLDEST.get(entries["kind"], 2):
        raise CheckpointError(
            f"{file}: is of an audiomask with other tokens (format {entries['format']} of "
            f"{_FORMAT}); train it anew"
        )
    return entries


def fingerprint_of(entries: Mapping[str, Any]) -> str:
    """The fingerprint of a checkpoint with these entries of config.json, 16 hexadecimal digits."""
    digest: str = entries["sha256"]
    return digest[:16]


def restore(
    checkpoint: Checkpoint, build: Callable[[str, dict[str, Any]], torch.nn.Module] | None = None
) -> torch.nn.Module:
    """The model that a checkpoint describes, with its weights.

    It is built on the meta device first: even for a tampered configuration no more memory is
    allocated than the checkpoint's tensors take.

    Args:
        checkpoint: a loaded one.
        build: makes a model of a preset's name and a configuration; the kind's own when None.

    Raises:
        CheckpointError: the kind is unknown, the configuration is invalid, or the tensors do not
            fit it.
    """
    if build is None:
        if checkpoint.kind not in KINDS:
            known = ", ".join(KINDS)
            raise CheckpointError(
                f"{checkpoint.folder}: no kind of model '{checkpoint.kind}' (there are: {known})"
            )
        build = KINDS[checkpoint.kind].network
    for name, value in checkpoint.config.items():
        # every block, layer and level has tensors of its own
        repeated = name.endswith(("blocks", "layers", "levels"))
        if repeated and isinstance(value, int) and value > len(checkpoint.tensors):
            raise CheckpointError(f"{checkpoint.folder}: {name} is {value}; it has fewer tensors")
    try:
        with torch.device("meta"):
            plan = build(checkpoint.preset, checkpoint.config)
    except (ConfigError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{checkpoint.folder}: config.json describes no model ({reason})"
        ) from error
    _check_tensors(plan, checkpoint)
    model = build(checkpoint.preset, checkpoint.config)
    load_weights(model, checkpoint)
    return model


def load_weights(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's tensors into a model, in the model's own precision.

    Raises:
        CheckpointError: names or shapes differ.
    """
    _check_tensors(model, checkpoint)
    model.load_state_dict(checkpoint.tensors)


def _check_tensors(model: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless a checkpoint has a model's tensors, by name, shape and type."""
    expected = model.state_dict()
    missing = sorted(expected.keys() - checkpoint.tensors.keys())
    extra = sorted(checkpoint.tensors.keys() - expected.keys())
    if missing or extra:
        name = (missing or extra)[0]
        verb = "lacks" if missing else "has an unknown"
        raise CheckpointError(f"{checkpoint.folder}: {verb} tensor '{name}'")
    for name, value in checkpoint.tensors.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(
                f"{checkpoint.folder}: tensor '{name}' is {tuple(value.shape)}, "
                f"config.json makes it {tuple(expected[name].shape)}"
            )
        wanted = _FLOATS if expected[name].is_floating_point() else (expected[name].dtype,)
        if value.dtype not in wanted:
            raise CheckpointError(
                f"{checkpoint.folder}: tensor '{name}' is {value.dtype}, not {wanted[-1]}"
            )


def _no_number(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads, JSON lacks, and comparisons let pass."""
    raise ValueError(f"{text} is no number")


def bundled_folder() -> Path:
    """The folder of the checkpoints that come with audiomask.

    Raises:
        CheckpointError: this installation has none.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "bundled", package.parent / "models"):
        if any((folder / kind / CONFIG_FILE).is_file() for kind in KINDS):
            return folder
    raise CheckpointError("no bundled checkpoints in this installation; name one with --model")


def sha256(file: Path) -> str:
    """Hexadecimal digest of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(file: Path, entries: dict[str, Any]) -> None:
    """Write JSON atomically."""
    with AtomicFile(file, overwrite=True) as temporary:
        temporary.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def write_tensors(
    file: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file atomically."""
    with AtomicFile(file, overwrite=True) as temporary:
        mode = temporary.stat().st_mode
        # weights of convolutions may be channels-last
        held = {name: value.contiguous() for name, value in tensors.items()}
        save_file(held, temporary, metadata)
        temporary.chmod(mode)  # safetensors makes a file that only its owner can read
