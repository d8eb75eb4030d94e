"""Ogg: reading the comment packet of Vorbis, Opus and FLAC, and replacing it in a finished file.

A longer comment takes more pages; every page after it then gets another number and checksum.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from audiomask.audio.metadata import vorbis
from audiomask.audio.metadata.model import LIMIT, SPEAKER_MASKS, Layout, Metadata
from audiomask.audio.metadata.moving import make_room

_VORBIS, _OPUS = b"\x03vorbis", b"OpusTags"
#: by number of channels, the position in WAV's order of each channel of Vorbis and Opus
CHANNEL_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class _Page:
    """The start of a page, and its header: 27 bytes and the table of segment sizes."""

    start: int
    head: bytes

    @property
    def size(self) -> int:
        return len(self.head) + sum(self.head[27:])

    @property
    def serial(self) -> bytes:
        return self.head[14:18]


def read_ogg(stream: BinaryIO) -> Metadata:
    """Tags and pictures of the first stream of an Ogg file."""
    packets, _ = _headers(stream, 2)
    if len(packets) < 2:
        return Metadata(container="OGG")
    first, comment = packets
    channels = 0
    if first[:7] == b"\x01vorbis" and comment[:7] == _VORBIS:
        content, channels = comment[7:], first[11] if len(first) > 11 else 0
    elif first[:8] == b"OpusHead" and comment[:8] == _OPUS:
        content, channels = comment[8:], first[9] if len(first) > 9 else 0
    elif first[1:5] == b"FLAC" and len(comment) >= 4:
        content = comment[4:]
    else:
        return Metadata(container="OGG")
    tags, pictures = vorbis.take_pictures(vorbis.read_comments(content)[1])
    layout = Layout(SPEAKER_MASKS[channels]) if channels in SPEAKER_MASKS else None
    return Metadata(vorbis.description_to_comment(tags), pictures, layout, "OGG")


def write_ogg(file: BinaryIO, metadata: Metadata) -> None:
    """Replace tags and pictures of a finished Ogg file, open for reading and writing.

    Raises:
        ValueError: its first stream is neither Vorbis nor Opus.
    """
    packets, audio = _headers(file, 3)
    tags = (*metadata.tags, *map(vorbis.picture_tag, metadata.pictures))
    if len(packets) == 3 and packets[1][:7] == _VORBIS:
        vendor, _ = vorbis.read_comments(packets[1][7:])
        comment = _VORBIS + vorbis.write_comments(vendor, tags) + b"\1"
        behind = [comment, packets[2]]
    else:
        packets, audio = _headers(file, 2)
        if len(packets) < 2 or packets[1][:8] != _OPUS:
            raise ValueError("neither Vorbis nor Opus")
        vendor, _ = vorbis.read_comments(packets[1][8:])
        behind = [_OPUS + vorbis.write_comments(vendor, tags)]
    pages = list(_pages(file, audio))
    serial, start, old = pages[0].serial, pages[0].size, len(pages)
    made = list(_paginate(behind, serial))
    body = b"".join(made)
    shift = start + len(body) - audio
    make_room(file, audio, shift)
    file.seek(start)
    file.write(body)
    if len(made) + 1 != old:
        _renumber(file, audio + shift, len(made) + 1 - old)


def _pages(stream: BinaryIO, stop: int, start: int = 0) -> Iterator[_Page]:
    """The pages that begin in [start, stop)."""
    while start < stop:
        stream.seek(start)
        head = stream.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        page = _Page(start, head + stream.read(head[26]))
        if len(page.head) < 27 + head[26]:
            return
        yield page
        start += page.size


def _headers(stream: BinaryIO, count: int) -> tuple[list[bytes], int]:
    """The first packets of the first stream, and the start of the page after them."""
    end = stream.seek(0, os.SEEK_END)
    packets: list[bytes] = []
    parts: list[bytes] = []
    total, serial, after = 0, None, 0
    for page in _pages(stream, end):
        serial = page.serial if serial is None else serial
        if page.serial != serial:
            continue
        after = page.start + page.size
        stream.seek(page.start + len(page.head))
        body = stream.read(page.size - len(page.head))
        at = 0
        for size in page.head[27:]:
            parts.append(body[at : at + size])
            at += size
            total += size
            if size < 255:
                packets.append(b"".join(parts))
                parts = []
                if len(packets) == count:
                    return packets, after
        if total > LIMIT:
            break
    return packets, after


def _paginate(packets: list[bytes], serial: bytes) -> Iterator[bytes]:
    """Pages of header packets, numbered from 1."""
    sizes: list[int] = []
    for packet in packets:
        sizes += [255] * (len(packet) // 255) + [len(packet) % 255]
    content, at, continued = b"".join(packets), 0, False
    for number, first in enumerate(range(0, len(sizes), 255), 1):
        table = sizes[first : first + 255]
        # granule position 0, or -1 where no packet ends on the page
        granule = bytes(8) if any(size < 255 for size in table) else b"\xff" * 8
        head = b"OggS\0" + bytes([int(continued)]) + granule + serial
        head += number.to_bytes(4, "little") + bytes(4) + bytes([len(table)]) + bytes(table)
        body = content[at : at + sum(table)]
        at += len(body)
        yield _signed(head, body)
        continued = table[-1] == 255


def _renumber(file: BinaryIO, start: int, shift: int) -> None:
    """Add to the number of every page from ``start`` on."""
    end = file.seek(0, os.SEEK_END)
    for page in _pages(file, end, start):
        number = int.from_bytes(page.head[18:22], "little") + shift
        file.seek(page.start + len(page.head))
        body = file.read(page.size - len(page.head))
        head = page.head[:18] + number.to_bytes(4, "little") + page.head[22:]
        file.seek(page.start)
        file.write(_signed(head, body))


def _signed(head: bytes, body: bytes) -> bytes:
    """A page with its checksum: zlib's, bytes and sum bit-reversed, without its inversions."""
    page = head[:22] + bytes(4) + head[26:] + body
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[:22] + mirrored.to_bytes(4, "little").translate(_MIRRORED)[::-1] + page[26:]
