"""Chunks of WAV and its kin: nothing is lost on the way, and nothing malformed hurts."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from recordings import bext, chunk, fmt, png, riff

from audiomask.audio.metadata.model import Chunk, Layout, Metadata, Picture, Place
from audiomask.audio.metadata.riff import arrange, make_chunks, pack, read_riff
from audiomask.audio.wav import WavStream

SOUND = bytes(range(200))
NAMES = st.sampled_from([b"bext", b"iXML", b"cue ", b"LIST", b"smpl", b"acid", b"_PMX", b"zzzz"])
CHUNKS = st.lists(
    st.builds(Chunk, NAMES, st.binary(max_size=99), st.sampled_from(list(Place))), max_size=6
)


def in_order(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    kept = [c for c in chunks if c.name != b"LIST" or c.content[:4] != b"wavl"]
    return tuple(sorted(kept, key=lambda c: c.place))


@given(chunks=CHUNKS, frames=st.integers(0, 7), wide=st.booleans(), known=st.booleans())
def test_random_chunks_come_back_in_their_places(
    chunks: list[Chunk], frames: int, wide: bool, known: bool
) -> None:
    import numpy as np

    stream = io.BytesIO()
    promised = frames if known else None
    out = WavStream(stream, 8000, 1, "PCM_U8", promised, True, tuple(chunks), Layout(4), wide)
    out.write(np.zeros((frames, 1), np.int32))
    out.close()
    found = read_riff(stream)
    assert found.chunks == in_order(arrange(tuple(chunks), wide or not known))
    assert sorted(c.content for c in found.chunks) == sorted(c.content for c in in_order(chunks))
    assert found.layout == Layout(4)
    data = stream.getvalue()
    assert data[:4] == (b"RF64" if wide else b"RIFF")
    assert wide or int.from_bytes(data[4:8], "little") == len(data) - 8
    stream.seek(0)
    if frames:
        with soundfile.SoundFile(stream) as file:
            assert file.frames == frames


@given(data=st.data())
def test_cut_and_altered_files_raise_nothing(data: st.DataObject) -> None:
    info = b"INFO" + chunk(b"INAM", b"My Song\0") + chunk(b"IART", b"Someone")
    parts = [fmt(), chunk(b"data", SOUND), chunk(b"LIST", info), chunk(b"cue ", bytes(28))]
    whole = bytearray(riff(chunk(b"bext", bext()), *parts, chunk(b"id3 ", b"ID3\4\0\0\0\0\0\5abc")))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    found = read_riff(io.BytesIO(cut))
    assert sum(len(c.content) for c in found.chunks) <= len(cut)


def test_tags_of_info_and_time_code_are_read() -> None:
    info = b"INFO" + chunk(b"INAM", b"My Song\0") + chunk(b"IART", "Sø".encode("cp1252"))
    found = read_riff(io.BytesIO(riff(chunk(b"bext", bext()), fmt(), chunk(b"LIST", info))))
    assert found.tag("TITLE") == "My Song"
    assert found.tag("ARTIST") == "Sø"
    assert found.tag("TIME_REFERENCE") == str(36_000 * 44_100)
    assert found.tag("ORIGINATION_TIME") == "10:00:00"


def test_a_chunk_that_claims_more_than_there_is_costs_nothing(tmp_path: Path) -> None:
    import tracemalloc

    head = riff(fmt(), chunk(b"data", SOUND), b"iXML" + struct.pack("<I", 100 << 20), size=99)
    tracemalloc.start()
    found = read_riff(io.BytesIO(head + b"<BWF"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.chunks == ()
    assert peak < 1 << 20


def test_a_data_chunk_that_was_never_finished_is_all_sound() -> None:
    for size in (0, 0xFFFFFFFF, 0x7FFFFFFF):
        head = riff(chunk(b"bext", bext()), fmt()) + b"data" + struct.pack("<I", size)
        found = read_riff(io.BytesIO(head + b"zzzz\4\0\0\0soun" + bytes(range(1, 200))))
        assert [c.name for c in found.chunks] == [b"bext"]


def test_a_chunk_without_its_filling_byte_does_not_hide_the_next() -> None:
    odd = b"note" + struct.pack("<I", 3) + b"odd"
    found = read_riff(io.BytesIO(riff(fmt(), odd, chunk(b"data", SOUND), chunk(b"acid", b"abcd"))))
    assert [c.name for c in found.chunks] == [b"note", b"acid"]


def test_what_the_samples_decide_is_not_kept() -> None:
    parts = [chunk(name, bytes(8)) for name in (b"PEAK", b"fact", b"JUNK", b"levl", b"MD5 ")]
    assert read_riff(io.BytesIO(riff(fmt(), *parts, chunk(b"data", SOUND)))).chunks == ()


def test_large_metadata_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomask.audio.metadata.riff.LIMIT", 1000)
    parts = [fmt(), chunk(b"data", SOUND), chunk(b"axml", bytes(900)), chunk(b"iXML", bytes(101))]
    found = read_riff(io.BytesIO(riff(*parts)))
    assert [c.name for c in found.chunks] == [b"axml"]
    assert "iXML" in found.lost


def test_info_alone_where_it_has_names_for_all() -> None:
    few = make_chunks(Metadata(tags=(("TITLE", "A"), ("ARTIST", "B"))))
    assert [c.name for c in few] == [b"LIST"]
    for more in (
        Metadata(tags=(("TITLE", "A"), ("ALBUMARTIST", "B"))),
        Metadata(tags=(("ARTIST", "A"), ("ARTIST", "B"))),
        Metadata(tags=(("ARTIST", "A"),), pictures=(Picture(png(), "image/png"),)),
    ):
        chunks = make_chunks(more)
        assert [c.name for c in chunks] == [b"LIST", b"id3 "]
        found = read_riff(io.BytesIO(riff(fmt(), pack(chunks, *Place))))
        assert found.pictures == more.pictures
        assert {name for name, _ in found.tags} == {name for name, _ in more.tags}


def test_a_time_code_among_tags_becomes_one_again() -> None:
    told = read_riff(io.BytesIO(riff(chunk(b"bext", bext()), fmt()))).tags
    (made,) = make_chunks(Metadata(tags=told, container="FLAC"))
    assert (made.name, made.place) == (b"bext", Place.BEFORE_FORMAT)
    assert made.content[338:346] == bext()[338:346]
    assert made.content[320:338] == b"2024-05-0110:00:00"
