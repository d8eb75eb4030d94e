"""Ways: training reads strangers' files to their end, and finds out how without decoding many."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import soundfile
import torch
from signals import melody, uniform_noise

from audiomask.audio.files import AudioFile
from audiomask.data.layouts.headers import read_length, read_lengths
from audiomask.data.read_method import ReadMethod, find_read_method
from audiomask.data.reading import read_span
from audiomask.errors import DataError

RATE = 44_100


def check(path: Path, method: ReadMethod) -> None:
    """The file is read in that way; its length and its spans are those of the whole."""
    found = find_read_method(path)
    assert found.method is method
    with AudioFile(path) as file:
        assert found.seconds == pytest.approx(file.frames / file.sample_rate, abs=0.01)
        for start in (-500, file.frames // 3, file.frames - 9_000):
            span = file.read(start, start + 8_000)
            assert torch.allclose(
                read_span(path, start, start + 8_000, file.sample_rate), span, atol=1e-4
            )


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ("-c:a libmp3lame", ".mp3"),
        ("-c:a libvorbis", ".ogg"),
        ("-c:a flac", ".oga"),
        ("-c:a flac", ".flac"),
    ],
)
def test_joined_files(tmp_path: Path, options: str, ending: str, strange: ModuleType) -> None:
    files = strange.parts(tmp_path, options, ending, (2.0, 1.5))
    check(strange.join(tmp_path / f"joined{ending}", files), ReadMethod.whole)
    assert find_read_method(files[0]).method is (
        ReadMethod.pipe if ending == ".oga" else ReadMethod.seek
    )


def test_a_variable_bit_rate_without_a_header_is_sought_in_by_ffmpeg(
    tmp_path: Path, strange: ModuleType
) -> None:
    options = "-c:a libmp3lame -q:a 4 -write_xing 0"
    (path,) = strange.parts(tmp_path, options, ".mp3", (9.0,))
    check(path, ReadMethod.pipe)


def test_bit_streams_and_several_data_chunks(tmp_path: Path, strange: ModuleType) -> None:
    check(strange.put_words(tmp_path / "disc.wav", strange.dts(tmp_path)), ReadMethod.whole)
    data = strange.pcm(melody(1))
    chunks = [strange.chunk(b"data", half) for half in (data[:80_000], data[80_000:])]
    (tmp_path / "two.wav").write_bytes(strange.wav_of(*chunks))
    check(tmp_path / "two.wav", ReadMethod.whole)


@pytest.mark.slow
def test_a_film_is_in_time(tmp_path: Path, strange: ModuleType) -> None:
    soundfile.write(tmp_path / "a.wav", melody(3), RATE)
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=4", "-itsoffset", 0.5]
    coded = ["-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", "pcm_s16le"]
    strange.ffmpeg(*picture, "-i", tmp_path / "a.wav", *coded, tmp_path / "late.mov")
    path = tmp_path / "late.mov"
    assert read_length(path) == pytest.approx(3.5, abs=0.05)
    with AudioFile(path) as file:
        for start in (0, 18_000, 60_000, 100_000):
            span = file.read(start, start + 9_000)
            moved = [read_span(path, start + by, start + by + 9_000) for by in range(-2, 3)]
            assert min(float((span - one).abs().max()) for one in moved) < 1e-3


def test_what_needs_ffmpeg_is_told(
    tmp_path: Path, strange: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = strange.parts(tmp_path, "-c:a libmp3lame", ".mp3", (1.0, 1.0))
    path = strange.join(tmp_path / "joined.mp3", files)
    monkeypatch.setenv("PATH", str(tmp_path))
    lengths, problems = read_lengths([files[0], path], tmp_path)
    assert list(lengths) == [files[0]]
    assert problems == ("1 file needs ffmpeg, which is not installed, and is left out: joined.mp3",)
    with pytest.raises(DataError, match=r"joined\.mp3: .* install ffmpeg"):
        read_span(path, 0, 100)


def test_ordinary_files_are_not_decoded_to_find_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = uniform_noise(20 * RATE, 1)
    read, frames = soundfile.SoundFile.read, []

    def spy(self: soundfile.SoundFile, *given: object, **named: object) -> object:
        block = read(self, *given, **named)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    for ending in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"a.{ending}", audio, RATE)
        assert find_read_method(tmp_path / f"a.{ending}").method is ReadMethod.seek
    assert sum(frames) < RATE
