"""Every container we write takes tags, pictures and layouts, and its sound stays what it was."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recordings import png
from signals import tone

from audiomask.audio.files import AudioFile
from audiomask.audio.metadata.model import Layout, Metadata, Picture
from audiomask.audio.metadata.moving import make_room
from audiomask.audio.metadata.reading import parse, read_metadata
from audiomask.audio.writer import AudioWriter

TAGS = (("TITLE", "Süß"), ("ARTIST", "A"), ("TRACKNUMBER", "3/12"), ("DATE", "2024-05-01"))
#: more than two pages of Ogg
COVER = Picture(png() + bytes(140_000), "image/png", 3, "front")
SOUND = torch.rand(2, 30_001, generator=torch.Generator().manual_seed(1)) - 0.5
ENDINGS = ("wav", "rf64", "w64", "flac", "ogg", "opus", "mp3", "aiff", "caf")
COVERED = ("wav", "rf64", "flac", "ogg", "opus", "mp3", "aiff")


def write(path: Path, metadata: Metadata | None, sound: torch.Tensor = SOUND, **more: Any) -> Path:
    rate = 48_000
    with AudioWriter(path, rate, len(sound), metadata=metadata, overwrite=True, **more) as out:
        for start in range(0, sound.shape[1], 4096):
            out.write(sound[:, start : start + 4096])
    return path


def heard_by_ffmpeg(path: Path) -> bytes:
    words = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-map", "0:a", "-f", "s16le", "-"]
    return subprocess.run(words, capture_output=True, check=True).stdout


@pytest.mark.parametrize("ending", ENDINGS)
def test_tags_and_cover_come_back_and_the_sound_stays(
    tmp_path: Path, probe: Callable[[Path], dict[str, Any]], ending: str
) -> None:
    told = write(tmp_path / f"told.{ending}", Metadata(TAGS, (COVER,)))
    plain = write(tmp_path / f"plain.{ending}", None)
    with AudioFile(told) as file, AudioFile(plain) as other:
        assert file.frames == other.frames == SOUND.shape[1]
        assert torch.equal(file.read(0, file.frames), other.read(0, other.frames))
        found = read_metadata(file)
    assert dict(TAGS).items() <= dict(found.tags).items()
    assert [p.data for p in found.pictures] == [COVER.data] * (ending in COVERED or ending == "w64")
    assert heard_by_ffmpeg(told) == heard_by_ffmpeg(plain)
    if ending in COVERED:
        seen = probe(told)
        assert seen["pictures"] == ["png"]
        assert (seen["tags"]["TITLE"], seen["tags"]["ARTIST"]) == ("Süß", "A")
        assert seen["tags"]["TRACK"] == "3/12"


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3", "aiff", "caf", "w64", "wav"])
def test_what_was_read_is_written_again_by_the_same_container(tmp_path: Path, ending: str) -> None:
    first = write(tmp_path / f"a.{ending}", Metadata(TAGS, (COVER,), Layout(3)))
    with AudioFile(first) as file:
        once = read_metadata(file)
    with AudioFile(write(tmp_path / f"b.{ending}", once)) as file:
        assert read_metadata(file) == once


@pytest.mark.parametrize(("channels", "mask"), [(4, 0x33), (6, 0x60F), (8, 0x63F)])
@pytest.mark.parametrize("ending", ["wav", "rf64", "w64", "flac", "caf"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_layouts_come_back(
    tmp_path: Path,
    probe: Callable[[Path], dict[str, Any]],
    channels: int,
    mask: int,
    ending: str,
    subtype: str,
) -> None:
    sound = torch.rand(channels, 999) - 0.5
    path = write(tmp_path / f"a.{ending}", Metadata(layout=Layout(mask)), sound, subtype=subtype)
    with AudioFile(path) as file:
        assert file.read(0, 999).sub(sound).abs().max() < 2**-15
        found = read_metadata(file).layout
    assert found is not None
    assert found.mask == mask
    names = {0x33: "quad", 0x60F: "5.1(side)", 0x63F: "7.1"}
    assert probe(path)["layout"] == names[mask]


def test_bits_that_are_valid_and_ambisonic_files_are_told(tmp_path: Path) -> None:
    family = bytes.fromhex("00002107d3118644c8c1ca000000")
    layout = Layout(0, 20, family)
    sound = torch.rand(4, 99)
    path = write(tmp_path / "a.wav", Metadata(layout=layout), sound, subtype="PCM_24")
    with AudioFile(path) as file:
        assert file.subtype == "PCM_24"
        assert read_metadata(file).layout == layout


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("channels", [3, 5, 6, 7, 8])
def test_every_channel_of_ogg_reaches_its_loudspeaker(
    tmp_path: Path, peer: Callable[[str], str], subtype: str, channels: int
) -> None:
    peer("ffmpeg")
    # deep ones, as the channel for those carries no others
    pitches = [40 + 20 * n for n in range(channels)]
    sound = 0.2 * tone(pitches, 24_000, 48_000)
    path = write(tmp_path / "a.ogg", None, sound, subtype=subtype, bitrate=64_000 * channels)
    theirs = np.frombuffer(heard_by_ffmpeg(path), "<i2").reshape(-1, channels)
    with AudioFile(path) as file:
        ours = file.read(0, file.frames).numpy().T
    for heard in (theirs, ours):
        spectrum = np.abs(np.fft.rfft(heard[:24_000], axis=0))
        assert [round(2 * int(k)) for k in spectrum.argmax(0)] == pitches


def test_a_picture_too_large_for_flac_is_told(tmp_path: Path) -> None:
    large = Metadata(TAGS, (Picture(bytes(1 << 24), "image/png"),))
    with AudioWriter(tmp_path / "a.flac", 44_100, 2, metadata=large) as out:
        out.write(SOUND)
    assert "16 MiB" in out.lost
    with AudioFile(tmp_path / "a.flac") as file:
        assert file.frames == SOUND.shape[1]
        assert read_metadata(file).tag("TITLE") == "Süß"


@given(
    content=st.binary(max_size=300),
    position=st.integers(0, 300),
    shift=st.integers(-300, 300),
    block=st.integers(1, 64),
)
def test_room_is_made_in_place(content: bytes, position: int, shift: int, block: int) -> None:
    position = min(position, len(content))
    shift = max(shift, -position)
    file = io.BytesIO(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiomask.audio.metadata.moving.BLOCK", block)
        make_room(file, position, shift)
    made = file.getvalue()
    assert made[position + shift :] == content[position:]
    assert made[: min(position, position + shift)] == content[: min(position, position + shift)]


@given(data=st.data())
def test_damaged_containers_raise_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ending = data.draw(st.sampled_from(ENDINGS))
    path = tmp_path_factory.getbasetemp() / f"whole.{ending}"
    if not path.exists():
        small = Metadata(TAGS, (Picture(png(), "image/png"),))
        write(path, small, SOUND[:, :2000])
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, min(len(whole), 900) - 1))] = data.draw(st.integers(0, 255))
    parse(io.BytesIO(whole[: data.draw(st.integers(0, len(whole)))]))
