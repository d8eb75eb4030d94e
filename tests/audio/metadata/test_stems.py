"""A stem keeps what still holds for it, and nothing else."""

from __future__ import annotations

import io
import struct

import pytest
from recordings import RATE, bext, chunk, fmt, png, riff

from audiomask.audio.metadata.id3 import read_id3, write_id3
from audiomask.audio.metadata.model import Chunk, Metadata, Picture
from audiomask.audio.metadata.riff import read_riff
from audiomask.audio.metadata.stems import for_stem, holds_for_stems


@pytest.mark.parametrize(
    "name",
    [
        *("REPLAYGAIN_TRACK_GAIN", "R128_TRACK_GAIN", "ITUNNORM", "ENCODER", "ENCODER SETTINGS"),
        *("LENGTH", "MD5", "ACOUSTID_FINGERPRINT", "MUSICBRAINZ_TRACKID", "AccurateRipResult"),
        *("MusicBrainz Release Track Id", "iTunes_CDDB_1"),
    ],
)
def test_what_is_true_of_the_song_alone_is_left_out(name: str) -> None:
    assert not holds_for_stems(name)
    found = for_stem(Metadata((("TITLE", "A"), (name.upper(), "1"))), "bass", "song")
    assert found.tags == (("TITLE", "A (bass)"),)


@pytest.mark.parametrize("name", ["ARTIST", "ALBUM", "MUSICBRAINZ_ALBUMID", "BPM", "ISRC", "DATE"])
def test_what_holds_for_every_part_is_kept(name: str) -> None:
    assert holds_for_stems(name)


def test_a_file_name_stands_for_a_missing_title_among_tags() -> None:
    assert for_stem(Metadata((("ARTIST", "B"),)), "bass", "song").tag("TITLE") == "song (bass)"
    assert for_stem(Metadata(), "bass", "song") == Metadata()
    assert for_stem(Metadata((("ENCODER", "B"),)), "bass", "song") == Metadata()


@pytest.mark.parametrize("coding", ["utf-8", "cp1252"])
def test_info_keeps_its_encoding_and_what_we_do_not_know(coding: str) -> None:
    items = chunk(b"IART", "Motör".encode(coding) + b"\0") + chunk(b"IXYZ", b"odd")
    items += chunk(b"INAM", "Süß".encode(coding) + b"\0") + chunk(b"ISFT", b"Editor\0")
    song = read_riff(io.BytesIO(riff(fmt(), chunk(b"LIST", b"INFO" + items))))
    stem = for_stem(song, "bass", "song")
    (found,) = stem.chunks
    assert found.content == (
        b"INFO"
        + chunk(b"IART", "Motör".encode(coding) + b"\0")
        + chunk(b"IXYZ", b"odd")
        + chunk(b"INAM", "Süß (bass)".encode(coding) + b"\0")
    )
    assert dict(stem.tags) == {"TITLE": "Süß (bass)", "ARTIST": "Motör"}


def test_time_code_stays_and_loudness_goes() -> None:
    song = read_riff(io.BytesIO(riff(chunk(b"bext", bext(version=2)), fmt())))
    (stem,) = for_stem(song, "bass", "song").chunks[:1]
    assert stem.content[:348] == bext()[:348]
    assert stem.content[348:412] == bytes(64)
    assert struct.unpack("<5h", stem.content[412:422]) == (0x7FFF,) * 5
    assert stem.content[422:] == bext()[422:]
    assert int.from_bytes(stem.content[338:346], "little") == 36_000 * RATE


def test_the_tags_inside_a_wav_get_the_title_as_well() -> None:
    cover = Picture(png(), "image/png")
    inside = write_id3((("TITLE", "A"), ("REPLAYGAIN_TRACK_GAIN", "-6 dB")), (cover,))
    song = read_riff(io.BytesIO(riff(fmt(), chunk(b"cue ", bytes(28)), chunk(b"id3 ", inside))))
    stem = for_stem(song, "bass", "song")
    by_name = {c.name: c.content for c in stem.chunks}
    assert read_id3(by_name[b"id3 "]) == ((("TITLE", "A (bass)"),), (cover,))
    assert by_name[b"cue "] == bytes(28)


def test_blocks_of_flac_that_describe_the_song_stay_with_it() -> None:
    blocks = tuple(Chunk(bytes([kind]), b"1234") for kind in (2, 4, 5, 6))
    stem = for_stem(Metadata((("TITLE", "A"),), container="FLAC", chunks=blocks), "bass", "song")
    assert [c.name for c in stem.chunks] == [b"\5"]
