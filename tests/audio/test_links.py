"""Links and MPEG frames: any bytes are looked at without harm."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st
from signals import uniform_noise

from audiomask.audio import links, mpeg
from audiomask.audio.links import find_links, may_be_chained

FRAME = b"\xff\xfb\x90\x00" + bytes(413)


@given(
    mark=st.sampled_from([b"OggS", b"fLaC\0\0\0\x22", b"\xff\xfb\x90\0", FRAME * 2, b"ID3\4\0\0"]),
    tail=st.binary(max_size=200),
    times=st.integers(1, 3),
)
def test_any_bytes_are_looked_at_without_harm(
    mark: bytes, tail: bytes, times: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes((mark + tail) * times)
    spans = find_links(path)
    assert all(0 <= start < stop <= path.stat().st_size for start, stop in spans)
    may_be_chained(path)
    stream = mpeg.scan_frames(path)
    assert stream is None or stream.samples >= 0
    mpeg.has_exact_header(path)


def test_frames_are_counted_behind_and_between_tags(tmp_path: Path) -> None:
    tag = b"ID3\4\0\0\0\0\1\0" + b"\xff\xfb\x90\0" * 32
    path = tmp_path / "a.mp3"
    path.write_bytes(tag + FRAME * 5 + tag + FRAME * 7 + b"TAG" + bytes(125))
    stream = mpeg.scan_frames(path)
    assert stream is not None
    assert (stream.samples, stream.declared, stream.joined) == (12 * 1152, None, False)
    assert not mpeg.has_exact_header(path)
    assert stream.exceeds(0)
    assert not stream.exceeds(12 * 1152)


@pytest.mark.parametrize("ending", ["ogg", "flac", "opus"])
def test_links_are_found(tmp_path: Path, ending: str) -> None:
    noise = uniform_noise(30_000, 2)
    made = []
    for number, length in enumerate((30_000, 20_000)):
        path = tmp_path / f"{number}.{ending}"
        subtype = "OPUS" if ending == "opus" else None
        form = "OGG" if ending == "opus" else None
        soundfile.write(path, noise[:length], 48_000, subtype=subtype, format=form)
        assert not may_be_chained(path)
        made.append(path.read_bytes())
    first, both = len(made[0]), tmp_path / "both"
    both.write_bytes(b"".join(made))
    assert may_be_chained(both)
    assert find_links(both) == [(0, first), (first, first + len(made[1]))]


@given(rest=st.binary(min_size=14, max_size=14), size=st.integers(0, 65535))
@example(rest=bytes([0x12, 0x34, 0xFF]) + bytes(11), size=4096)
def test_bytes_that_look_like_a_flac_frame_are_no_error(rest: bytes, size: int) -> None:
    # sound itself has such bytes now and then
    end = links.flac_frame_end(b"\xff\xf8" + rest, size)
    assert end is None or end >= 0
