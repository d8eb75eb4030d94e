"""AIFF and CAF chunks: reading, and appending them to a finished file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from audiomask.audio.metadata.id3 import read_id3, write_id3
from audiomask.audio.metadata.model import (
    LIMIT,
    Chunk,
    Cursor,
    Layout,
    Metadata,
    Picture,
    Tags,
    decode_text,
)

_AIFF_CODING = (b"COMM", b"SSND", b"FVER", b"PEAK")
_CAF_CODING = (b"desc", b"data", b"kuki", b"pakt", b"free", b"ovvw", b"peak", b"edct")
_TEXTS = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
_CAF_NAMES = {
    **{"TRACK NUMBER": "TRACKNUMBER", "YEAR": "DATE", "RECORDED DATE": "DATE"},
    **{"TRACK": "TRACKNUMBER", "ALBUM_ARTIST": "ALBUMARTIST", "COMMENTS": "COMMENT"},
    **{"TEMPO": "BPM", "ENCODING APPLICATION": "ENCODER"},
}
#: Core Audio's tag of a layout given as a bitmap of loudspeakers
_BITMAP = 0x10000
_MAX_CHUNKS = 65_536


def read_iff(stream: BinaryIO) -> Metadata:
    """All metadata of an AIFF, AIFC or CAF."""
    stream.seek(0)
    caf = stream.read(4) == b"caff"
    coding = _CAF_CODING if caf else _AIFF_CODING
    chunks: list[Chunk] = []
    lost, total = "", 0
    for name, start, size in _spans(stream, caf):
        if name in coding:
            continue
        if total + size > LIMIT:
            lost = f"its chunk {name.decode('latin-1')!r} is too large to be kept"
            continue
        total += size
        stream.seek(start)
        chunks.append(Chunk(name, stream.read(size)))
    tags: list[tuple[str, str]] = []
    pictures: tuple[Picture, ...] = ()
    layout = None
    for chunk in chunks:
        found: Tags = ()
        if chunk.name in _TEXTS and not caf:
            found = ((_TEXTS[chunk.name], decode_text(chunk.content)),)
        elif chunk.name in (b"ID3 ", b"id3 "):
            found, more = read_id3(chunk.content)
            pictures = (*pictures, *more)
        elif chunk.name == b"info" and caf:
            found = _read_info(chunk.content)
        elif chunk.name.lower() == b"chan" and len(chunk.content) >= 12:
            tag, mask = struct.unpack(">II", chunk.content[:8])
            layout = Layout(mask) if tag == _BITMAP else None
        known = {name for name, _ in tags}
        tags += [tag for tag in found if tag[1] and tag[0] not in known]
    container = "CAF" if caf else "AIFF"
    return Metadata(tuple(tags), pictures, layout, container, tuple(chunks), lost)


def write_aiff(file: BinaryIO, metadata: Metadata) -> None:
    """Append the chunks to a finished AIFF file, open for reading and writing."""
    chunks = metadata.chunks_for("AIFF")
    if metadata.container != "AIFF":
        names = {name: key for key, name in _TEXTS.items()}
        texts = {names[n]: v for n, v in reversed(metadata.tags) if n in names}
        chunks = tuple(Chunk(name, _plain(texts[name])) for name in names.values() if name in texts)
        id3 = write_id3(metadata.tags, metadata.pictures)
        chunks += (Chunk(b"ID3 ", id3),) if id3 else ()
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2))
    for chunk in chunks:
        size = len(chunk.content)
        file.write(chunk.name + struct.pack(">I", size) + chunk.content + bytes(size % 2))
    size = file.tell() - 8
    file.seek(4)
    file.write(struct.pack(">I", size))


def write_caf(file: BinaryIO, metadata: Metadata) -> None:
    """Append the chunks to a finished CAF file, open for reading and writing."""
    there = {name for name, _, _ in _spans(file, caf=True)}
    chunks = [chunk for chunk in metadata.chunks_for("CAF") if chunk.name not in there]
    if metadata.container != "CAF" and metadata.tags:
        pairs = [f"{name.lower()}\0{value}\0".encode("utf-8", "replace")
                 for name, value in metadata.tags if "\0" not in value]  # fmt: skip
        chunks.append(Chunk(b"info", struct.pack(">I", len(pairs)) + b"".join(pairs)))
    layout = metadata.layout
    if metadata.container != "CAF" and layout is not None and layout.mask and b"chan" not in there:
        chunks.append(Chunk(b"chan", struct.pack(">III", _BITMAP, layout.mask, 0)))
    file.seek(0, os.SEEK_END)
    for chunk in chunks:
        file.write(chunk.name + struct.pack(">Q", len(chunk.content)) + chunk.content)


def _spans(stream: BinaryIO, caf: bool) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of a file's complete chunks."""
    end = stream.seek(0, os.SEEK_END)
    position, width = (8, 12) if caf else (12, 8)
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(width)
        size = int.from_bytes(head[4:], "big")
        if len(head) < width or position + width + size > end:
            return
        yield head[:4], position + width, size
        position += width + size + (0 if caf else size % 2)


def _read_info(content: bytes) -> Tags:
    cursor = Cursor(content, "big")
    try:
        cursor.number()
    except ValueError:
        return ()
    words = [word.decode("utf-8", "replace") for word in cursor.rest().split(b"\0")]
    pairs = zip(words[::2], words[1::2], strict=False)
    return tuple((_CAF_NAMES.get(key.upper(), key.upper()), value) for key, value in pairs if key)


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "replace")
