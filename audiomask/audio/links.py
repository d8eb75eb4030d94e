"""Links: streams that lie in one file one behind the other, each with a beginning of its own.

Chained Ogg files (radio recordings) and FLAC files joined with ``cat`` are such files. libsndfile
reads the first of their streams and takes its end for the file's.
"""

from __future__ import annotations

import itertools
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: a part of a file, in bytes: where it begins, and where what follows does
Span = tuple[int, int]

#: the flag of pages that begin a stream
_FIRST = 2
_PAGE = struct.Struct("<4sBBqIIIB")
#: no page is longer; what is read at once to find one
_LONGEST = 27 + 255 + 255 * 255
#: where the last frame of a FLAC file is looked for: it is shorter
_FLAC_TAIL = 1 << 18
# how a FLAC file begins: its mark, and the head of the block that tells its form, maybe its last
_MARKS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")


class _Page(NamedTuple):
    """The head of an Ogg page: where it and the next begin, its flags, stream and time."""

    start: int
    stop: int
    flags: int
    granule: int
    serial: int


def find_links(path: Path) -> list[Span]:
    """The links of a file, by walking through all of it; one or none for all other files."""
    with path.open("rb") as source:
        if source.read(4) not in (b"OggS", b"fLaC"):
            return []
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
            starts = _ogg_starts(data) if data[:4] == b"OggS" else _flac_starts(data)
            return list(itertools.pairwise([*starts, len(data)]))


def may_be_chained(path: Path) -> bool:
    """Whether a file could have several links, told from a little of it.

    Whether it has ``find_links`` finds out, which reads all of the file.
    """
    with path.open("rb") as source:
        mark = source.read(4)
        if mark not in (b"OggS", b"fLaC"):
            return False
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _may_be_ogg_chain(data) if mark == b"OggS" else _may_be_flac_chain(data)


def _may_be_ogg_chain(data: mmap.mmap) -> bool:
    """At its end and at places between, an Ogg file of one link has pages of the streams that it
    begins with, of ever later times.
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
            if page.granule >= 0:  # otherwise no packet ends on the page
                times[page.serial] = page.granule
    return False


def _may_be_flac_chain(data: mmap.mmap) -> bool:
    """The last frame of a FLAC file of one link ends with the sample that its head tells of."""
    size, total = int.from_bytes(data[10:12], "big"), int.from_bytes(data[21:26], "big")
    total &= (1 << 36) - 1
    place = len(data)
    while total and (place := data.rfind(b"\xff", len(data) - _FLAC_TAIL, place)) >= 0:
        end = _flac_frame_end(data[place : place + 16], size)
        if end is not None:
            return end != total
    return bool(total)


def _flac_frame_end(head: bytes, size: int) -> int | None:
    """The number of the sample behind a FLAC frame; None if none begins with these bytes.

    Args:
        head: the 16 bytes that it would begin with.
        size: samples of a frame where all have as many.
    """
    if len(head) < 16 or head[1] & 0xFE != 0xF8:
        return None
    code = head[2] >> 4
    extra = max(8 - (head[4] ^ 0xFF).bit_length() - 1, 0)  # bytes behind the number's first
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
    """Where links begin: with pages that begin streams, behind others that do not."""
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
        if version or flags > 7:  # the mark within the sound
            place += 1
            continue
        body = place + _PAGE.size
        stop = body + segments + sum(data[body : body + segments])
        yield _Page(place, stop, flags, granule, serial)
        place = stop


def _mark(data: mmap.mmap, place: int, end: int) -> int:
    return place if data[place : place + 4] == b"OggS" else data.find(b"OggS", place, end)


def _flac_starts(data: mmap.mmap) -> list[int]:
    """Where FLAC streams begin, the first of which does so at once."""
    starts, place = [0], _behind_blocks(data)
    while found := [at for mark in _MARKS if (at := data.find(mark, place)) >= 0]:
        starts.append(min(found))
        place = starts[-1] + len(_MARKS[0])
    return starts


def _behind_blocks(data: mmap.mmap) -> int:
    """Where the sound of a FLAC file begins: a picture in its head may hold anything."""
    place, last = 4, False
    while not last and place + 4 <= len(data):
        last = bool(data[place] & 0x80)
        place += 4 + int.from_bytes(data[place + 1 : place + 4], "big")
    return place
