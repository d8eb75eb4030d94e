"""Links: the streams of a file that holds several, one after the other.

Chained Ogg files (radio recordings) and FLAC files joined with ``cat`` are such files. libsndfile
reads the first stream only.
"""

from __future__ import annotations

import itertools
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: bytes [start, stop) of a file
Span = tuple[int, int]

#: the flag of pages that begin a stream
_FIRST = 2
_PAGE = struct.Struct("<4sBBqIIIB")
#: bytes of the longest page
_LONGEST = 27 + 255 + 255 * 255
#: bytes at a FLAC file's end in which its last frame begins
_FLAC_TAIL = 1 << 18
# the beginning of a FLAC file: its mark and the header of STREAMINFO, which may be the last block
_MARKS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")


class _Page(NamedTuple):
    """The header of an Ogg page: its bytes [start, stop), flags, time and stream."""

    start: int
    stop: int
    flags: int
    granule: int
    serial: int


def find_links(path: Path) -> list[Span]:
    """The links of a file, which is read to its end; at most one for files without several."""
    with path.open("rb") as source:
        if source.read(4) not in (b"OggS", b"fLaC"):
            return []
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
            starts = _ogg_starts(data) if data[:4] == b"OggS" else _flac_starts(data)
            return list(itertools.pairwise([*starts, len(data)]))


def may_be_chained(path: Path) -> bool:
    """Whether a file could have several links, judging by a few parts of it.

    ``find_links`` reads all of the file to make sure.
    """
    with path.open("rb") as source:
        mark = source.read(4)
        if mark not in (b"OggS", b"fLaC"):
            return False
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _may_be_ogg_chain(data) if mark == b"OggS" else _may_be_flac_chain(data)


def _may_be_ogg_chain(data: mmap.mmap) -> bool:
    """Whether pages at places in an Ogg file are of other streams than its first, or of earlier
    times than pages before them.
    """
    known: set[int] = set()
    for page in _pages(data, 0, 2 * _LONGEST):
        if not page.flags & _FIRST:
            break
        known.add(page.serial)
    times: dict[int, int] = {}
    seen = 0
    for part in (1, 2, 3, 4):
        end = len(data) * part // 4
        for page in _pages(data, max(end - 2 * _LONGEST, seen), end):
            seen = page.stop
            if page.serial not in known or 0 <= page.granule < times.get(page.serial, 0):
                return True
            if page.granule >= 0:  # negative: no packet ends on the page
                times[page.serial] = page.granule
    return False


def _may_be_flac_chain(data: mmap.mmap) -> bool:
    """Whether a FLAC file's last frame ends with another sample than its header says."""
    size, total = int.from_bytes(data[10:12], "big"), int.from_bytes(data[21:26], "big")
    total &= (1 << 36) - 1
    place = len(data)
    while total and (place := data.rfind(b"\xff", len(data) - _FLAC_TAIL, place)) >= 0:
        end = flac_frame_end(data[place : place + 16], size)
        if end is not None:
            return end != total
    return bool(total)


def flac_frame_end(head: bytes, size: int) -> int | None:
    """The number of the sample after a FLAC frame; None if these bytes begin no frame.

    Args:
        head: 16 bytes.
        size: samples of a frame, in files of a fixed block size.
    """
    if len(head) < 16 or head[1] & 0xFE != 0xF8 or head[4] == 0xFF:
        return None
    code = head[2] >> 4
    extra = max(8 - (head[4] ^ 0xFF).bit_length() - 1, 0)  # bytes after the number's first
    number = head[4] & (0x7F if not extra else (1 << (6 - extra)) - 1)
    for byte in head[5 : 5 + extra]:
        number = number << 6 | byte & 0x3F
    place = 5 + extra
    block = (
        192 if code == 1 else 576 << code - 2 if code in range(2, 6) else 256 << max(code - 8, 0)
    )
    if code in (6, 7):
        block = int.from_bytes(head[place : place + code - 5], "big") + 1
        place += code - 5
    place += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    check = 0
    for byte in head[:place]:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    if not code or check != head[place]:
        return None
    return (number if head[1] & 1 else number * size) + block


def _ogg_starts(data: mmap.mmap) -> list[int]:
    """Starts of links: pages that begin a stream, after pages that do not."""
    starts, beginning = [], False
    for page in _pages(data, 0, len(data)):
        first = bool(page.flags & _FIRST)
        if first and not beginning:
            starts.append(page.start)
        beginning = first
    return starts


def _pages(data: mmap.mmap, place: int, end: int) -> Iterator[_Page]:
    """The pages that begin from ``place`` on, before ``end``."""
    while (place := _mark(data, place, end)) >= 0:
        head = data[place : place + _PAGE.size]
        if len(head) < _PAGE.size:
            return
        _, version, flags, granule, serial, _, _, segments = _PAGE.unpack(head)
        if version or flags > 7:  # the mark by chance, within audio data
            place += 1
            continue
        body = place + _PAGE.size
        stop = body + segments + sum(data[body : body + segments])
        yield _Page(place, stop, flags, granule, serial)
        place = stop


def _mark(data: mmap.mmap, place: int, end: int) -> int:
    return place if data[place : place + 4] == b"OggS" else data.find(b"OggS", place, end)


def _flac_starts(data: mmap.mmap) -> list[int]:
    """Starts of FLAC streams, of which the first is 0."""
    starts, place = [0], _behind_blocks(data)
    while found := [at for mark in _MARKS if (at := data.find(mark, place)) >= 0]:
        starts.append(min(found))
        place = starts[-1] + len(_MARKS[0])
    return starts


def _behind_blocks(data: mmap.mmap) -> int:
    """Start of a FLAC file's audio frames; its metadata may contain marks by chance."""
    place, last = 4, False
    while not last and place + 4 <= len(data):
        last = bool(data[place] & 0x80)
        place += 4 + int.from_bytes(data[place + 1 : place + 4], "big")
    return place
