"""Opening: strangers' files are read to their end, in time, or refused by name."""

from __future__ import annotations

import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from signals import melody

from audiomask.audio.files import AudioFile
from audiomask.audio.pipes import temporary_file
from audiomask.errors import AudioFileError

RATE = 44_100


def read(path: Path) -> np.ndarray:
    """All samples [T, C]; excerpts of it are found to be the same."""
    with AudioFile(path) as file:
        whole = file.read(0, file.frames)
        for start in range(0, file.frames, max(file.frames // 5, 1)):
            assert file.read(start, start + 700).equal(
                np_pad(whole, file.frames, start, start + 700)
            )
        return whole.numpy().T


def np_pad(whole, frames: int, start: int, stop: int):
    """An excerpt of the whole, silent behind its end."""
    import torch

    inside = whole[:, start : min(stop, frames)]
    return torch.nn.functional.pad(inside, (0, stop - start - inside.shape[1]))


def test_mp3_of_variable_bit_rate_without_a_header_is_read_to_its_end(
    tmp_path: Path, strange: ModuleType
) -> None:
    options = "-c:a libmp3lame -q:a 4 -write_xing 0"
    (path,) = strange.parts(tmp_path, options, ".mp3", (9.0,))
    heard = strange.heard_by_ffmpeg(path)
    found = read(path)
    assert found.shape == heard.shape
    assert np.abs(found - heard).max() < 1e-3


@pytest.mark.parametrize(
    ("options", "ending", "between"),
    [
        ("-c:a libmp3lame -b:a 128k", ".mp3", b""),
        ("-c:a libmp3lame -q:a 4 -write_xing 0", ".mp3", b""),
        ("-c:a libmp3lame -q:a 4", ".mp3", b"TAG" + bytes(125) + b"ID3\4\0\0\0\0\1\0" + bytes(128)),
        ("-c:a mp2 -b:a 192k", ".mp2", b""),
        ("-c:a aac", ".aac", b""),
        ("-c:a ac3", ".ac3", b""),
    ],
)
def test_joined_frames_are_all_read(
    tmp_path: Path, options: str, ending: str, between: bytes, strange: ModuleType
) -> None:
    files = strange.parts(tmp_path, options, ending, (2.0, 3.0, 1.5))
    path = strange.join(tmp_path / f"joined{ending}", files, between)
    heard = strange.heard_by_ffmpeg(path)
    found = read(path)
    assert abs(len(found) - len(heard)) <= 2 * 1152
    assert len(found) > 6.4 * RATE
    length = min(len(found), len(heard))
    assert np.abs(found[:length] - heard[:length]).max() < 1e-3


@pytest.mark.parametrize(
    ("options", "ending", "rate", "close"),
    [
        ("-c:a libvorbis -q:a 5", ".ogg", RATE, 0.1),
        ("-c:a libopus -b:a 128k", ".opus", 48_000, 0.1),
        ("-c:a flac", ".oga", RATE, 1e-6),
        ("-c:a flac", ".flac", RATE, 1e-6),
    ],
)
@pytest.mark.parametrize("seconds", [(2.0, 1.0, 1.5), (1.5, 1.5)])
def test_chained_streams_are_all_read_without_a_gap(
    tmp_path: Path,
    options: str,
    ending: str,
    rate: int,
    close: float,
    seconds: tuple[float, ...],
    strange: ModuleType,
) -> None:
    files = strange.parts(tmp_path, options, ending, seconds)
    found = read(strange.join(tmp_path / f"chained{ending}", files))
    expected = np.concatenate([read(file) for file in files])
    assert found.shape == expected.shape == (round(sum(seconds) * rate), 2)
    assert np.abs(found - expected).max() < close


@pytest.mark.parametrize(
    ("options", "ending"), [("-c:a libvorbis", ".ogg"), ("-c:a libmp3lame", ".mp3")]
)
def test_streams_of_different_forms_get_that_of_the_first(
    tmp_path: Path, options: str, ending: str, strange: ModuleType
) -> None:
    first, second = strange.parts(tmp_path, options, ending, (1.0, 2.0))
    other = tmp_path / f"other{ending}"
    strange.ffmpeg("-i", second, "-ar", 48_000, "-ac", 1, *options.split(), other)
    with AudioFile(strange.join(tmp_path / f"mixed{ending}", [first, other])) as file:
        assert (file.sample_rate, file.channels) == (RATE, 2)
        assert abs(file.frames / RATE - 3) < 0.15
        assert file.read(round(1.5 * RATE), 2 * RATE).std() > 0.02
        assert file.notes == (
            "has streams of different formats, all read as 44100 Hz and 2 channels",
        )


def test_without_ffmpeg_what_would_be_cut_short_is_refused(
    tmp_path: Path, strange: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = strange.parts(tmp_path, "-c:a libmp3lame", ".mp3", (1.0, 1.0))
    path = strange.join(tmp_path / "joined.mp3", files)
    disc = strange.put_words(tmp_path / "disc.wav", strange.dts(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    read(files[0])
    with pytest.raises(AudioFileError, match=r"joined\.mp3: continues .* install ffmpeg"):
        AudioFile(path)
    with pytest.raises(AudioFileError, match=r"disc\.wav: holds a bit stream .* install ffmpeg"):
        AudioFile(disc)


def test_an_mp3_that_ends_early_is_warned_of(tmp_path: Path, strange: ModuleType) -> None:
    (path,) = strange.parts(tmp_path, "-c:a libmp3lame", ".mp3", (4.0,))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with AudioFile(path) as file:
        assert file.frames > 1.5 * RATE
        assert "ends early: its header promises" in file.warnings[0]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("kind", ["16", "14", "spdif"])
@pytest.mark.parametrize("name", ["disc.wav", "disc.flac", "disc.aiff"])
def test_dts_in_place_of_samples_is_decoded(
    tmp_path: Path, kind: str, swapped: bool, name: str, strange: ModuleType
) -> None:
    words = strange.dts(tmp_path)
    if kind == "14":
        words = strange.in_14_bits(words)
    if kind == "spdif":
        strange.ffmpeg("-i", tmp_path / "a.dts", "-c", "copy", "-f", "spdif", tmp_path / "a.spdif")
        words = np.frombuffer((tmp_path / "a.spdif").read_bytes(), "<u2")
    words = np.concatenate([np.zeros(2 * 30_000, np.uint16), words])
    path = strange.put_words(tmp_path / name, words.byteswap() if swapped else words)
    expected = strange.heard_by_ffmpeg(tmp_path / "a.dts")
    with AudioFile(path) as file:
        assert (file.subtype, file.lossy, file.sample_rate) == ("DTS", True, RATE)
        found = file.read(0, file.frames).numpy().T
    assert not found[:30_000].any()
    lead = len(found) - len(expected)
    assert 30_000 <= lead <= 30_010
    assert np.abs(found[lead:] - expected).max() < 1e-3


@pytest.mark.parametrize("bits", ["PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("form", ["ac3", "spdif"])
def test_ac3_in_place_of_samples_is_decoded(
    tmp_path: Path, bits: str, form: str, strange: ModuleType
) -> None:
    soundfile.write(tmp_path / "a.wav", melody(2), RATE)
    strange.ffmpeg("-i", tmp_path / "a.wav", "-c:a", "ac3", "-f", form, tmp_path / "a.raw")
    raw = (tmp_path / "a.raw").read_bytes()
    path = strange.put_words(tmp_path / "b.wav", np.frombuffer(raw[: len(raw) & ~3], "<u2"), bits)
    with AudioFile(path) as file:
        assert file.subtype == "AC3"
        assert abs(file.frames - 2 * RATE) < 2000
        assert 0.05 < file.read(0, file.frames).std() < 0.3


def test_a_bit_stream_that_ffmpeg_does_not_know_is_refused(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**31), 2**31, (40_000, 2), dtype=np.int64)
    samples[::2000] = (0x96F87200 - 2**32, 0xA54E1F00 - 2**32)
    soundfile.write(tmp_path / "a.wav", samples.astype(np.int32), 48_000, subtype="PCM_24")
    with pytest.raises(AudioFileError, match=r"a\.wav: holds a bit stream \(SMPTE 337M\), not PCM"):
        AudioFile(tmp_path / "a.wav")


def test_several_data_chunks_are_read_in_order(tmp_path: Path, strange: ModuleType) -> None:
    data = strange.pcm(melody(0.5))
    first, second, third = data[:40_000], data[40_000:44_002], data[44_002:]
    several = [strange.chunk(b"data", part) for part in (b"", first, second + b"", third)]
    listing = strange.chunk(b"LIST", b"INFOabc")
    path = tmp_path / "a.wav"
    path.write_bytes(strange.wav_of(several[1], listing, *several[2:], several[0], listing))
    expected = np.frombuffer(first + second[:4000] + third[: len(third) // 4 * 4], "<i2") / 2**15
    assert np.array_equal(read(path), expected.reshape(-1, 2).astype(np.float32))
    path.write_bytes(strange.wav_of(several[0], several[1]))
    assert len(read(path)) == 10_000


def test_joined_wav_files_are_read_in_order_if_they_are_alike(
    tmp_path: Path, strange: ModuleType
) -> None:
    data = strange.pcm(melody(0.5))
    halves = [strange.chunk(b"data", half) for half in (data[:40_000], data[40_000:])]
    path = tmp_path / "joined.wav"
    path.write_bytes(b"".join(map(strange.wav_of, halves)))
    assert len(read(path)) == len(data) // 4
    path.write_bytes(strange.wav_of(halves[0]) + strange.wav_of(halves[1], rate=48_000))
    with pytest.raises(AudioFileError, match=r"joined\.wav: is several WAV files of different"):
        AudioFile(path)


def film(strange: ModuleType, target: Path, *options: object, seconds: float = 3) -> Path:
    """A film of a melody; options come before the sound."""
    soundfile.write(target.with_suffix(".sound.wav"), melody(seconds), RATE)
    picture = f"testsrc=s=64x64:r=25:d={seconds + 1}"
    strange.ffmpeg(
        *("-f", "lavfi", "-i", picture, *options, "-i", target.with_suffix(".sound.wav")),
        *("-map", "0:v", "-map", "1:a", "-c:v", "mpeg4", "-c:a", "flac", "-strict", -2, target),
    )
    return target


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_sound_that_begins_late_stays_in_time(
    tmp_path: Path, ending: str, strange: ModuleType
) -> None:
    path = film(strange, tmp_path / f"late{ending}", "-itsoffset", 0.75)
    with AudioFile(path) as file:
        assert abs(file.frames - 3.75 * RATE) < 100
        found = file.read(0, file.frames).numpy()[0]
        assert file.notes == ("its sound begins 0.750 s late: leading silence is added",)
    begin = round(0.75 * RATE)
    assert not found[: begin - 50].any()
    expected, _ = soundfile.read(tmp_path / "late.sound.wav")
    assert np.array_equal(found[-len(expected) :], expected[:, 0].astype(np.float32))
    assert AudioFile(film(strange, tmp_path / f"in_time{ending}")).notes == ()


def test_the_track_that_plays_by_default_is_read(tmp_path: Path, strange: ModuleType) -> None:
    soundfile.write(tmp_path / "a.wav", melody(1, 2), RATE)
    soundfile.write(tmp_path / "b.wav", -melody(1, 1), RATE)
    inputs = ["-i", tmp_path / "a.wav", "-i", tmp_path / "b.wav", "-map", 0, "-map", 1]
    for default, channels in ((0, 2), (1, 1)):
        path = tmp_path / f"{default}.mka"
        chosen = [f"-disposition:a:{default}", "default", f"-disposition:a:{1 - default}", 0]
        strange.ffmpeg(*inputs, "-c:a", "flac", *chosen, path)
        with AudioFile(path) as file:
            assert (file.channels, file.frames) == (channels, RATE)
            assert file.notes == (f"audio track {default + 1} of 2 is read",)


def test_a_film_without_sound_and_a_record_with_a_cover(
    tmp_path: Path, strange: ModuleType
) -> None:
    strange.ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.5", "-c:v", "mpeg4", tmp_path / "mute.mp4")
    with pytest.raises(AudioFileError, match=r"mute\.mp4: has no sound$"):
        AudioFile(tmp_path / "mute.mp4")
    soundfile.write(tmp_path / "a.wav", melody(1), RATE)
    picture = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=0.04", "-frames:v", 1, "-c:v", "png"]
    cover = ["-map", 0, "-map", 1, "-disposition:v:0", "attached_pic", "-c:a", "alac"]
    strange.ffmpeg("-i", tmp_path / "a.wav", *picture, *cover, tmp_path / "cover.m4a")
    with AudioFile(tmp_path / "cover.m4a") as file:
        assert (file.frames, file.notes) == (RATE, ())


def test_a_pipe_is_read_to_its_end_as_well(
    tmp_path: Path, strange: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = strange.parts(tmp_path, "-c:a libvorbis", ".ogg", (1.0, 1.0))
    content = strange.join(tmp_path / "chained.ogg", files).read_bytes()
    source = (tmp_path / "chained.ogg").open("rb")
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": source, "closed": False,
        "isatty": staticmethod(lambda: False)}))  # fmt: skip
    with source, AudioFile("-") as file:
        assert file.frames == 2 * RATE
        assert file.location != Path("-")
    assert len(content) > 0


def test_nothing_is_left_behind_when_opening_fails(
    tmp_path: Path, strange: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = np.tile(np.array([0xF872, 0x4E1F, 5, 0], np.uint16), 10_000)
    path = strange.put_words(tmp_path / "burst.wav", words)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with pytest.raises(AudioFileError, match="bit stream"):
        AudioFile(path)
    assert list((tmp_path / "tmp").iterdir()) == []
    temporary_file().unlink()


def test_a_tone_with_the_values_of_a_bit_stream_is_sound(tmp_path: Path) -> None:
    """A wave of whole periods has any value once in each; AC-3 is one word, told by its check."""
    wave = np.tile(struct.unpack("<8h", struct.pack("<8H", 0x0B77, 5, 9, 0x770B, 3, 1, 2, 4)), 9000)
    soundfile.write(tmp_path / "a.wav", wave.astype(np.int16), RATE, subtype="PCM_16")
    with AudioFile(tmp_path / "a.wav") as file:
        assert (file.subtype, file.frames) == ("PCM_16", 72_000)
