from __future__ import annotations

import io
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from signals import tone

from audiomask.audio import writer as module
from audiomask.audio.files import AudioFile, read_audio
from audiomask.audio.formats import default_subtype
from audiomask.audio.pcm import quantize
from audiomask.audio.writer import AudioWriter
from audiomask.errors import AudioFileError, AudiomaskError, UsageError

AUDIO = torch.empty(2, 40_001).uniform_(-0.9, 0.9, generator=torch.Generator().manual_seed(0))


def write(path: Path | str, audio: torch.Tensor = AUDIO, rate: int = 44_100, **more) -> AudioWriter:
    with AudioWriter(path, rate, audio.shape[0], **more) as out:
        for start in range(0, audio.shape[1], 9973):
            out.write(audio[:, start : start + 9973])
    return out


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.aiff", "PCM_16"),
        ("a.w64", "PCM_24"),
        ("a.rf64", "PCM_16"),
        ("a.caf", "ALAC_16"),
        ("a.au", "PCM_16"),
    ],
)
def test_lossless_formats_give_back_what_was_quantised(
    name: str, subtype: str, tmp_path: Path
) -> None:
    out = write(tmp_path / name, subtype=subtype)
    assert (out.frames, out.clipped, out.subtype) == (40_001, 0, subtype)
    back, rate = read_audio(tmp_path / name)
    assert rate == 44_100
    assert torch.equal(back, quantize(AUDIO, subtype))
    assert soundfile.info(tmp_path / name).subtype == subtype


@pytest.mark.parametrize(
    ("name", "rate"), [("a.ogg", 44_100), ("a.mp3", 44_100), ("a.opus", 48_000)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_the_length_and_about_the_sound(
    name: str, rate: int, channels: int, tmp_path: Path
) -> None:
    sound = 0.5 * tone(440, 300_001, rate).repeat(channels, 1)
    with AudioWriter(tmp_path / name, rate, channels) as out:
        out.write(sound)  # at once: long blocks make libsndfile's Vorbis encoder crash
    back, _ = read_audio(tmp_path / name)
    assert back.shape == sound.shape
    assert (back - sound)[:, 5000:-5000].abs().max() < 0.1


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    """libsndfile stamps the time into float files; the WAV writer of ours does not."""
    write(tmp_path / "a.wav", subtype="FLOAT")
    write(tmp_path / "b.wav", subtype="FLOAT", frames=40_001)
    again = (tmp_path / "a.wav").read_bytes()
    write(tmp_path / "a.wav", subtype="FLOAT", overwrite=True)
    assert (tmp_path / "a.wav").read_bytes() == again
    assert (tmp_path / "b.wav").read_bytes()[-320_008:] == again[-320_008:]


def test_clipping_is_counted_and_never_wraps(tmp_path: Path) -> None:
    audio = torch.tensor([[0.0, 1.5, -1.5, 1.0, -1.0]])
    for name, subtype in [("a.wav", "PCM_16"), ("a.wav", "ULAW"), ("a.flac", "PCM_24")]:
        out = write(tmp_path / name, audio, subtype=subtype, overwrite=True)
        assert out.clipped == 2
        back, _ = read_audio(tmp_path / name)
        assert torch.allclose(back, audio.clamp(-1, 1), atol=0.03)
    assert write(tmp_path / "f.wav", audio, subtype="FLOAT").clipped == 0
    assert torch.equal(read_audio(tmp_path / "f.wav")[0], audio)


@pytest.mark.parametrize("source", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("target", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_raw_samples_are_kept_or_rounded_once(
    source: str, target: str, sound_file: Callable[..., Path], tmp_path: Path
) -> None:
    with AudioFile(sound_file("a.wav", source)) as file:
        raw = file.read_raw(0, file.frames)
        exact = torch.from_numpy(raw / 2**31 if raw.dtype == np.int32 else raw).T
        with AudioWriter(tmp_path / "b.wav", 44_100, 2, target) as out:
            out.write_raw(raw[:5000])
            out.write_raw(raw[5000:])
    with AudioFile(tmp_path / "b.wav") as file:
        back = file.read_raw(0, file.frames)
    if source == target:
        assert np.array_equal(back, raw)
    floats = back / 2**31 if back.dtype == np.int32 else back
    assert np.array_equal(floats.T, quantize(exact, target).numpy())


def test_nothing_stays_of_a_failure(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "a.mp3"):
        path = tmp_path / name
        path.write_bytes(b"old")
        with (  # noqa: PT012
            pytest.raises(KeyboardInterrupt),
            AudioWriter(path, 44_100, 2, overwrite=True) as out,
        ):
            out.write(AUDIO)
            raise KeyboardInterrupt
        assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


def test_wrong_outputs_are_refused_at_construction(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    for name, more, words in [
        ("a.wav", {}, "exists"),
        ("a.xyz", {}, "no known format"),
        ("noending", {}, "no known format"),
        ("b.wav", {"format": "wma"}, "cannot write 'wma'"),
        ("b.flac", {"subtype": "FLOAT"}, "FLAC cannot store FLOAT; choose one of"),
        ("-", {"format": "flac"}, "takes only WAV"),
    ]:
        path = name if name == "-" else tmp_path / name
        with pytest.raises(UsageError, match=words):
            AudioWriter(path, 44_100, 2, **more)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_what_a_format_cannot_hold_is_told(tmp_path: Path) -> None:
    for name, rate, channels in [
        ("a.mp3", 192_000, 2),
        ("a.flac", 44_100, 32),
        ("a.opus", 44_100, 1),
    ]:
        with (
            pytest.raises(AudioFileError, match=r"cannot hold.*choose another format"),
            AudioWriter(tmp_path / name, rate, channels),
        ):
            raise AssertionError("must not be entered")
    assert list(tmp_path.iterdir()) == []


def test_containers_that_end_at_4_gib_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 50_000)
    for name in ("a.aiff", "a.au"):
        with pytest.raises(AudioFileError, match="ends at 4 GiB; choose wav"):
            write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_misuse_is_an_error(tmp_path: Path) -> None:
    out = AudioWriter(tmp_path / "a.wav", 44_100, 2)
    with pytest.raises(ValueError, match="with statement"):
        out.write(AUDIO)
    with out:
        for wrong in (AUDIO[:1], AUDIO[0]):
            with pytest.raises(ValueError, match="expected"):
                out.write(wrong)
        with pytest.raises(ValueError, match="expected"):
            out.write_raw(np.zeros((4, 3)))
        out.write(AUDIO[:, :0])


FULL = """
import resource, sys, torch
from audiomask.audio.writer import AudioWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
noise = torch.rand(2, 44_100) - 0.5
for name in sys.argv[1:]:
    try:
        with AudioWriter(name, 44_100, 2) as out:
            for _ in range(5):
                out.write(noise)
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("nothing was said")
"""


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; both fail in the same calls."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    names = [f"a.{ending}" for ending in ("wav", "flac", "ogg", "mp3", "aiff", "w64", "caf", "au")]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *names], cwd=tmp_path, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(names), done.stderr
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"AudioFileError {name}: cannot be written"), line
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


STREAM = """
import sys, torch
from audiomask.audio.files import AudioFile
from audiomask.infill.splice import copy_with_patches
from audiomask.audio.writer import AudioWriter
with AudioFile("-") as file:
    frames = file.frames if "told" in sys.argv else None
    with AudioWriter("-", file.sample_rate, file.channels, file.subtype, frames=frames) as out:
        for _ in copy_with_patches(file, [], out):
            pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "options"), [("| cat >", ""), (">", ""), (">>", ""), ("| cat >", "told")]
)
def test_from_ffmpeg_through_us_to_sox_and_files(
    way: str,
    options: str,
    sound_file: Callable[..., Path],
    tmp_path: Path,
    peer_output: Callable[..., bytes],
) -> None:
    source = sound_file("a.wav", "PCM_24")
    (tmp_path / "us.py").write_text(STREAM)
    us = f"'{sys.executable}' '{tmp_path}/us.py' {options}"
    peer_output(
        f"ffmpeg -v error -i '{source}' -c:a pcm_s24le -f wav - | {us} {way} '{tmp_path}/b.wav'"
    )
    expected, _ = soundfile.read(source, dtype="int32")
    assert np.array_equal(soundfile.read(tmp_path / "b.wav", dtype="int32")[0], expected)
    peer_output(f"cat '{tmp_path}/b.wav' | sox -t wav - -t wav '{tmp_path}/c.wav'")
    assert np.array_equal(soundfile.read(tmp_path / "c.wav", dtype="int32")[0], expected)
    peer_output(f"cat '{tmp_path}/b.wav' | ffmpeg -v error -i - -c:a pcm_s24le '{tmp_path}/d.wav'")
    assert np.array_equal(soundfile.read(tmp_path / "d.wav", dtype="int32")[0], expected)


class Stdout:
    """Standard output that is some bytes in memory, or a terminal, or gone."""

    closed = False

    def __init__(self, buffer: io.BytesIO, terminal: bool = False) -> None:
        self.buffer, self.terminal = buffer, terminal

    def isatty(self) -> bool:
        return self.terminal

    def flush(self) -> None:
        self.buffer.flush()


def test_a_terminal_gets_no_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Stdout(buffer, terminal=True))
    with pytest.raises(UsageError, match="terminal"), AudioWriter("-", 8000, 1):
        raise AssertionError("must not be entered")
    assert buffer.getvalue() == b""


def test_a_reader_that_leaves_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Stdout(Closed()))
    with pytest.raises(BrokenPipeError), AudioWriter("-", 8000, 1) as out:
        out.write(torch.zeros(1, 10))


def test_dev_null_stays_a_device() -> None:
    write("/dev/null")
    write("/dev/null", overwrite=True)
    assert Path("/dev/null").is_char_device()


def test_dev_full_is_told() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has /dev/full")
    with pytest.raises(AudiomaskError, match="/dev/full: cannot be written: No space left"):
        write("/dev/full")


@pytest.mark.parametrize(
    ("source", "format", "expected"),
    [
        ("PCM_16", "wav", "PCM_16"),
        ("PCM_24", "flac", "PCM_24"),
        ("PCM_32", "wav", "PCM_32"),
        ("PCM_32", "flac", "PCM_24"),
        ("FLOAT", "wav", "FLOAT"),
        ("FLOAT", "flac", "PCM_24"),
        ("DOUBLE", "w64", "DOUBLE"),
        ("PCM_U8", "wav", "PCM_U8"),
        ("PCM_S8", "wav", "PCM_U8"),
        ("PCM_U8", "flac", "PCM_S8"),
        ("ALAC_20", "wav", "PCM_24"),
        ("ALAC_16", "flac", "PCM_16"),
        ("VORBIS", "wav", "PCM_16"),
        ("AAC", "flac", "PCM_16"),
        ("PCM_24", "mp3", "MPEG_LAYER_III"),
        ("PCM_24", "ogg", "VORBIS"),
        ("FLOAT", "opus", "OPUS"),
        (None, "wav", "PCM_16"),
        ("PCM_24", "AIFF", "PCM_24"),
    ],
)
def test_the_subtype_loses_nothing_if_it_can(
    source: str | None, format: str, expected: str
) -> None:
    assert default_subtype(source, format) == expected


def test_an_unknown_format_has_no_subtype() -> None:
    with pytest.raises(UsageError, match="choose one of wav"):
        default_subtype("PCM_16", "docx")
