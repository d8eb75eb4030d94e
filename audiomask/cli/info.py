"""``audiomask info``: what is installed, and what a recording, token file or checkpoint holds."""

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

import audiomask
from audiomask.cli.exits import print_error
from audiomask.cli.inputs import named_path
from audiomask.cli.options import Common
from audiomask.errors import AudiomaskError, UsageError
from audiomask.runtime.console import printable

_PACKAGES = ("torch", "torchaudio", "soundfile", "pydub")
#: tokens and recordings are told by their endings, as everywhere; checkpoints are folders
_TOKENS = (".safetensors", ".tokens.txt")
#: longest text of a tag that is shown
_LONGEST = 200

_Facts = Mapping[str, Any]


def info(
    common: Common,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="IN", help="Recordings, token files, checkpoints, or '-'."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a line of JSON for each instead.")
    ] = False,
) -> int:
    """Tell what is installed, or what a recording, token file or checkpoint holds.

    Without IN: versions, the device, ffmpeg and the checkpoints in use.
    """
    status = 0
    if not inputs:
        _show("audiomask", _installation(common), as_json)
    if (inputs or []).count("-") > 1:
        raise UsageError("standard input ('-') can be read only once")
    told = 0
    for name in inputs or ():
        try:
            facts = _describe(name)
        except (AudiomaskError, OSError) as error:
            print_error(error, common.debug)
            status = error.exit_code if isinstance(error, AudiomaskError) else 1
            continue
        if told and not as_json:
            print()
        told += 1
        _show("standard input" if name == "-" else name, facts, as_json)
    return status


def _show(name: str, facts: _Facts, as_json: bool) -> None:
    """Print facts on standard output: a line each, or one line of JSON."""
    if as_json:
        print(json.dumps({"name": name, **facts}, ensure_ascii=False))
        return
    print(printable(name))
    for key, line in _lines(facts):
        print(printable(f"  {key.replace('_', ' '):<14} {line}"))


def _lines(facts: _Facts, before: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of facts, those of nested ones joined by a space."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{before}{key} ")
        elif isinstance(value, list):
            yield f"{before}{key}", ", ".join(map(str, value)) or "none"
        elif value is not None:
            text = " ".join(str(value).split())
            yield f"{before}{key}", text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _installation(common: Common) -> _Facts:
    """Versions, the device and the checkpoints that the options choose."""
    from audiomask.audio.probe import ffmpeg_path

    engine = common.open_engine()  # where torch cannot be imported, this says so in one line
    from audiomask.runtime.device import describe_device, describe_processor

    return {
        "version": audiomask.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in _PACKAGES},
        "device": describe_device(engine.device),
        "processor": describe_processor(),
        "ffmpeg": ffmpeg_path() or "not installed",
        "checkpoints": str(engine.library.folder),
        "models": {kind: _summary(engine.library.folder_of(kind)) for kind in engine.kinds},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _summary(folder: Path) -> str:
    """A checkpoint in a phrase."""
    facts = _checkpoint(folder)
    size = f"{facts['parameters'] / 1e6:.1f} M parameters, {facts['bytes'] / 1e6:.1f} MB"
    return f"{facts['preset']}, {size}, fingerprint {facts['fingerprint']}"


def _describe(name: str) -> _Facts:
    """The facts of one input."""
    path = None if name == "-" else named_path(name)
    if path is not None and path.is_dir():
        from audiomask.checkpoint import CheckpointLibrary

        own = CheckpointLibrary(path).own
        several = len(own) > 1 or path not in own.values()
        found = {kind: _checkpoint(folder) for kind, folder in own.items()}
        return found if several else next(iter(found.values()))
    if path is not None and path.name.lower().endswith(_TOKENS):
        return _tokens(path)
    return _recording(path or "-")


def _checkpoint(folder: Path) -> _Facts:
    """_Facts of one checkpoint, after its weights have been verified."""
    from audiomask.checkpoint import MODEL_FILE, load_checkpoint
    from audiomask.kinds import kind_of

    checkpoint = load_checkpoint(folder)
    card = folder / "README.md"
    return {
        "kind": checkpoint.kind,
        "title": kind_of(checkpoint.kind).title,
        "preset": checkpoint.preset,
        "fingerprint": checkpoint.fingerprint,
        "requires": dict(checkpoint.requires) or None,
        "parameters": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "bytes": (folder / MODEL_FILE).stat().st_size,
        "card": str(card) if card.exists() else None,
        "config": dict(checkpoint.config),
        "training": dict(checkpoint.notes),
    }


def _tokens(path: Path) -> _Facts:
    """_Facts of a token file."""
    from audiomask.tokens import load_tokens

    tokens = load_tokens(path)
    return {
        "format": "tokens",
        "seconds": round(tokens.duration, 3),
        "sample_rate": tokens.sample_rate,
        "channels": tokens.channels,
        "samples": tokens.num_samples,
        "levels": tokens.levels,
        "frames": tokens.frames,
        "codebook_size": tokens.codebook_size,
        "bits_a_second": round(tokens.bitrate),
        "stereo": tokens.stereo,
        "kind": tokens.kind,
        "fingerprint": tokens.fingerprint,
    }


def _recording(path: Path | str) -> _Facts:
    """_Facts of a recording."""
    from audiomask.audio.files import AudioFile
    from audiomask.audio.metadata.reading import read_metadata

    with AudioFile(path) as source:
        metadata = read_metadata(source)
        return {
            "format": f"{source.format} {source.subtype}",
            "seconds": round(source.frames / source.sample_rate, 3),
            "sample_rate": source.sample_rate,
            "channels": source.channels,
            "samples": source.frames,
            "tags": dict(metadata.tags) or None,
            "pictures": len(metadata.pictures) or None,
            "notes": list(source.notes) or None,
            "warnings": [*source.warnings, *[metadata.lost] * bool(metadata.lost)] or None,
        }
