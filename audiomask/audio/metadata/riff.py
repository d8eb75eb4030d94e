"""Chunks of WAV, RF64, BW64 and W64: reading, and making them from tags."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from audiomask.audio.metadata.id3 import read_id3, write_id3
from audiomask.audio.metadata.model import (
    LIMIT,
    Chunk,
    Layout,
    Metadata,
    Picture,
    Place,
    Tags,
    decode_text,
)
from audiomask.audio.metadata.moving import make_room
from audiomask.audio.metadata.wav_texts import (
    INFO,
    INFO_NAMES,
    TIME_REFERENCE,
    bext_names,
    encode,
    info_items,
    read_bext,
    write_bext,
    write_info,
)

#: chunks of the sample format, padding, and measurements of the samples, which are not copied
_CODING_CHUNKS = (
    *(b"fmt ", b"data", b"ds64", b"fact", b"JUNK", b"junk", b"FLLR", b"PAD ", b"MEXT"),
    *(b"PEAK", b"levl", b"LEVL", b"MD5 "),
)
# offset and bytes of bits a sample, valid bits, and channel mask
_FIELDS = ((14, 2), (18, 2), (20, 4))
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_W64_LIST = b"list" + bytes.fromhex("2f91cf11a5d628db04c10000")
_W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
_AMBISONIC = bytes.fromhex("00002107d3118644c8c1ca000000")
_MAX_CHUNKS = 65_536
_MAX_LOOPS = 1000

_Span = tuple[bytes, int, int]


def read_riff(stream: BinaryIO) -> Metadata:
    """All metadata of a WAV, RF64, BW64 or W64."""
    place, layout, total = Place.BEFORE_FORMAT, None, 0
    chunks: list[Chunk] = []
    lost = ""
    for name, start, size in _spans(stream):
        if name == b"data":
            place = Place.AFTER_DATA
            continue
        if name == b"fmt " and place is Place.BEFORE_FORMAT:
            total += size
            place = Place.BEFORE_DATA
            stream.seek(start)
            layout = _layout(stream.read(min(size, 40)))
        elif name in _CODING_CHUNKS:
            continue
        elif total + size > LIMIT:
            lost = f"its chunk {name.decode('latin-1')!r} is too large to be kept"
        else:
            total += size
            stream.seek(start)
            chunk = Chunk(name, stream.read(size), place)
            if chunk.content[:4] != b"wavl" or name != b"LIST":
                chunks.append(chunk)
    tags, pictures = _read_tags(chunks)
    return Metadata(tags, pictures, layout, "RIFF", tuple(chunks), lost)


def _read_tags(chunks: list[Chunk]) -> tuple[Tags, tuple[Picture, ...]]:
    """Tags and pictures in chunks; of a tag in several chunks, the first counts."""
    tags: list[tuple[str, str]] = []
    pictures: tuple[Picture, ...] = ()
    for chunk in chunks:
        found: Tags = ()
        if chunk.name == b"LIST" and chunk.content[:4] == b"INFO":
            found = tuple(
                (INFO[key], text)
                for key, value in info_items(chunk.content)
                if key in INFO and (text := decode_text(value))
            )
        elif chunk.name in (b"id3 ", b"ID3 "):
            found, more = read_id3(chunk.content)
            pictures = (*pictures, *more)
        elif chunk.name == b"bext":
            found = read_bext(chunk.content)
        known = {name for name, _ in tags}
        tags += [tag for tag in found if tag[0] not in known]
    return tuple(tags), pictures


def make_chunks(metadata: Metadata) -> tuple[Chunk, ...]:
    """The chunks for a WAV: the recording's own if it is a WAV, else made from its tags.

    INFO has the tags that it has names for; an ``id3`` chunk is added if there are others.
    """
    if metadata.container == "RIFF":
        return metadata.chunks
    tags = metadata.tags
    chunks = []
    if (reference := metadata.tag(TIME_REFERENCE)).isdecimal() and int(reference) < 1 << 64:
        chunks.append(Chunk(b"bext", write_bext(metadata, int(reference)), Place.BEFORE_FORMAT))
        tags = tuple(tag for tag in tags if tag[0] not in bext_names())
    named = [(INFO_NAMES[name], value) for name, value in tags if name in INFO_NAMES]
    if named:
        first = dict(reversed(named))
        items = [(key, encode(first[key])) for key in dict.fromkeys(key for key, _ in named)]
        chunks.append(Chunk(b"LIST", write_info(items)))
    if metadata.pictures or len(named) != len(tags) or len(dict(named)) != len(named):
        id3 = write_id3(tags, metadata.pictures)
        chunks += [Chunk(b"id3 ", id3)] if id3 else []
    return tuple(chunks)


def arrange(chunks: tuple[Chunk, ...], wide: bool) -> tuple[Chunk, ...]:
    """The chunks, those moved after the samples that libsndfile cannot skip on its way to them.

    Args:
        chunks: of a recording.
        wide: whether they go into RF64, where it cannot skip chunks of odd length; in others only
            malformed ``smpl`` and ``acid`` chunks.
    """

    def misleads(chunk: Chunk) -> bool:
        size = len(chunk.content)
        if chunk.name == b"smpl":
            loops = int.from_bytes(chunk.content[28:32], "little")
            return size != 36 + 24 * loops or loops > _MAX_LOOPS
        return (wide and size % 2 == 1) or (chunk.name == b"acid" and size != 24)

    return tuple(replace(c, place=Place.AFTER_DATA) if misleads(c) else c for c in chunks)


def pack(chunks: tuple[Chunk, ...], *places: Place) -> bytes:
    """The chunks of some places, with headers and padding, as bytes of a RIFF file."""
    return b"".join(
        chunk.name
        + struct.pack("<I", len(chunk.content))
        + chunk.content
        + bytes(len(chunk.content) % 2)
        for chunk in chunks
        if chunk.place in places and len(chunk.name) == 4
    )


def write_w64(file: BinaryIO, metadata: Metadata) -> None:
    """Insert chunks into a finished W64 file, open for reading and writing.

    All go before the samples: libsndfile reads the first bytes after the samples as sound. The
    padding to a multiple of 8 bytes is counted in a chunk's size, as libsndfile does not skip it
    after large chunks.
    """
    spans = {name: (start, size) for name, start, size in _spans(file)}
    (fmt, size), (data, _) = spans[b"fmt "], spans[b"data"]
    data -= 24
    file.seek(fmt)
    head = file.read(size)
    layout = metadata.layout
    packed = b""
    if layout is not None and head[:2] == b"\1\0":  # libsndfile supports it for integers only
        body = extensible(head[:16], layout)
        packed += b"fmt " + _W64_TAIL + struct.pack("<Q", 24 + len(body)) + body
        data = fmt - 24
        make_room(file, fmt + size + -size % 8, data - (fmt + size + -size % 8))
    for chunk in make_chunks(metadata):
        name = _W64_LIST if chunk.name == b"LIST" else (chunk.name + _W64_TAIL)[:16]
        content = chunk.content + bytes(-len(chunk.content) % 8)
        packed += name + struct.pack("<Q", 24 + len(content)) + content
    make_room(file, data, len(packed))
    file.seek(data)
    file.write(packed)
    size = file.seek(0, os.SEEK_END)
    file.seek(16)
    file.write(struct.pack("<Q", size))


def extensible(fmt: bytes, layout: Layout) -> bytes:
    """A ``fmt`` chunk's content with a layout.

    Args:
        fmt: the 16 bytes of a plain one: format code, channels, rate, bytes a second, bytes a
            frame, bits a sample.
        layout: the layout to add.
    """
    bits = fmt[14]
    valid = layout.valid_bits if bits - 8 < layout.valid_bits < bits else bits
    added = struct.pack("<HHI", 22, valid, layout.mask) + fmt[:2] + layout.family
    return b"\xfe\xff" + fmt[2:16] + added


def _layout(fmt: bytes) -> Layout | None:
    if len(fmt) < 40 or fmt[:2] != b"\xfe\xff":
        return None
    bits, valid, mask = (int.from_bytes(fmt[at : at + n], "little") for at, n in _FIELDS)
    family = fmt[26:40] if fmt[26:40] == _AMBISONIC else Layout(0).family
    return Layout(mask, 0 if valid == bits else valid, family)


def _spans(stream: BinaryIO) -> Iterator[_Span]:
    """Name, start and size of a file's complete chunks."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(40)
    if head[:16] == _W64_RIFF:
        yield from _w64_spans(stream, end)
        return
    wide, true, position = head[:4] != b"RIFF", 0, 12
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        name, size = _head(stream.read(8))
        if not name or position + 8 > end:
            return
        start = position + 8
        if name == b"ds64":
            true = int.from_bytes(stream.read(16)[8:], "little")
        if name == b"data":
            size = true if wide and size == 0xFFFFFFFF else size
            if start + size > end or (size == 0 and not _chunks_to_end(stream, start, end)):
                return  # the samples extend to the end, whatever the header says
        elif start + size > end:
            return
        yield name, start, size
        position = start + size + size % 2
        stream.seek(position)
        if size % 2 and not _head(stream.read(8))[0]:
            stream.seek(position - 1)  # some programs omit the padding byte
            if _head(stream.read(8))[0]:
                position -= 1


def _chunks_to_end(stream: BinaryIO, position: int, end: int) -> bool:
    """Whether only chunks follow; otherwise a data chunk of length 0 is an unfinished one."""
    while position < end:
        stream.seek(position)
        name, size = _head(stream.read(8))
        if not name:
            return False
        position += 8 + size + size % 2
    return position <= end + 1


def _w64_spans(stream: BinaryIO, end: int) -> Iterator[_Span]:
    position = 40
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(24)
        size = int.from_bytes(head[16:], "little") - 24
        if len(head) < 24 or size < 0 or position + 24 + size > end:
            return
        guid = head[:16]
        name = guid[:4] if guid[4:] == _W64_TAIL else b"LIST" if guid == _W64_LIST else guid
        yield name, position + 24, size
        position += 24 + size
        position += -position % 8


def _head(head: bytes) -> tuple[bytes, int]:
    """A chunk's name, empty if it is invalid, and its size."""
    if len(head) < 8 or not all(32 <= byte < 127 for byte in head[:4]):
        return b"", 0
    return head[:4], int.from_bytes(head[4:], "little")
