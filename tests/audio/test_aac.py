"""AAC in MP4: what is written is what ffmpeg reads, with length, tags and cover."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from signals import noise

from audiomask.audio import aac
from audiomask.audio.aac import aac_bitrate
from audiomask.audio.files import AudioFile
from audiomask.audio.metadata.model import Metadata, Picture
from audiomask.audio.metadata.reading import read_metadata
from audiomask.audio.writer import AudioWriter
from audiomask.errors import AudioFileError, UsageError

FRAMES = 48_123


@pytest.fixture
def probed(peer: Callable[[str], str]) -> Callable[[Path], Any]:
    """``probed(path)``: the first stream according to ffprobe."""

    def probe(path: Path) -> Any:
        words = [peer("ffprobe"), "-v", "error", "-show_streams", "-of", "json", str(path)]
        done = subprocess.run(words, capture_output=True, check=True)
        return json.loads(done.stdout)["streams"][0]

    return probe


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (22_050, 6)])
def test_rate_channels_and_length_are_kept(
    tmp_path: Path, probed: Callable[[Path], Any], rate: int, channels: int
) -> None:
    time = torch.arange(FRAMES) / rate
    # the fourth of six channels is that of low frequencies
    pitches = 220 * (1 + torch.tensor([0, 1, 2, -0.8, 3, 4])[:channels, None])
    sound = 0.3 * torch.sin(2 * torch.pi * pitches * time)
    path = tmp_path / "a.m4a"
    with AudioWriter(path, rate, channels) as out:
        for start in range(0, FRAMES, 10_000):
            out.write(sound[:, start : start + 10_000])
    found = probed(path)
    assert found["codec_name"] == "aac"
    assert (int(found["sample_rate"]), found["channels"]) == (rate, channels)
    assert found["duration_ts"] * rate == FRAMES * int(found["time_base"].split("/")[1])
    with AudioFile(path) as file:
        read = file.read(0, FRAMES)
    inside = slice(4096, -4096)
    error = (read - sound)[:, inside].square().mean(dim=1)
    assert (error < 0.01 * sound[:, inside].square().mean(dim=1)).all(), "channels in their order"


def test_tags_and_the_cover_come_with_it(tmp_path: Path) -> None:
    image = BytesIO()
    Image.new("RGB", (8, 8), "red").save(image, "PNG")
    tags = (("TITLE", "Söng"), ("ALBUMARTIST", "B=C"), ("TRACKNUMBER", "3"), ("MOOD", "blue"))
    metadata = Metadata(tags, (Picture(image.getvalue(), "image/png"),))
    path = tmp_path / "a.m4a"
    with AudioWriter(path, 44_100, 2, metadata=metadata) as out:
        out.write(0.1 * noise(2, 20_000))
    assert out.lost == "m4a cannot hold the tags MOOD"
    with AudioFile(path) as file:
        found = read_metadata(file)
    assert {*tags[:3]} <= {*found.tags}
    assert [picture.data for picture in found.pictures] == [image.getvalue()]


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 4), (192_000, 2), (44_099, 1)])
def test_what_it_cannot_hold_is_refused(tmp_path: Path, rate: int, channels: int) -> None:
    with (
        pytest.raises(AudioFileError, match=f"{channels} channels at {rate} Hz; choose another"),
        AudioWriter(tmp_path / "a.m4a", rate, channels),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_without_ffmpeg_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aac, "ffmpeg_path", lambda: None)
    with (
        pytest.raises(AudioFileError, match="install ffmpeg to write m4a"),
        AudioWriter(tmp_path / "a.m4a", 44_100, 2),
    ):
        pass


def write_noise(path: Path, blocks: int) -> None:
    with AudioWriter(path, 44_100, 2) as out:
        for _ in range(blocks):
            out.write(0.1 * noise(2, 20_000))


def test_an_encoder_that_ends_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho no luck today >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(aac, "ffmpeg_path", lambda: str(program))
    for blocks in (1, 50):
        with pytest.raises(AudioFileError, match=r"a\.m4a: ffmpeg cannot write it: no luck today$"):
            write_noise(tmp_path / "a.m4a", blocks)
        assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_failure_leaves_no_file_and_no_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: begun.append(start(*a, **k)) or begun[-1]
    )
    monkeypatch.setattr(aac.AACFile, "finish", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_noise(tmp_path / "a.m4a", 1)
    assert [process.returncode is None for process in begun] == [False]
    assert not list(tmp_path.iterdir())


def test_bitrates_have_bounds() -> None:
    assert aac_bitrate(None, 44_100, 2) == 256_000
    assert aac_bitrate(96_000, 44_100, 2) == 96_000
    assert aac_bitrate(None, 8000, 1) == 48_000
    for bitrate in (31_000, 513_000):
        with pytest.raises(UsageError, match="take 32k to 512k"):
            aac_bitrate(bitrate, 44_100, 2)
