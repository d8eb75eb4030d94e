from __future__ import annotations

import ctypes
import os
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import tone, uniform_noise

from audiomask.audio.files import AudioFile, read_audio, write_audio
from audiomask.audio.writer import AudioWriter
from audiomask.errors import AudioFileError, AudiomaskError, UsageError

WHOLE = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("flac", "PCM_S8"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
    ("aiff", "PCM_16"),
    ("w64", "PCM_24"),
    ("caf", "ALAC_16"),
]


@pytest.mark.parametrize(("ending", "subtype"), WHOLE)
def test_whole_numbers_are_read_bit_for_bit_at_random(
    ending: str, subtype: str, sound_file: Callable[..., Path]
) -> None:
    path = sound_file(f"a.{ending}", subtype)
    expected, _ = soundfile.read(path, dtype="int32")
    floats, _ = soundfile.read(path, dtype="float32")
    with AudioFile(path) as file:
        assert (file.sample_rate, file.channels, file.frames) == (44_100, 2, len(expected))
        assert (file.subtype, file.lossy) == (subtype, False)
        for start, stop in [(5000, 9000), (0, 100), (14_000, 14_703), (3, 3), (0, 14_703)]:
            raw = file.read_raw(start, stop)
            assert raw.dtype == np.int32
            assert np.array_equal(raw, expected[start:stop])
            assert np.array_equal(file.read(start, stop).numpy(), floats[start:stop].T)


def test_a_container_of_blocks_is_read_to_its_end(tmp_path: Path) -> None:
    wave = np.sin(np.arange(400) / 9) * 0.5
    soundfile.write(tmp_path / "a", wave, 8000, format="PAF", subtype="PCM_24")
    with AudioFile(tmp_path / "a") as file:
        assert file.frames == 400
        assert np.abs(file.read(0, 400).numpy() - wave).max() < 2**-14
        assert file.read(100, 200).equal(file.read(0, 400)[:, 100:200])


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floating_samples_are_read_exactly(
    subtype: str, sound_file: Callable[..., Path], noise: np.ndarray
) -> None:
    expected = noise.astype(np.float32).astype(np.float64) if subtype == "FLOAT" else noise
    with AudioFile(sound_file("a.wav", subtype)) as file:
        raw = file.read_raw(100, 14_703)
        assert raw.dtype == np.float64
        assert np.array_equal(raw, expected[100:])


@pytest.mark.parametrize(
    ("name", "subtype", "rate"),
    [
        ("a.ogg", "VORBIS", 44_100),
        ("a.ogg", "OPUS", 48_000),
        ("a.mp3", "MPEG_LAYER_III", 44_100),
        ("a.wav", "IMA_ADPCM", 44_100),
        ("a.wav", "ULAW", 44_100),
    ],
)
def test_lossy_files_read_the_same_at_random_as_from_the_start(
    name: str, subtype: str, rate: int, tmp_path: Path
) -> None:
    """libsndfile's own seeking in Ogg and MP3 gives other samples than its reading through.

    In MP3 this even happens on seeking to where it already is, as soundfile does between blocks.
    """
    path = tmp_path / name
    sound = 0.5 * tone(440, 200_001, rate, torch.float64).numpy()[:, None]
    soundfile.write(path, sound * np.ones(2 if rate == 48_000 else 1), rate, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    random = np.random.default_rng(1)
    with AudioFile(path) as file:
        assert (file.subtype, file.lossy, file.frames) == (subtype, True, len(expected))
        assert np.array_equal(file.read(0, file.frames).numpy(), expected.T)
        for start in random.integers(0, file.frames - 500, 200):
            got = file.read(int(start), int(start) + 500).numpy()
            assert np.array_equal(got, expected[start : start + 500].T)
        assert np.array_equal(file.read_raw(7, 300), expected[7:300].astype(np.float64))


@settings(deadline=None, max_examples=50)
@given(start=st.integers(-3000, 3000), length=st.integers(0, 5000))
def test_outside_the_file_is_silence(
    start: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "silence.wav"
    audio = torch.full((1, 1000), 0.5)
    write_audio(path, audio, 8000)
    padded = torch.nn.functional.pad(audio, (3000, 8000))
    with AudioFile(path) as file:
        expected = padded[:, start + 3000 : start + 3000 + length]
        assert torch.equal(file.read(start, start + length), expected)


def test_raw_spans_must_lie_inside(sound_file: Callable[..., Path]) -> None:
    with AudioFile(sound_file("a.wav")) as file:
        for start, stop in [(-1, 5), (5, 4), (0, file.frames + 1)]:
            with pytest.raises(ValueError, match="not within"):
                file.read_raw(start, stop)
    with pytest.raises(ValueError, match="closed"):
        file.read(0, 1)


def test_what_is_no_number_reads_as_silence_and_is_told(tmp_path: Path) -> None:
    audio = np.array([0.25, np.nan, np.inf, -np.inf, 1.5])
    soundfile.write(tmp_path / "a.wav", audio, 8000, subtype="FLOAT")
    with AudioFile(tmp_path / "a.wav") as file:
        assert not file.nonfinite
        assert file.read(0, 5).tolist() == [[0.25, 0, 0, 0, 1.5]]
        assert file.nonfinite
        assert np.array_equal(file.read_raw(0, 5)[:, 0], audio, equal_nan=True)


@pytest.mark.parametrize("channels", [1, 32])
@pytest.mark.parametrize("rate", [8000, 192_000])
def test_odd_shapes_round_trip(channels: int, rate: int, tmp_path: Path) -> None:
    audio = torch.rand(channels, 3) - 0.5
    write_audio(tmp_path / "a.wav", audio, rate, "FLOAT")
    back, got = read_audio(tmp_path / "a.wav")
    assert got == rate
    assert torch.equal(back, audio)


def test_write_audio_replaces_unless_told_not_to(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, torch.zeros(1, 10), 8000)
    write_audio(path, torch.zeros(1, 20), 8000)
    with pytest.raises(UsageError, match="exists"):
        write_audio(path, torch.zeros(1, 30), 8000, overwrite=False)
    assert read_audio(path)[0].shape == (1, 20)


def broken_files(folder: Path) -> dict[str, bytes | None]:
    """What is no audio, by the words its error must have; None is no file at all."""
    soundfile.write(folder / "ok.wav", np.zeros(100), 8000)
    soundfile.write(folder / "ok.flac", uniform_noise(50_000, level=1), 44_100)
    whole = (folder / "ok.wav").read_bytes()
    flac = (folder / "ok.flac").read_bytes()
    start = whole.index(b"data")
    return {
        "missing.wav: no such file": None,
        "empty.wav: is empty": b"",
        "text.wav: is text": b"Dear diary,\ntoday I renamed a file.\n",
        "text.mp3: is text": "żółw ".encode() * 3000,
        "list.m3u8: is text": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nok.wav\n",
        "bytes.wav: is not audio": bytes(range(256)) * 40,
        "bytes.raw: is not audio": bytes(range(256)) * 40,
        "bytes.vox: is not audio": bytes(range(256)) * 40,
        "nosamples.wav: holds no samples": whole[: start + 4] + bytes(4),
        "head.wav: is not audio": whole[:30],
        "rate.wav: has an impossible sample rate": whole.replace(
            struct.pack("<I", 8000), struct.pack("<I", 3), 1
        ),
        "short.flac: is cut short": flac[: len(flac) // 2],
    }


def test_every_broken_file_is_one_clear_line(tmp_path: Path) -> None:
    for words, content in broken_files(tmp_path).items():
        path = tmp_path / words.split(":")[0]
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AudioFileError) as caught:
            AudioFile(path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(AudioFileError, match="is a folder"):
        AudioFile(tmp_path)
    with pytest.raises(AudioFileError, match="is a device"):
        AudioFile(Path("/dev/zero"))
    with pytest.raises(AudioFileError, match="cannot be read"):
        AudioFile(Path("nul\0byte.wav"))


def test_a_cut_wav_gives_the_samples_that_are_there(sound_file: Callable[..., Path]) -> None:
    path = sound_file("a.wav", "PCM_16")
    expected, _ = soundfile.read(path, dtype="int32")
    path.write_bytes(path.read_bytes()[: 44 + 4 * 1000 + 3])
    with AudioFile(path) as file:
        assert file.frames == 1000
        assert np.array_equal(file.read_raw(0, 1000), expected[:1000])


def test_a_cut_mp3_gives_the_samples_that_are_there(sound_file: Callable[..., Path]) -> None:
    path = sound_file("a.mp3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with AudioFile(path) as file:
        assert 4000 < file.frames < 10_000
        file.read(0, file.frames)


@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\0\x05abcde"])
def test_nothing_is_said_of_a_sample_dump_among_the_data(
    tag: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.sds"
    soundfile.write(path, np.zeros(400), 8000, format="SDS", subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(tag + whole[:21] + bytes(127) + whole[148:])
    with pytest.raises(AudioFileError, match="not audio"):
        AudioFile(path)
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == ""


def test_damage_in_the_middle_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, uniform_noise(100_000, level=1), 44_100)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    path.write_bytes(data)
    with AudioFile(path) as file, pytest.raises(AudioFileError, match=r"damaged near \d\.\d+ s"):
        file.read(0, file.frames)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_headers_are_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Headers that promise terabytes, negative rates, no channels: no crash, no huge memory."""
    folder = tmp_path_factory.getbasetemp()
    container = data.draw(st.sampled_from(["WAV", "AIFF", "W64", "AU", "CAF", "RF64", "WAVEX"]))
    path = folder / "damaged.bin"
    soundfile.write(path, np.linspace(-0.5, 0.5, 200), 8000, format=container)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 120))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        with AudioFile(path) as file:
            assert 0 < file.frames <= 8 * len(content)
            assert file.read(0, file.frames).shape == (file.channels, file.frames)
    except AudiomaskError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_temporary_copies_go_when_the_file_is_open(
    sound_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    with AudioFile(sound_file("a.ogg")) as file:
        assert list(copies.iterdir()) == []
        file.read(0, 100)
    (tmp_path / "b.wav").write_bytes(bytes(range(256)))
    with pytest.raises(AudioFileError):
        AudioFile(tmp_path / "b.wav")
    assert list(copies.iterdir()) == []


def test_a_named_pipe_is_read(sound_file: Callable[..., Path], tmp_path: Path) -> None:
    path, pipe = sound_file("a.wav", "PCM_16"), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    with AudioFile(pipe) as file:
        writer.join()
        assert np.array_equal(file.read_raw(0, file.frames), soundfile.read(path, dtype="int32")[0])


def test_unicode_and_spaces_in_names(tmp_path: Path) -> None:
    path = tmp_path / "ein földer" / "曲 – one.wav"
    write_audio(path, torch.zeros(1, 5), 8000)
    assert read_audio(path)[0].shape == (1, 5)
    assert read_audio(str(path))[0].shape == (1, 5)


def test_names_that_are_no_utf_8(tmp_path: Path, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.ogg", noise, 44_100)
    for ending in ("wav", "flac", "ogg"):
        name = os.fsdecode(b"caf\xe9." + ending.encode())
        try:
            (tmp_path / name).touch()
        except (OSError, UnicodeEncodeError):
            pytest.skip("this disk does not take such names")
        with AudioWriter(tmp_path / name, 44_100, 2, overwrite=True) as writer:
            writer.write(torch.from_numpy(noise.T).float())
        with AudioFile(tmp_path / name) as file:
            assert file.frames == len(noise)
            assert file.read(0, 10).shape == (2, 10)
