"""Headers: lengths, and what is not audio."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.audio import probe
from audiomask.audio.names import is_audio
from audiomask.data.layouts.headers import measure, read_length, read_lengths
from audiomask.data.tracks import Track

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is missing")


@pytest.mark.parametrize("name", ["a.wav", "a b.FLAC", "ü.Mp3", "x.y.m4a", "a.opus", "a.aif"])
def test_audio_is_told_by_its_suffix(name: str) -> None:
    assert is_audio(Path(name))
    assert not is_audio(Path(name + ".txt"))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (22_050, 2), (48_000, 1)])
def test_lengths_in_seconds(
    sound: Callable[..., Path], tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    file = sound(tmp_path / f"a.{suffix}", 2.5, rate, channels)
    exact = suffix != "mp3"  # whose frames are of a fixed length
    assert read_length(file) == pytest.approx(2.5, abs=1e-9 if exact else 0.1)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "aac", "wma", "webm"])
def test_ffprobe_tells_what_libsndfile_cannot(
    sound: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    source = sound(tmp_path / "a.wav", 1.5)
    file = tmp_path / f"-ü {suffix}.{suffix}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, f"file:{file}"], check=True)
    assert read_length(file) == pytest.approx(1.5, abs=0.2)
    lengths, problems = read_lengths([source, file], tmp_path)
    assert (set(lengths), problems) == ({source, file}, ())


def test_a_header_without_a_length_is_mended(sound: Callable[..., Path], tmp_path: Path) -> None:
    file = sound(tmp_path / "a.wav", 1.5)
    content = bytearray(file.read_bytes())
    place = content.index(b"data")
    content[place + 4 : place + 8] = bytes(4)  # what a recorder that lost its power leaves
    file.write_bytes(content)
    assert soundfile.info(file).frames == 0
    assert read_length(file) == pytest.approx(1.5)


def bad_files(folder: Path) -> list[Path]:
    """Files that are not audio, whatever they are called."""
    (folder / "text.wav").write_text("this is no sound")
    (folder / "list.m4a").write_text("ffconcat version 1.0\nfile good.wav\nduration 1\n")
    (folder / "nothing.flac").touch()
    (folder / "cut.flac").write_bytes(b"fLaC broken")
    (folder / "noise.m4a").write_bytes(np.random.default_rng(0).bytes(2_000))
    (folder / "page.ogg").write_bytes(b"OggS" + bytes(100))
    soundfile.write(folder / "no samples.wav", np.zeros((0, 1)), 44_100)
    return sorted(folder.iterdir())


def test_what_is_not_audio_is_left_out_and_named_once(
    sound: Callable[..., Path], tmp_path: Path
) -> None:
    bad = bad_files(tmp_path)
    good = sound(tmp_path / "good.wav")
    assert [read_length(file) for file in bad] == [None] * 7
    lengths, problems = read_lengths([*bad, good], tmp_path)
    assert list(lengths) == [good]
    unreadable = "7 files cannot be read and are left out, e.g. cut.flac, list.m4a, no samples.wav"
    assert problems == (unreadable,)
    _, problems = read_lengths([tmp_path / "text.wav"], tmp_path)
    assert problems == ("1 file cannot be read and is left out: text.wav",)


def test_a_missing_ffmpeg_is_told(
    sound: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe.ffprobe_path() is None
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (tmp_path / "b.wav").write_bytes(b"nothing")
    good = sound(tmp_path / "good.wav")
    lengths, problems = read_lengths(sorted(tmp_path.iterdir()), tmp_path)
    assert list(lengths) == [good]
    assert problems == (
        "1 file cannot be read and is left out: b.wav",
        "1 file needs ffmpeg, which is not installed, and is left out: a.m4a",
    )


def test_a_track_is_as_long_as_its_shortest_file(
    sound: Callable[..., Path], tmp_path: Path
) -> None:
    long, short = sound(tmp_path / "a.wav", 2), sound(tmp_path / "b.wav", 1, 22_050)
    bad = tmp_path / "bad.wav"
    bad.write_text("text")
    tracks = [
        Track("both", "train", {"guitar": (long, short), "bass": (long,)}, None, 0.0),
        Track("long", "test", {"guitar": (long, bad), "bass": (bad,)}, long, 0.0),
        Track("mixture", "test", {"guitar": (bad,)}, short, 0.0),
        Track("none", "train", {"guitar": (bad,)}, bad, 0.0),
    ]
    both, whole, mixture = measure(tracks, tmp_path)[0]
    assert (both.name, both.split, both.seconds) == ("both", "train", 1.0)
    assert both.stems == tracks[0].stems
    assert (whole.stems, whole.mixture, whole.seconds) == ({"guitar": (long,)}, long, 2.0)
    assert (mixture.stems, mixture.mixture, mixture.seconds) == ({}, short, 1.0)
    assert measure(tracks, tmp_path)[1] == ("1 file cannot be read and is left out: bad.wav",)
