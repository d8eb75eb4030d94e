from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiomask.audio import wav
from audiomask.audio.wav import WavStream, find_misread

RAW = np.random.default_rng(0).integers(-(2**31), 2**31, (1001, 3)).astype(np.int32)


def samples_for(subtype: str) -> np.ndarray:
    return RAW / 2.0**31 if subtype in ("FLOAT", "DOUBLE") else RAW


@pytest.mark.parametrize("subtype", wav.WIDTHS)
@pytest.mark.parametrize("frames", [None, 1001])
@pytest.mark.parametrize("seekable", [True, False])
def test_libsndfile_reads_what_we_write(subtype: str, frames: int | None, seekable: bool) -> None:
    stream = io.BytesIO()
    out = WavStream(stream, 48_000, 3, subtype, frames, seekable)
    for start in range(0, 1001, 100):
        out.write(samples_for(subtype)[start : start + 100])
    out.close()
    stream.seek(0)
    with soundfile.SoundFile(stream) as file:
        assert (file.format, file.subtype, file.samplerate) == ("WAV", subtype, 48_000)
        if subtype in ("FLOAT", "DOUBLE"):
            kind = {"FLOAT": "float32", "DOUBLE": "float64"}[subtype]
            assert np.array_equal(file.read(dtype=kind), samples_for(subtype).astype(kind))
        else:
            keep = -1 << (32 - 8 * wav.WIDTHS[subtype])
            assert np.array_equal(file.read(dtype="int32"), RAW & np.int32(keep))


def test_sizes_are_true_where_the_length_is_known_or_can_be_mended() -> None:
    for frames, seekable in [(7, False), (7, True), (None, True), (9, True)]:
        stream = io.BytesIO(b"before")
        stream.seek(6)
        out = WavStream(stream, 8000, 1, "PCM_U8", frames, seekable)
        out.write(RAW[:7, :1])
        out.close()
        data = stream.getvalue()[6:]
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
        place = data.index(b"data")
        assert struct.unpack("<I", data[place + 4 : place + 8])[0] == 7
        assert len(data) == place + 8 + 8  # a byte of padding
        assert stream.getvalue()[:6] == b"before"


def test_an_unknown_length_on_a_pipe_is_the_usual_placeholder() -> None:
    stream = io.BytesIO()
    out = WavStream(stream, 8000, 1, "PCM_16", None, seekable=False)
    out.write(RAW[:5, :1])
    out.close()
    data = stream.getvalue()
    assert data[4:8] == data[data.index(b"data") + 4 :][:4] == b"\xff\xff\xff\xff"


def test_a_broken_promise_on_a_pipe_is_an_error() -> None:
    out = WavStream(io.BytesIO(), 8000, 1, "PCM_16", 10, seekable=False)
    out.write(RAW[:5, :1])
    with pytest.raises(ValueError, match="promised 10"):
        out.close()


@pytest.mark.parametrize(("subtype", "length"), [("PCM_24", 16), ("FLOAT", 18), ("DOUBLE", 18)])
def test_what_is_not_whole_numbers_tells_of_an_extension(subtype: str, length: int) -> None:
    stream = io.BytesIO()
    WavStream(stream, 8000, 1, subtype, 0).close()  # sox warns of headers that lack it
    assert stream.getvalue()[12:20] == b"fmt " + struct.pack("<I", length)


@pytest.mark.parametrize("frames", [None, 1001])
def test_a_file_beyond_the_limit_becomes_rf64(
    frames: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wav, "LIMIT", 5000)
    stream = io.BytesIO()
    out = WavStream(stream, 44_100, 3, "PCM_16", frames)
    out.write(RAW)
    out.close()
    data = stream.getvalue()
    assert data[:4] == b"RF64"
    assert struct.unpack("<Q", data[20:28])[0] == len(data) - 8
    stream.seek(0)
    with soundfile.SoundFile(stream) as file:
        assert (file.format, file.frames) == ("RF64", 1001)
        assert np.array_equal(file.read(dtype="int32") >> 16, RAW >> 16)


def patched(data: bytes, riff: int | None, size: int, tail: bytes = b"") -> bytes:
    place = data.index(b"data") + 4
    data = data[:place] + struct.pack("<I", size) + data[place + 4 :] + tail
    return data if riff is None else data[:4] + struct.pack("<I", riff) + data[8:]


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFF000, 10**6])
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_every_placeholder_is_read_to_the_end(
    size: int, riff: int | None, sound_file: Callable[..., Path], noise: np.ndarray
) -> None:
    path = sound_file("a.wav", "PCM_24")
    expected, _ = soundfile.read(path, dtype="int32")
    path.write_bytes(patched(path.read_bytes(), riff, size))
    found = find_misread(path)
    if found is not None:
        target = path.with_name("mended.wav")
        wav.repair_header(path, found, target)
        path = target
    assert np.array_equal(soundfile.read(path, dtype="int32")[0], expected)


def test_finished_files_are_left_alone(sound_file: Callable[..., Path]) -> None:
    path = sound_file("a.wav", "FLOAT")
    whole = path.read_bytes()
    listing = b"LIST" + struct.pack("<I", 10) + b"INFOabcdef"
    for data in (whole, whole + listing, whole[:-100], whole[:30], b"RIFF", whole + b"junk!"):
        path.write_bytes(data)
        assert find_misread(path) is None
    empty = whole[: whole.index(b"data")] + b"data" + bytes(4)
    for data in (empty, empty + listing):
        path.write_bytes(data)
        assert find_misread(path) is None


def test_long_pipes_are_mended_to_rf64(tmp_path: Path) -> None:
    """The file is sparse: 5 GiB on paper only. Copying it would not be, so only the plan counts."""
    path = tmp_path / "long.wav"
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16)
    for size in (0, 0x7FFFF000, 0xFFFFFFFF):
        head = b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data" + struct.pack("<I", size)
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + 5 * 2**30)
        found = find_misread(path)
        assert found is not None
        assert (found.spans[0][0], found.size) == (44, 5 * 2**30)
        header = wav.container(found.fmt, 5 * 2**30, reserve_rf64=False)
        with path.open("wb") as file:
            file.write(header)
            file.truncate(len(header) + 5 * 2**30)
        assert soundfile.info(path).frames == 5 * 2**30 // 4


@given(tail=st.binary(max_size=300), kind=st.sampled_from([b"RIFF", b"RF64"]))
def test_any_bytes_are_looked_at_without_harm(
    tail: bytes, kind: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(kind + b"\xff\xff\xff\xffWAVE" + tail)
    found = find_misread(path)
    assert found is None or all(12 < a <= b <= 12 + len(tail) for a, b in found.spans)


def test_the_header_comes_with_the_first_samples() -> None:
    """sox steps back in a pipe only as far as its last read: a lone header would be lost to it."""
    writes: list[bytes] = []

    class Pipe(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            writes.append(bytes(data))
            return super().write(data)

    stream = WavStream(Pipe(), 44100, 1, "PCM_16", 1000, seekable=False)
    assert not writes
    stream.write(np.zeros((1000, 1), np.int32))
    assert len(writes[0]) == 44 + 2000
