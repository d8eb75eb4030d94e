"""FLAC's metadata blocks: reading, and replacing them in a finished file."""

from __future__ import annotations

import os
from typing import BinaryIO

from audiomask.audio.metadata import vorbis
from audiomask.audio.metadata.model import (
    LIMIT,
    SPEAKER_MASKS,
    Chunk,
    Layout,
    Metadata,
    Picture,
)
from audiomask.audio.metadata.moving import make_room

_STREAMINFO, _PADDING, _APPLICATION, _SEEKTABLE, _COMMENTS, CUESHEET, _PICTURES = range(7)
#: blocks that describe the coded audio, and are not copied
_CODING_BLOCKS = (_STREAMINFO, _PADDING, _SEEKTABLE)
_LARGEST = (1 << 24) - 1
_MASK = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"


def read_flac(stream: BinaryIO, start: int = 0) -> Metadata:
    """The blocks of a FLAC file that begins at ``start``."""
    chunks, _ = _blocks(stream, start, LIMIT)
    tags: list[tuple[str, str]] = []
    pictures: list[Picture] = []
    kept: list[Chunk] = []
    channels = 0
    for chunk in chunks:
        kind = chunk.name[0]
        if kind == _COMMENTS:
            tags += vorbis.read_comments(chunk.content)[1]
        elif kind == _PICTURES and (picture := vorbis.read_picture(chunk.content)) is not None:
            pictures.append(picture)
        elif kind == _STREAMINFO and len(chunk.content) >= 13:
            channels = (chunk.content[12] >> 1 & 7) + 1
        if kind not in _CODING_BLOCKS:
            kept.append(chunk)
    masks = [value for name, value in tags if name == _MASK]
    others, inside = vorbis.take_pictures(tuple(tag for tag in tags if tag[0] != _MASK))
    layout = _layout(masks[0] if masks else "", channels)
    return Metadata(
        vorbis.description_to_comment(others), (*pictures, *inside), layout, "FLAC", tuple(kept)
    )


def write_flac(file: BinaryIO, metadata: Metadata, channels: int) -> str:
    """Replace the metadata blocks of a finished FLAC file, open for reading and writing.

    Returns:
        A sentence on what did not fit, or ``""``.
    """
    old, audio = _blocks(file, 0, LIMIT)
    given = metadata.chunks_for("FLAC")
    vendor = next((vorbis.read_comments(c.content)[0] for c in old if c.name[0] == _COMMENTS), b"")
    blocks = [(c.name[0], c.content) for c in given]
    kinds = {kind for kind, _ in blocks}
    if _COMMENTS not in kinds:
        tags = metadata.tags
        layout = metadata.layout
        if layout is not None and layout.mask and layout.mask != SPEAKER_MASKS.get(channels):
            tags = (*tags, (_MASK, f"0x{layout.mask:04X}"))
        blocks.insert(0, (_COMMENTS, vorbis.write_comments(vendor, tags)))
    if _PICTURES not in kinds:
        blocks += [(_PICTURES, vorbis.write_picture(picture)) for picture in metadata.pictures]
    fitting = [(kind, content) for kind, content in blocks if len(content) <= _LARGEST]
    info = next(chunk.content for chunk in old if chunk.name[0] == _STREAMINFO)
    fitting.insert(0, (_STREAMINFO, info))
    head = b"fLaC"
    for number, (kind, content) in enumerate(fitting, 1):
        last = 0x80 if number == len(fitting) else 0
        head += bytes([kind | last]) + len(content).to_bytes(3, "big") + content
    make_room(file, audio, len(head) - audio)
    file.seek(0)
    file.write(head)
    return "" if len(fitting) == len(blocks) + 1 else "FLAC holds no picture of 16 MiB or more"


def _blocks(stream: BinaryIO, start: int, limit: int) -> tuple[list[Chunk], int]:
    """All blocks up to ``limit`` bytes in all, and the start of the audio frames."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    chunks: list[Chunk] = []
    if stream.read(4) != b"fLaC":
        return chunks, start
    position, total = start + 4, 0
    while position + 4 <= end:
        stream.seek(position)
        head = stream.read(4)
        size = int.from_bytes(head[1:], "big")
        position += 4 + size
        if position > end:
            break
        total += size
        if total <= limit and head[0] & 0x7F != _PADDING:
            chunks.append(Chunk(bytes([head[0] & 0x7F]), stream.read(size)))
        if head[0] & 0x80:
            break
    return chunks, position


def _layout(tag: str, channels: int) -> Layout | None:
    try:
        mask = int(tag, 16)
    except ValueError:
        mask = 0
    if 0 < mask < 1 << 32:
        return Layout(mask)
    return Layout(SPEAKER_MASKS[channels]) if channels in SPEAKER_MASKS else None
