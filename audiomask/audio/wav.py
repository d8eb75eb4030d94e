"""WAV: a streaming writer, for pipes too, and repair of unfinished headers.

libsndfile writes WAV to seekable files only, stores the time of day in float files, and stops
reading at 4 GiB when a pipe's header has no length. Those are the reasons for this file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audiomask.audio.metadata.model import Chunk, Layout, Place
from audiomask.audio.metadata.riff import arrange, extensible, pack
from audiomask.audio.pcm import Raw

#: bytes a sample of the writer's subtypes
WIDTHS = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
#: RIFF sizes have 32 bits; beyond this the file becomes RF64
LIMIT = 2**32 - 1
_UNKNOWN = 0xFFFFFFFF
_BLOCK = 1 << 20
_W64_FMT = b"fmt \xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class WavStream:
    """Write samples as WAV into a binary stream.

    Args:
        stream: the output.
        sample_rate: in Hz.
        channels: number of channels.
        subtype: one of ``WIDTHS``.
        frames: samples per channel to come, if known: a pipe's header then has the right length.
        seekable: whether the header can be completed at the end.
        chunks: further chunks, each in its place; all before the samples where the header cannot
            have a length.
        layout: the loudspeakers of the channels, for a header of WAVE_FORMAT_EXTENSIBLE.
        wide: whether to write RF64 for any length.
    """

    def __init__(
        self,
        stream: BinaryIO,
        sample_rate: int,
        channels: int,
        subtype: str,
        frames: int | None = None,
        seekable: bool = True,
        chunks: tuple[Chunk, ...] = (),
        layout: Layout | None = None,
        wide: bool = False,
    ) -> None:
        self.stream, self.sample_rate, self.channels = stream, sample_rate, channels
        self.subtype, self._expected_frames, self.seekable = subtype, frames, seekable
        self.frames = 0
        self._layout, self._wide = layout, wide
        self._start = stream.tell() if seekable else 0
        self._width = WIDTHS[subtype] * channels
        # Space for RF64's 64-bit sizes, unless they are known to be unnecessary.
        others = sum(len(chunk.content) + 9 for chunk in chunks)
        self._reserve_rf64 = frames is None or frames * self._width + others > LIMIT - 1024
        chunks = arrange(chunks, wide or self._reserve_rf64)
        self._first = pack(chunks, Place.BEFORE_FORMAT)
        self._before = pack(chunks, Place.BEFORE_DATA)
        self._after = pack(chunks, Place.AFTER_DATA)
        if frames is None and not seekable:
            self._before, self._after = self._before + self._after, b""
        # The header is written together with the first samples: sox, which peeks at the beginning
        # of a pipe, loses a header that comes alone.
        self._head = self._header(frames)

    def write(self, samples: Raw) -> None:
        """Append samples [n, C]: left-justified int32, or floating for FLOAT and DOUBLE."""
        self.stream.write(self._head + _encode(samples, self.subtype))
        self._head = b""
        self.frames += len(samples)

    def close(self) -> None:
        """Pad the data and, if seekable, complete the header. The stream stays open.

        Raises:
            ValueError: the header of a pipe gave another number of frames than were written.
        """
        self.stream.write(self._head + bytes(self.frames * self._width % 2) + self._after)
        self._head = b""
        if self._expected_frames != self.frames:
            if self.seekable:
                end = self.stream.tell()
                self.stream.seek(self._start)
                self.stream.write(self._header(self.frames))
                self.stream.seek(end)
            elif self._expected_frames is not None:
                raise ValueError(f"promised {self._expected_frames} frames but wrote {self.frames}")
        self.stream.flush()

    def _header(self, frames: int | None) -> bytes:
        floating = self.subtype in ("FLOAT", "DOUBLE")
        count = _UNKNOWN if frames is None else min(frames, LIMIT)
        body = self._first + _chunk(b"fmt ", self._format(3 if floating else 1))
        if floating:
            body += _chunk(b"fact", struct.pack("<I", count))
        body += self._before
        if frames is None:
            room = _chunk(b"JUNK", bytes(28))
            return (
                (b"RIFF" + struct.pack("<I", _UNKNOWN) + b"WAVE" + room + body)
                + b"data"
                + struct.pack("<I", _UNKNOWN)
            )
        data = frames * self._width
        if self._wide:
            return container(body, data, False, len(self._after), frames)
        return container(body, data, self._reserve_rf64, len(self._after))

    def _format(self, code: int) -> bytes:
        """The content of the ``fmt`` chunk; ``code`` is 1 for integers, 3 for floating point."""
        bits = 8 * WIDTHS[self.subtype]
        fmt = struct.pack(
            "<HHIIHH",
            code,
            self.channels,
            self.sample_rate,
            min(self.sample_rate * self._width, LIMIT),
            self._width,
            bits,
        )
        if self._layout is not None:
            return extensible(fmt, self._layout)
        # floating point formats have an extension, here of length 0
        return fmt + bytes(2) if code == 3 else fmt


def container(
    body: bytes, data: int, reserve_rf64: bool, after: int = 0, frames: int | None = None
) -> bytes:
    """Everything before the samples: RIFF or, beyond 4 GiB, RF64.

    Args:
        body: the chunks before the data, ``fmt`` among them.
        data: bytes of samples.
        reserve_rf64: reserve space for RF64's sizes even when they are not needed.
        after: bytes of the chunks after the data.
        frames: samples per channel, to force RF64.
    """
    riff = 4 + (36 if reserve_rf64 else 0) + len(body) + 8 + data + data % 2 + after
    if riff <= LIMIT and frames is None:
        room = _chunk(b"JUNK", bytes(28)) if reserve_rf64 else b""
        head = b"RIFF" + struct.pack("<I", riff) + b"WAVE" + room + body
        return head + b"data" + struct.pack("<I", data)
    riff += 0 if reserve_rf64 else 36
    sizes = _chunk(b"ds64", struct.pack("<QQQI", riff, data, frames or 0, 0))
    head = b"RF64" + struct.pack("<I", _UNKNOWN) + b"WAVE" + sizes + body
    return head + b"data" + struct.pack("<I", _UNKNOWN)


@dataclass(frozen=True)
class _Misread:
    """A WAV of which libsndfile reads too little or too much.

    Attributes:
        fmt: its ``fmt`` chunk.
        spans: bytes [start, stop) of samples; several are read in order.
        uniform: whether all spans have the format of ``fmt``.
    """

    fmt: bytes
    spans: tuple[tuple[int, int], ...]
    uniform: bool = True

    @property
    def size(self) -> int:
        """Bytes of samples."""
        return sum(stop - start for start, stop in self.spans)

    @property
    def seconds(self) -> float | None:
        """Duration according to the bytes a second in ``fmt``; None if these are 0."""
        rate = int.from_bytes(self.fmt[16:20], "little")
        return self.size / rate if rate else None


def find_misread(path: Path) -> _Misread | None:
    """The true samples of a WAV whose header misleads libsndfile; None for all other files.

    Crashed recorders and programs that wrote to a pipe leave 0 or a placeholder as the length. Some
    programs write a second ``data`` chunk; and files are joined with ``cat``.
    """
    with path.open("rb") as source:
        head = source.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return None
        wide, end = head[:4] == b"RF64", source.seek(0, 2)
        fmt, first, data_size, uniform = b"", b"", 0, True
        spans: list[tuple[int, int]] = []
        for name, start, size in _chunks(source, 12, end):
            if name == b"fmt " and size <= 4096:
                source.seek(start)
                fmt = _chunk(b"fmt ", source.read(size))
            elif name == b"ds64" and size >= 16:
                source.seek(start + 8)
                data_size = int.from_bytes(source.read(8), "little")
            elif name == b"data":
                true = data_size if wide and size == _UNKNOWN and not spans else size
                if fmt and not spans and _is_wrong(source, start, true, end, wide):
                    return _Misread(fmt, ((start, end),))
                first, uniform = first or fmt, uniform and fmt == (first or fmt)
                spans.append((start, min(start + true, end)))
        if first and len(spans) > 1:
            return _Misread(first, tuple(_whole_frames(first, spans)), uniform)
    return None


def repair_header(path: Path, found: _Misread, target: Path) -> None:
    """Copy a misread WAV to ``target`` with a correct header."""
    with path.open("rb") as source, target.open("wb") as out:
        out.write(container(found.fmt, found.size, reserve_rf64=False))
        for start, stop in found.spans:
            source.seek(start)
            for at in range(start, stop, _BLOCK):
                out.write(source.read(min(_BLOCK, stop - at)))
        if found.size % 2:
            out.write(b"\0")


def is_misread_w64(path: Path) -> bool:
    """Whether a file is a float W64 that libsndfile would read as integers, as loud noise.

    It ignores the extensible header that ffmpeg writes.
    """
    with path.open("rb") as source:
        head = source.read(4096)
    place = head.find(_W64_FMT)
    if not head.startswith(b"riff") or place < 0:
        return False
    fmt = head[place + 24 :]
    return len(fmt) >= 26 and fmt[:2] == b"\xfe\xff" and fmt[24:26] == b"\x03\x00"


def _whole_frames(fmt: bytes, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans without incomplete frames at their ends."""
    width = max(int.from_bytes(fmt[20:22], "little"), 1)
    for start, stop in spans:
        if (stop - start) // width:
            yield start, start + (stop - start) // width * width


def _is_wrong(source: BinaryIO, start: int, size: int, end: int, wide: bool) -> bool:
    placeholder = size == 0 or 0x7FFF0000 <= size <= 0x7FFFFFFF or size >= 0xFFFF0000
    if start + size > end:
        # libsndfile reads to the end of the file, but not past 4 GiB of RIFF nor false RF64 sizes
        return (wide and size >= 2**63) or (not wide and end - start > LIMIT)
    if start + size + size % 2 >= end or not (placeholder or end - start > LIMIT):
        return False
    # The rest of the sound follows, or further chunks that end with the file.
    last = start + size + size % 2
    for name, begin, length in _chunks(source, last, end):
        if not all(32 <= byte < 127 for byte in name):
            return True
        last = begin + length + length % 2
    return not (end <= last <= end + 1)


def _chunks(source: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of every chunk from ``position`` on, at most 4096."""
    for _ in range(4096):
        source.seek(position)
        head = source.read(8)
        if len(head) < 8 or position >= end:
            return
        size = int.from_bytes(head[4:], "little")
        if head[:4] in (b"RIFF", b"RF64") and source.read(4) == b"WAVE":  # another file
            position += 12
            continue
        yield head[:4], position + 8, size
        position += 8 + size + size % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _encode(samples: Raw, subtype: str) -> bytes:
    if subtype == "FLOAT":
        return samples.astype("<f4").tobytes()
    if subtype == "DOUBLE":
        return samples.astype("<f8").tobytes()
    if samples.dtype != np.int32:
        raise ValueError(f"{subtype} is written from int32, not {samples.dtype}")
    if subtype == "PCM_U8":
        return ((samples >> 24) + 128).astype(np.uint8).tobytes()
    width = WIDTHS[subtype]
    # The upper bytes of each little-endian int32 are the sample.
    packed = np.ascontiguousarray(samples).astype("<i4").view(np.uint8).reshape(-1, 4)
    return packed[:, 4 - width :].tobytes()
