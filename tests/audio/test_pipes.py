from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.audio import pipes
from audiomask.audio.files import AudioFile
from audiomask.errors import AudioFileError, UsageError


class Stdin:
    """Standard input that holds some bytes and, like a pipe, cannot seek."""

    closed = False

    def __init__(self, data: bytes, terminal: bool = False) -> None:
        self.buffer = io.BufferedReader(Trickle(data))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Trickle(io.RawIOBase):
    """Gives its bytes in odd pieces."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        piece = self.data.read(min(len(buffer), 1237))
        buffer[: len(piece)] = piece
        return len(piece)


SOX = [
    ("-t wav", "-b 8 -e unsigned", "PCM_U8"),
    ("-t wav", "-b 16", "PCM_16"),
    ("-t wav", "-b 24", "PCM_24"),
    ("-t wav", "-b 32 -e signed", "PCM_32"),
    ("-t wav", "-b 32 -e float", "FLOAT"),
    ("-t wav", "-b 64 -e float", "DOUBLE"),
    ("-t flac", "-b 16", "PCM_16"),
    ("-t aiff", "-b 24", "PCM_24"),
    ("-t au", "-b 16", "PCM_16"),
]
FFMPEG = [
    ("-f wav -c:a pcm_u8", "PCM_U8"),
    ("-f wav -c:a pcm_s16le", "PCM_16"),
    ("-f wav -c:a pcm_s24le", "PCM_24"),
    ("-f wav -c:a pcm_s32le", "PCM_32"),
    ("-f wav -c:a pcm_f32le", "FLOAT"),
    ("-f wav -c:a pcm_f64le", "DOUBLE"),
    ("-f wav -rf64 always -c:a pcm_s16le", "PCM_16"),
    ("-f w64 -c:a pcm_s16le", "PCM_16"),
    ("-f flac", "PCM_16"),
    ("-f caf -c:a pcm_s16le", "PCM_16"),
    ("-f aiff", "PCM_16"),
]


def read_stdin(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, str]:
    monkeypatch.setattr("sys.stdin", Stdin(data))
    with AudioFile("-") as file:
        assert (file.sample_rate, file.channels, file.name) == (44_100, 2, "standard input")
        return file.read_raw(0, file.frames), file.subtype


def agrees(got: np.ndarray, source: Path, subtype: str) -> bool:
    """Every tool gets there from 32 bits; only how they round (or dither) may differ."""
    expected = soundfile.read(source, dtype="int32")[0] / 2**31
    step = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23}.get(subtype, 2**-23)
    floats = got / 2**31 if got.dtype == np.int32 else got
    return got.shape == expected.shape and np.abs(floats - expected).max() <= 2 * step


@pytest.mark.parametrize(("kind", "options", "subtype"), SOX)
def test_what_sox_pipes(
    kind: str,
    options: str,
    subtype: str,
    sound_file: Callable[..., Path],
    peer_output: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sound_file("a.wav", "PCM_32")
    data = peer_output(f"sox -t wav - {kind} {options} - | cat", path.read_bytes())
    got, found = read_stdin(data, monkeypatch)
    assert found == subtype
    assert agrees(got, path, subtype)


@pytest.mark.parametrize(("options", "subtype"), FFMPEG)
def test_what_ffmpeg_pipes(
    options: str,
    subtype: str,
    sound_file: Callable[..., Path],
    peer_output: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sound_file("a.wav", "PCM_32")
    data = peer_output(f"ffmpeg -v error -i - {options} - | cat", path.read_bytes())
    if "flac" in options:  # ffmpeg writes 24 bits
        subtype = "PCM_24"
    got, found = read_stdin(data, monkeypatch)
    assert found == subtype
    assert agrees(got, path, subtype)


@pytest.mark.parametrize("container", ["WAVEX", "RF64", "OGG", "MP3"])
def test_what_libsndfile_writes(
    container: str, tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, noise, 44_100, format=container)
    expected, _ = soundfile.read(path, dtype="float32")
    got, _ = read_stdin(path.read_bytes(), monkeypatch)
    floats = got / 2**31 if got.dtype == np.int32 else got
    assert np.array_equal(floats, expected)


def test_a_pipe_through_a_shell_of_peers_keeps_every_bit(
    sound_file: Callable[..., Path],
    peer_output: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sound_file("a.wav", "PCM_16")
    data = peer_output(
        "ffmpeg -v error -i - -f wav - | sox -t wav - -t wav - | ffmpeg -v error -i - -f wav -",
        path.read_bytes(),
    )
    got, _ = read_stdin(data, monkeypatch)
    assert np.array_equal(got, soundfile.read(path, dtype="int32")[0])


def test_empty_closed_and_terminal_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(b""))
    with pytest.raises(AudioFileError, match="standard input: is empty"):
        AudioFile("-")
    monkeypatch.setattr("sys.stdin", Stdin(b"", terminal=True))
    with pytest.raises(UsageError, match="terminal"):
        AudioFile("-")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="closed"):
        AudioFile("-")
    monkeypatch.setattr("sys.stdin", Stdin(b"not sound at all\n"))
    with pytest.raises(AudioFileError, match="standard input: is text"):
        AudioFile("-")


def test_a_full_temporary_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(AudioFileError, match=r"No space left.*TMPDIR"):
        pipes.spool(io.BytesIO(b"abc"), "it")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(AudioFileError, match="TMPDIR"):
        pipes.spool(io.BytesIO(b"abc"), "it")


def test_only_plain_files_can_be_gone_back_in(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as plain:
        assert pipes.can_seek(plain)
    with (tmp_path / "a").open("ab") as appending:
        assert not pipes.can_seek(appending)
    end, start = os.pipe()
    with os.fdopen(start, "wb") as pipe:
        assert not pipes.can_seek(pipe)
    os.close(end)
    assert pipes.can_seek(io.BytesIO())
