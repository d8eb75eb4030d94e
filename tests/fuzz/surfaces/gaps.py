"""Gap files: label tracks and CSV, and gaps written on the command line.

The first byte of an input chooses the recording; the others are the file.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from audiomask.cli.gaps import NAMED, GapOptions
from audiomask.errors import UsageError
from audiomask.infill.gaps import parse_gap

#: recordings by the first byte: samples a second, samples
RECORDINGS = {b"a": (1000, 10_000), b"b": (44_100, 1), b"c": (10**6, 1 << 40), b"d": (8000, 9)}
WORDS = (
    b"start", b"end", b"START", b"\t", b",", b";", b'"', b"\r\n", b"\n", b"#", b"\\", b"1:2",
    b"0.5", b"1.25", b"1e9", b"nan", b"inf", b"-1", b"9999999999", b".", b"\x00", b"\xe2\x80\xa8",
    b"\xef\xbb\xbf", b"\xff\xfe", b"-", b"1:02.5", b"1,5", b"duration", b"[1]", b"e-5",
)  # fmt: skip


def attempt(data: bytes, folder: Path) -> None:
    """Read a file of gaps, and each of its lines as ``--gap`` is read."""
    keys = list(RECORDINGS)
    rate, frames = RECORDINGS.get(data[:1]) or RECORDINGS[keys[data[0] % 4 if data else 0]]
    path = folder / "labels.txt"
    path.write_bytes(data[1:])
    source: Any = SimpleNamespace(sample_rate=rate, frames=frames, channels=1)
    for line in data[1:].decode("utf-8", "surrogateescape").split("\n")[:20]:
        try:
            gap = parse_gap(line, rate, frames)
        except UsageError:
            continue
        assert 0 <= gap.start < gap.stop <= frames
    found = GapOptions(file=path).find(source)
    gaps = [one.gap for one in found]
    ends = [0, *(place for gap in gaps for place in (gap.start, gap.stop)), frames]
    assert found
    assert ends == sorted(ends)
    assert {one.kind for one in found} == {NAMED}
    assert all(gap.stop > gap.start for gap in gaps)


def seeds() -> list[bytes]:
    """Label tracks and tables."""
    return [
        b"a1.000000\t2.000000\tdropout one\n4\t5.5\t\n",
        b"a\xef\xbb\xbf1\t2\r\n\\\t100.0\t200.0\r\n4\t5.5\r\n",
        b"c1,2\n4,5.5\n",
        b"astart,end\n1,2\n4,5.5",
        b"a# mine\n\nlabel; End ;Start\nx;2;1\ny;5.5;4\n",
        b'a"1","2","a, b"\n"4","5.5"\n',
        b"d0,0.001125\n",
    ]
