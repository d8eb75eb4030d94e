from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.audio.decode import looks_like_text
from audiomask.audio.files import AudioFile
from audiomask.errors import AudioFileError

LOSSLESS = [
    ("a.m4a", "-c:a alac", "PCM_16"),
    ("a.wv", "-c:a wavpack", "PCM_16"),
    ("a.tta", "-c:a tta", "PCM_16"),
    ("a.mka", "-c:a pcm_s24le", "PCM_24"),
    ("a.mov", "-c:a pcm_f32le", "FLOAT"),
    ("a.w64", "-c:a pcm_f32le -af apad=whole_len=14704", "FLOAT"),
]
LOSSY = [("a.m4a", "-c:a aac", "AAC"), ("a.mp4", "-c:a libopus", "OPUS"), ("a.wma", "", "WMAV2")]


@pytest.fixture
def encoded(
    sound_file: Callable[..., Path], peer_output: Callable[..., bytes]
) -> Callable[[str, str], Path]:
    def encode(name: str, options: str) -> Path:
        path = sound_file("source.wav", "PCM_16", 48_000)
        target = path.with_name(name)
        peer_output(f"ffmpeg -v error -i '{path}' {options} '{target}'")
        return target

    return encode


@pytest.mark.parametrize(("name", "options", "subtype"), LOSSLESS)
def test_lossless_files_keep_every_bit(
    name: str, options: str, subtype: str, encoded: Callable[[str, str], Path]
) -> None:
    path = encoded(name, options)
    expected, _ = soundfile.read(path.with_name("source.wav"), dtype="int32")
    with AudioFile(path) as file:
        assert (file.subtype, file.lossy, file.sample_rate) == (subtype, False, 48_000)
        assert file.frames == 14_703 + name.endswith("w64")
        raw = file.read_raw(0, file.frames)
        raw = raw[: len(expected)]  # ffmpeg counts the padding of a W64
        assert np.array_equal(raw * 2**31 if subtype == "FLOAT" else raw, expected)


@pytest.mark.parametrize(("name", "options", "codec"), LOSSY)
def test_lossy_files_are_decoded(
    name: str, options: str, codec: str, encoded: Callable[[str, str], Path]
) -> None:
    path = encoded(name, options)
    with AudioFile(path) as file:
        assert (file.subtype, file.lossy, file.channels) == (codec, True, 2)
        assert abs(file.frames - 14_703) < 5000
        assert 0.05 < float(file.read(2000, 12_000).std()) < 0.4


def test_names_that_ffmpeg_could_take_for_options_or_addresses(
    encoded: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encoded("a.m4a", "-c:a alac")
    monkeypatch.chdir(path.parent)
    for name in ("-y.m4a", "http:x.m4a", "ü ’.m4a"):
        os.rename(path.name, name)
        with AudioFile(name) as file:
            assert file.frames == 14_703
        path = Path(name)


def test_a_missing_ffmpeg_is_told(
    encoded: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = encoded("a.m4a", "-c:a aac")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioFileError, match=r"a\.m4a.*install ffmpeg"):
        AudioFile(path)


def test_pictures_and_playlists_are_no_audio(
    tmp_path: Path, peer_output: Callable[..., bytes], sound_file: Callable[..., Path]
) -> None:
    sound_file("secret.wav")
    peer_output(f"ffmpeg -v error -f lavfi -i testsrc=d=0.1 '{tmp_path}/still.mkv'")
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    playlist = b"#EXTM3U\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n"
    (tmp_path / "tagged.m4a").write_bytes(tag + playlist)
    (tmp_path / "concat.m4a").write_bytes(b"ffconcat version 1.0\nfile secret.wav\n")
    # Not text at all, yet a playlist to ffmpeg: the list of formats is what refuses it.
    (tmp_path / "binary.m4a").write_bytes(playlist + b"\0" * 100)
    for name in ("still.mkv", "tagged.m4a", "concat.m4a", "binary.m4a"):
        with pytest.raises(AudioFileError, match=f"{name}: (is text|is not audio|has no sound)"):
            AudioFile(tmp_path / name)


@pytest.mark.slow
def test_pydub_is_imported_only_when_it_is_needed() -> None:
    """It takes its time, and needs a module that Python 3.13 no longer has."""
    check = "import sys, audiomask.audio.files; sys.exit('pydub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_text_is_told_from_sound(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content, expected in [
        (b"plain\ttext\r\n", True),
        ("é".encode() * 2048 + b"!", True),
        (b"!" + "é".encode() * 3000, True),
        (b"a\0b", False),
        (b"\xff\xfb\x90\x44", False),
        (b"", False),
        (b"ID3", True),
    ]:
        path.write_bytes(content)
        assert looks_like_text(path) is expected, content[:10]
