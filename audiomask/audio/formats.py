"""Formats: containers and subtypes by file name ending."""

from __future__ import annotations

from pathlib import Path

import soundfile

from audiomask.audio import aac
from audiomask.audio.pcm import BITS, FLOATING
from audiomask.errors import UsageError

#: container and default subtype by ending
ENDINGS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "oga": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "m4a": (aac.CONTAINER, aac.CODING),
    "aiff": ("AIFF", "PCM_16"),
    "aif": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
}


def default_subtype(source_subtype: str | None, format: str) -> str:
    """The subtype of an output in ``format``, without loss if possible.

    Args:
        source_subtype: the input's subtype, if there is one.
        format: an ending or container name.

    Returns:
        The input's subtype where the format has it, else the nearest one (FLAC has no PCM_32:
        PCM_24); PCM_16 for lossy inputs; the only subtype of lossy formats.
    """
    container, usual = _known(format)
    if source_subtype is None or usual not in BITS:
        return usual
    available = soundfile.available_subtypes(container)
    bits = BITS.get(source_subtype)
    if source_subtype in FLOATING:
        wanted = [source_subtype, "PCM_24"]
    elif bits is None:
        wanted = ["PCM_16"]
    elif bits == 8:
        wanted = ["PCM_U8", "PCM_S8"]
    else:
        wanted = [f"PCM_{16 if bits == 16 else 32 if bits == 32 else 24}", "PCM_24"]
    return next((subtype for subtype in wanted if subtype in available), usual)


def _known(format: str) -> tuple[str, str]:
    key = format.lower()
    if key not in ENDINGS:
        raise UsageError(f"cannot write {format!r}; choose one of {', '.join(ENDINGS)}")
    return ENDINGS[key]


def choose_format(path: Path | str, format: str | None, streamed: bool) -> tuple[str, str]:
    """Container and default subtype of a file to be written.

    Args:
        path: the file.
        format: an ending; the path's when None.
        streamed: whether it is a stream, which is WAV unless an ending is given.

    Raises:
        UsageError: files with this ending cannot be written.
    """
    if format is not None:
        return _known(format)
    if streamed:
        return ENDINGS["wav"]
    ending = Path(path).suffix[1:].lower()
    if ending not in ENDINGS:
        raise UsageError(f"{path}: ends with no known format; choose {', '.join(ENDINGS)}")
    return ENDINGS[ending]
