"""Metadata of an extended recording: what moves with its sound, and what is left out and told."""

import struct

import pytest
from recordings import RATE, bext

from audiomask.audio.metadata.extending import for_extended
from audiomask.audio.metadata.model import Chunk, Metadata

CUE = struct.pack("<III4sIII", 1, 1, 500, b"data", 0, 0, 500)
SMPL = struct.pack("<9I", 0, 0, 0, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 0, 0, 100, 900, 0, 0)


def recording(*chunks: tuple[bytes, bytes], container: str = "RIFF", **more: object) -> Metadata:
    made = tuple(Chunk(name, content) for name, content in chunks)
    return Metadata(container=container, chunks=made, **more)  # type: ignore[arg-type]


def test_times_stay_at_their_sound() -> None:
    tags = (("TITLE", "Song"), ("TIME_REFERENCE", str(36_000 * RATE)))
    before = recording(
        (b"bext", bext()), (b"cue ", CUE), (b"smpl", SMPL), (b"xyz ", b"odd"), tags=tags
    )
    after = for_extended(before, 1000, 50)
    time, cue, smpl, other = (chunk.content for chunk in after.chunks)
    assert int.from_bytes(time[338:346], "little") == 36_000 * RATE - 1000
    assert time[:338] + time[346:] == bext()[:338] + bext()[346:]
    assert struct.unpack("<III4sIII", cue) == (1, 1, 1500, b"data", 0, 0, 1500)
    assert struct.unpack("<6I", smpl[36:]) == (0, 0, 1100, 1900, 0, 0)
    assert other == b"odd"
    assert after.tags == (("TITLE", "Song"), ("TIME_REFERENCE", str(36_000 * RATE - 1000)))
    assert after.lost == ""


def test_what_comes_after_moves_nothing() -> None:
    before = recording((b"bext", bext()), (b"cue ", CUE), (b"plst", b"1234"), lost="something")
    assert for_extended(before, 0, 1000) == before


def test_a_day_has_no_time_before_midnight() -> None:
    before = recording((b"bext", bext(reference=10)), tags=(("TIME_REFERENCE", "10"),))
    after = for_extended(before, 1000, 0)
    assert int.from_bytes(after.chunks[0].content[338:346], "little") == 0
    assert after.tag("TIME_REFERENCE") == "0"
    assert "midnight" in after.lost


@pytest.mark.parametrize(
    ("name", "content", "container"),
    [
        (b"MARK", b"\0\1", "AIFF"),
        (b"plst", b"1234", "RIFF"),
        (b"iXML", b"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>1", "RIFF"),
    ],
)
def test_unknown_times_are_left_out_and_told(name: bytes, content: bytes, container: str) -> None:
    after = for_extended(recording((name, content), container=container), 10, 0)
    assert not after.chunks
    assert name.decode() in after.lost


def test_malformed_chunks_stay() -> None:
    before = recording(
        (b"cue ", b"\1"), (b"smpl", b"short"), (b"bext", b"x" * 300), (b"iXML", b"<X>")
    )
    assert for_extended(before, 10, 0) == before


def test_a_cue_sheet_is_about_the_recording_alone() -> None:
    before = recording((b"\5", b"sheet"), (b"\4", b"tags"), container="FLAC")
    after = for_extended(before, 0, 10)
    assert [chunk.name for chunk in after.chunks] == [b"\4"]
    assert "cue sheet" in after.lost
    assert for_extended(before, 0, 0) == before
