"""WAV files and pictures, made byte by byte."""

from __future__ import annotations

import struct
import zlib

RATE = 44_100


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes, kind: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def fmt(channels: int = 2, bits: int = 16) -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, RATE, RATE * width, width, bits))


def bext(version: int = 2, reference: int = 36_000 * RATE) -> bytes:
    content = bytearray(602)
    content[:9] = b"Take 12 A"
    content[320:338] = b"2024-05-0110:00:00"
    content[338:348] = struct.pack("<QH", reference, version)
    content[348:380] = b"u" * 32
    content[412:422] = struct.pack("<5h", -2300, 500, -100, -1800, -2000)
    return bytes(content) + b"A=PCM,F=44100\r\n"


def png() -> bytes:
    """A picture of one grey point."""

    def part(name: bytes, content: bytes) -> bytes:
        sum_ = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", sum_)

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0\x80")
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")
