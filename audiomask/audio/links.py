"""Links: streams that lie in one file one behind the other, each with a beginning of its own.

Chained Ogg files (radio recordings) and FLAC files joined with ``cat`` are such files. libsndfile
reads the first of their streams and takes its end for the file's.
"""

from __future__ import annotations

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
            return list(zip(starts, [*starts[1:], len(data)], strict=True))


def may_be_chained(path: Path) -> bool:
    """Whether an Ogg file could have several links, told from a few of its pages.

    At its end and at places between, a file of one link has pages of the streams that it begins
    with, of ever later times. Whether others are chained ``find_links`` finds out.
    """
    with path.open("rb") as source:
        if source.read(4) != b"OggS":
            return False
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
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
                    if page.serial not in known:
                        return True
                    if page.granule < 0:  # no packet ends on the page
                        continue
                    if page.granule < times.get(page.serial, 0):
                        return True
                    times[page.serial] = page.granule
            return False


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
