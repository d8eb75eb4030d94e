"""Bitrates: what is asked for is what comes, in files of the right length."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from signals import noise

from audiomask.audio.bitrate import encoder_settings, parse_bitrate
from audiomask.audio.files import AudioFile
from audiomask.audio.writer import AudioWriter
from audiomask.errors import UsageError


@pytest.mark.parametrize(
    ("text", "bits"),
    [("192k", 192_000), ("320", 320_000), ("64K", 64_000), ("128000", 128_000), ("6", 6000)],
)
def test_bitrates_are_read_as_people_write_them(text: str, bits: int) -> None:
    assert parse_bitrate(text) == bits


@pytest.mark.parametrize("text", ["", "k", "fast", "-1", "1.5k", "192kk", "²", "9" * 99])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--bitrate"):
        parse_bitrate(text)


@pytest.mark.parametrize(
    ("subtype", "bitrate", "rate", "channels"),
    [
        *(("MPEG_LAYER_III", 321_000, 44_100, 2), ("MPEG_LAYER_III", 320_000, 22_050, 2)),
        *(("VORBIS", 10_000, 44_100, 2), ("OPUS", 600_000, 48_000, 2), ("PCM_16", 1, 8000, 1)),
    ],
)
def test_what_a_format_cannot_do_is_refused(
    subtype: str, bitrate: int, rate: int, channels: int
) -> None:
    with pytest.raises(UsageError, match="--bitrate"):
        encoder_settings(subtype, bitrate, rate, channels)


@pytest.mark.parametrize("kbits", [64, 128, 192, 320])
@pytest.mark.parametrize(
    ("ending", "slack"), [("mp3", 0.02), ("opus", 0.25), ("ogg", 0.35), ("m4a", 0.2)]
)
def test_files_have_the_bitrate_asked_for(
    tmp_path: Path, peer: Callable[[str], str], kbits: int, ending: str, slack: float
) -> None:
    path = tmp_path / f"a.{ending}"
    sound = 0.1 * noise(2, 240_001)
    with AudioWriter(path, 48_000, 2, bitrate=kbits * 1000) as out:
        for start in range(0, sound.shape[1], 4096):
            out.write(sound[:, start : start + 4096])
    with AudioFile(path) as file:
        # of AAC, ffmpeg before version 7 decodes the whole last frame
        assert 0 <= file.frames - sound.shape[1] <= (1023 if ending == "m4a" else 0)
    words = [peer("ffprobe"), "-v", "error", "-show_format", "-of", "json", str(path)]
    told = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)["format"]
    assert abs(int(told["bit_rate"]) / (kbits * 1000) - 1) < slack
