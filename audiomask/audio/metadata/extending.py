"""Metadata for a recording that has been extended: times that move with its sound."""

from __future__ import annotations

import struct
from dataclasses import replace

from audiomask.audio.metadata.flac import CUESHEET
from audiomask.audio.metadata.model import Chunk, Metadata
from audiomask.audio.metadata.wav_texts import TIME_REFERENCE

#: chunks whose times are not known here, by container; dropped where the beginning moves
_UNKNOWN_TIMES = {
    "AIFF": (b"MARK", b"INST", b"COMT"),
    "CAF": (b"mark", b"regn", b"ovvw"),
    "RIFF": (b"plst", b"axml", b"r64m"),
}
#: what an iXML chunk with a time code of its own has
_IXML_TIME = b"TIMESTAMP_SAMPLES_SINCE_MIDNIGHT"
#: bytes of a bext chunk's time code
_TIME_CODE = slice(338, 346)


def for_extended(metadata: Metadata, before: int, after: int) -> Metadata:
    """Metadata for a recording with samples added.

    The time code is that of the new beginning; cue points and sample loops stay at their sound.
    What cannot be moved is left out, and told in ``lost``.

    Args:
        metadata: the recording's.
        before, after: samples added at its beginning and end.
    """
    lost = [metadata.lost] if metadata.lost else []
    chunks, tags = [], metadata.tags
    for chunk in metadata.chunks:
        if metadata.container == "FLAC" and chunk.name[0] == CUESHEET and (before or after):
            lost.append("its cue sheet is about the recording alone and was left out")
        elif before and (
            chunk.name in _UNKNOWN_TIMES.get(metadata.container, ())
            or (chunk.name == b"iXML" and _IXML_TIME in chunk.content)
        ):
            name = chunk.name.decode("latin-1").strip()
            lost.append(f"its chunk {name!r} has times of the recording alone and was left out")
        elif before and metadata.container == "RIFF":
            chunks.append(_moved(chunk, before))
        else:
            chunks.append(chunk)
    if before:
        reference = metadata.tag(TIME_REFERENCE)
        if reference.isdecimal():
            first = max(int(reference) - before, 0)
            tags = tuple(
                (name, str(first)) if name == TIME_REFERENCE else (name, value)
                for name, value in tags
            )
            if int(reference) < before:
                lost.append("its time code begins at midnight, and what leads into it before that")
    return replace(metadata, tags=tags, chunks=tuple(chunks), lost="; ".join(lost))


def _moved(chunk: Chunk, samples: int) -> Chunk:
    """A WAV's chunk with its times moved by some samples; unchanged if it is malformed."""
    content = bytearray(chunk.content)
    if chunk.name == b"bext" and len(content) >= _TIME_CODE.stop:
        reference = int.from_bytes(content[_TIME_CODE], "little")
        content[_TIME_CODE] = max(reference - samples, 0).to_bytes(8, "little")
    elif chunk.name == b"cue " and len(content) >= 4:
        _add(content, 4, 24, (4, 20), samples)
    elif chunk.name == b"smpl" and len(content) >= 36:
        _add(content, 36, 24, (8, 12), samples)
    return replace(chunk, content=bytes(content))


def _add(content: bytearray, start: int, size: int, fields: tuple[int, int], samples: int) -> None:
    """Add to two 32-bit fields of every entry, in place; an entry beyond 32 bits stays."""
    for at in range(start, len(content) - size + 1, size):
        for field in fields:
            (value,) = struct.unpack_from("<I", content, at + field)
            if value + samples < 1 << 32:
                struct.pack_into("<I", content, at + field, value + samples)
