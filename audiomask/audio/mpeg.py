"""MPEG audio (MP1, MP2, MP3): the true length of a file, from its frames.

libsndfile takes an MP3's length from its Xing, Info or VBRI header, or estimates it, and reads no
further: it misses part of joined files and of files without such a header.
"""

from __future__ import annotations

import functools
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from audiomask.audio.metadata.id3 import tag_size

# bits a second / 1000 by version (1, or 2 and 2.5) and layer, at indices 1 to 14
_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8000),
}
#: consecutive frames that make sure that frame headers are no chance
_MIN_RUN = 3
#: marks of length headers, and of tags between streams
_NAMES, _TAGS = (b"Xing", b"Info", b"VBRI"), (b"ID3", b"APETAGEX")
#: samples of encoder padding that decoders may remove
_PADDING = 4608
#: bytes of the longest frame
_LONGEST = 2881
#: bytes after the tags in which the first frame is searched for
_NEAR = 1 << 20


class _Frame(NamedTuple):
    """The second and third byte of a frame decoded: bytes, samples, sample rate, kind."""

    size: int
    samples: int
    rate: int
    kind: int


@dataclass(frozen=True)
class _Stream:
    """The frames of a file.

    Attributes:
        seconds: their duration.
        samples: per channel, whatever the sample rates.
        declared: samples according to the length header; None where there is none.
        joined: whether another length header follows later.
        uniform: whether all frames have one sample rate and number of channels.
    """

    seconds: float
    samples: int
    declared: int | None
    joined: bool
    uniform: bool

    @property
    def missing(self) -> int:
        """Declared samples that are not in the file."""
        declared = self.declared or 0
        return declared - self.samples if declared - self.samples > _PADDING else 0

    def exceeds(self, samples: int) -> bool:
        """Whether a decoder that returns that many samples misses some of the file."""
        return self.joined or not self.uniform or self.samples - samples > _PADDING


def has_exact_header(path: Path) -> bool:
    """Whether a file has a length header, and ends where that says.

    libsndfile reads such a file to its end. Only the beginning and the end of the file are read;
    ``scan_frames`` examines others.
    """
    with path.open("rb") as source, _view(source.fileno()) as data:
        end = _without_tags(data)
        start = _first(data, end)
        if start is None:
            return False
        declared = _declared(data, start)
        return declared is not None and end <= start + declared[1] + 2 * _LONGEST


def scan_frames(path: Path) -> _Stream | None:
    """Read the headers of all frames of a file.

    Returns:
        Their totals; None where there are no frames of known length (free bit rate).
    """
    with path.open("rb") as source, _view(source.fileno()) as data:
        end = _without_tags(data)
        start = _first(data, end)
        return None if start is None else _walk(data, start, end)


def _walk(data: mmap.mmap, start: int, end: int) -> _Stream:
    known = _frames()
    head = _declared(data, start)
    samples, seconds, joined = 0, 0.0, False
    forms: dict[tuple[int, bool], int] = {}
    kind = known[data[start + 1] << 8 | data[start + 2]].kind
    place: int | None = start
    while place is not None and place + 4 <= end:
        frame = known.get(data[place + 1] << 8 | data[place + 2]) if data[place] == 0xFF else None
        if frame is None or frame.kind != kind:
            place = _next(data, place, end)
            if place is not None:
                kind = known[data[place + 1] << 8 | data[place + 2]].kind
            continue
        if place + frame.size > end:
            break
        joined = joined or (place > start and _declared(data, place) is not None)
        if place > start or head is None:
            samples += frame.samples
            seconds += frame.samples / frame.rate
            form = (frame.rate, data[place + 3] >> 6 == 3)
            forms[form] = forms.get(form, 0) + 1
        place += frame.size
    uniform = sum(number >= _MIN_RUN for number in forms.values()) < 2
    return _Stream(seconds, samples, None if head is None else head[0], joined, uniform)


def _declared(data: mmap.mmap, place: int) -> tuple[int, int] | None:
    """Samples and bytes according to a frame's length header; None for other frames."""
    frame = _frames()[data[place + 1] << 8 | data[place + 2]]
    mono = data[place + 3] >> 6 == 3
    first = data[place + 1] >> 3 & 3 == 3
    checked = 0 if data[place + 1] & 1 else 2
    side = (17 if mono else 32) if first else (9 if mono else 17)
    for begin in (place + 4 + side, place + 4 + side + checked):
        if data[begin : begin + 4] not in _NAMES[:2]:
            continue
        if begin + 16 > len(data) or data[begin + 7] & 3 != 3:
            return None
        count = int.from_bytes(data[begin + 8 : begin + 12], "big")
        size = int.from_bytes(data[begin + 12 : begin + 16], "big")
        return (count * frame.samples, size) if count and size else None
    begin = place + 36
    if data[begin : begin + 4] == _NAMES[2]:
        size = int.from_bytes(data[begin + 10 : begin + 14], "big")
        count = int.from_bytes(data[begin + 14 : begin + 18], "big")
        return (count * frame.samples, size) if count and size else None
    return None


def _first(data: mmap.mmap, end: int) -> int | None:
    """Start of the first frame, after tags; None where there is none."""
    return _next(data, 0, min(end, _behind_tags(data, 0, end) + _NEAR))


def _next(data: mmap.mmap, place: int, end: int) -> int | None:
    """The next start, from ``place`` on, of consecutive frames; None where there is none."""
    while place + 4 <= end:
        behind = _behind_tags(data, place, end)
        if behind > place:
            place = behind
            continue
        if _is_run(data, place, end):
            return place
        found = data.find(b"\xff", place + 1, end)
        tag = min((t for n in _TAGS if (t := data.find(n, place + 1, found)) >= 0), default=-1)
        place = tag if tag >= 0 else found
        if place < 0:
            return None
    return None


def _is_run(data: mmap.mmap, place: int, end: int) -> bool:
    """Whether ``_MIN_RUN`` frames of one kind begin here, or fewer up to the end."""
    known = _frames()
    kind = None
    for number in range(_MIN_RUN):
        if number and place + 4 > end:
            return True
        if data[place] != 0xFF:
            return bool(number) and _behind_tags(data, place, end) > place
        frame = known.get(data[place + 1] << 8 | data[place + 2])
        if frame is None or (kind is not None and frame.kind != kind):
            return bool(number) and _behind_tags(data, place, end) > place
        kind = frame.kind
        place += frame.size
    return True


def _behind_tags(data: mmap.mmap, place: int, end: int) -> int:
    """The end of the tags that begin at ``place``; ``place`` itself where none does."""
    while True:
        head = data[place : place + 32]
        if size := tag_size(head):
            place += size
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size = int.from_bytes(head[12:16], "little")
            place += 32 + (size if head[23] & 0x20 else 0)
        elif head[:3] == b"TAG" and place + 128 <= end:
            place += 128
        else:
            return min(place, end)


def _without_tags(data: mmap.mmap) -> int:
    """The end of the frames, before trailing tags (ID3v1, APE, Lyrics3)."""
    end = len(data)
    while True:
        tail = data[max(end - 128, 0) : end]
        if tail[:3] == b"TAG" and len(tail) == 128:
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            size = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
            if not 32 <= size <= end:
                return end
            end -= size
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end = max(end - 15 - int(tail[-15:-9]), 0)
        else:
            return end


def _view(number: int) -> mmap.mmap:
    return mmap.mmap(number, 0, access=mmap.ACCESS_READ)


@functools.cache
def _frames() -> dict[int, _Frame]:
    """All valid second and third bytes of frames of known length, decoded."""
    found = {}
    for code in range(0xE000, 0x10000):
        version, layer = code >> 11 & 3, 4 - (code >> 9 & 3)
        index, rates = code >> 4 & 15, _SAMPLE_RATES.get(version)
        if layer == 4 or rates is None or not 1 <= index <= 14 or code >> 2 & 3 == 3:
            continue
        rate = rates[code >> 2 & 3]
        generation = 1 if version == 3 else 2
        bits, padding = 1000 * _RATES[generation, layer][index - 1], code >> 1 & 1
        samples = 384 if layer == 1 else 576 if layer == 3 and generation == 2 else 1152
        size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate
        size += 0 if layer == 1 else padding
        found[code] = _Frame(size, samples, rate, code & 0xFE0C)
    return found
