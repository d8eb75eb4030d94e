"""ID3, Vorbis comments and pictures: what is written is read again, by us and by ffmpeg."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from audiomask.audio.metadata import id3, vorbis
from audiomask.audio.metadata.model import Picture

NAMES = st.sampled_from(["TITLE", "ARTIST", "DATE", "COMMENT", "LYRICS", "GENRE", "MY OWN", "X"])
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1)
TAGS = st.lists(st.tuples(NAMES, VALUES), max_size=6, unique_by=lambda tag: tag[0]).map(tuple)
PICTURES = st.lists(
    st.builds(
        Picture,
        st.binary(min_size=1, max_size=400),
        st.sampled_from(["image/png", "image/jpeg"]),
        st.integers(0, 20),
        VALUES,
    ),
    max_size=2,
).map(tuple)


@given(tags=TAGS, pictures=PICTURES)
def test_id3_comes_back(tags: tuple[tuple[str, str], ...], pictures: tuple[Picture, ...]) -> None:
    written = id3.write_id3(tags, pictures)
    read, images = id3.read_id3(written)
    genres = {name: id3.genre(value) if name == "GENRE" else value for name, value in tags}
    assert dict(read) == genres
    assert images == pictures
    assert id3.tag_size(written[:10]) == len(written)


def test_id3_holds_several_values_of_a_name() -> None:
    tags = (("ARTIST", "A"), ("ARTIST", "B"), ("GENRE", "Rock"))
    assert id3.read_id3(id3.write_id3(tags, ()))[0] == tags


@given(tags=TAGS, pictures=PICTURES)
def test_comments_come_back(
    tags: tuple[tuple[str, str], ...], pictures: tuple[Picture, ...]
) -> None:
    coded = (*tags, *map(vorbis.picture_tag, pictures))
    vendor, read = vorbis.read_comments(vorbis.write_comments(b"us", coded))
    assert vendor == b"us"
    assert vorbis.take_pictures(read) == (tags, pictures)


@given(data=st.data(), tags=TAGS, pictures=PICTURES)
def test_damaged_tags_raise_nothing(
    data: st.DataObject, tags: tuple[tuple[str, str], ...], pictures: tuple[Picture, ...]
) -> None:
    for write, read in (
        (id3.write_id3, id3.read_id3),
        (lambda t, p: vorbis.write_comments(b"", t), vorbis.read_comments),
        (lambda t, p: b"".join(map(vorbis.write_picture, p)), vorbis.read_picture),
    ):
        whole = bytearray(write(tags, pictures))
        for _ in range(data.draw(st.integers(0, 4)) if whole else 0):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def frame(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">IH", len(content), 0) + content


def test_tags_of_older_versions_are_read() -> None:
    title = frame(b"TIT2", b"\1" + "Süß".encode("utf-16"))
    third = title + frame(b"TYER", b"\0" + b"2024") + frame(b"TDAT", b"\0" + b"0105")
    third += frame(b"TCON", b"\0(17)") + frame(b"TXXX", b"\0replaygain_track_gain\0-6 dB")
    tag = b"ID3\3\0\0\0\0" + bytes([len(third) >> 7, len(third) & 127]) + third
    assert dict(id3.read_id3(tag + bytes(30))[0]) == {
        **{"TITLE": "Süß", "DATE": "2024-05-01", "GENRE": "Rock"},
        "REPLAYGAIN_TRACK_GAIN": "-6 dB",
    }
    second = b"TT2" + b"\0\0\5" + b"\0Name" + b"PIC" + b"\0\0\x09" + b"\0JPG\3\0abc"
    tag = b"ID3\2\0\0\0\0\0" + bytes([len(second)]) + second
    tags, pictures = id3.read_id3(tag)
    assert tags == (("TITLE", "Name"),)
    assert pictures == (Picture(b"abc", "image/jpeg", 3),)


def test_the_oldest_tags_are_read() -> None:
    fields = (b"Name".ljust(30, b"\0"), b"Who".ljust(30, b" "), bytes(30), b"1999")
    old = b"TAG" + b"".join(fields) + b"said".ljust(28, b"\0") + b"\0\7\x11"
    assert dict(id3.read_id3v1(old)) == {
        **{"TITLE": "Name", "ARTIST": "Who", "DATE": "1999", "COMMENT": "said"},
        **{"TRACKNUMBER": "7", "GENRE": "Rock"},
    }


def test_an_id3_frame_larger_than_its_tag_is_passed_over() -> None:
    tag = b"ID3\4\0\0\0\0\0\x14" + b"TIT2" + b"\x7f\x7f\x7f\x7f\0\0" + b"\3Name"
    assert id3.read_id3(tag) == ((), ())
