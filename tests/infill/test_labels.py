"""Files of gaps, as strangers' programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import UsageError
from audiomask.infill.gaps import Gap
from audiomask.infill.labels import read_labels, write_labels

RATE, FRAMES = 1000, 10_000


def spans(path: Path) -> list[tuple[int, int]]:
    gaps = [label.gap(RATE, FRAMES, 2) for label in read_labels(path).labels]
    assert not any(gap.channels for gap in gaps)
    return sorted((gap.start, gap.stop) for gap in gaps)


@pytest.mark.parametrize(
    "content",
    [
        "1.000000\t2.000000\tdropout one\n4\t5.5\t\n",
        "\ufeff1\t2\r\n\\\t100.0\t200.0\r\n4\t5.5\r\n",
        "1,2\n4,5.5\n",
        "start,end\n1,2\n4,5.5",
        "# mine\n\nlabel; End ;Start\nx;2;1\ny;5.5;4\n",
        '"1","2","a, b"\n"4","5.5"\n',
        "1,000000\t2,000000\tdrop\n4,0\t5,5\tdrop\n",
        "start;end\r\n1,0;2,0\r\n4;5,5\r\n",
        '"1,0","2,0"\n"4","5,5"\n',
        "start,end\n1e0,2\n4.0E+00,5.5\n",
        "0:01\t0:02\n0:00:04.000\t0:00:05.500\n",
        "#,Name,Start,End,Length\nR1,Region 1,1.000,2.000,1.000\nM1,x,3.5,,\n"
        "R2,,0:04,0:05.500,1.5\n",
        "Name\tStart\tDuration\tTime Format\tType\tDescription\n"
        "Marker 01\t0:01.000\t0:01.000\tdecimal\tCue\t\n"
        "Marker 02\t0:04.000\t0:01.500\tdecimal\tCue\tx\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_label_tracks_and_tables(content: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.txt"
    content = content.removeprefix("\ufeff") if encoding != "utf-8" else content
    path.write_bytes(content.encode(encoding))
    assert spans(path) == [(1000, 2000), (4000, 5500)]


def test_letters_of_any_code_page(tmp_path: Path) -> None:
    path = tmp_path / "gaps.txt"
    path.write_bytes("1.5\t1.6\tdr\xf6p\r\n".encode("cp1252"))
    assert spans(path) == [(1500, 1600)]


def test_points_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "gaps.txt"
    path.write_text("0\t0\ttitle\n1.5\t1.6\tdrop\n2.0\t2.0\tcheck\n")
    assert spans(path) == [(1500, 1600)]
    assert read_labels(path).points == [1, 3]


def test_a_start_just_before_the_recording_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "gaps.txt"
    path.write_text("-0.000010\t0.100000\tstart\n")
    assert spans(path) == [(0, 100)]
    path.write_text("-0.5\t0.100000\tstart\n")
    with pytest.raises(UsageError, match="line 1: begins before the recording"):
        spans(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no gaps"),
        (b"# nothing\n\n", "names no gaps"),
        (b"start,end\n", "names no gaps"),
        (b"1\t1\tpoint\n", "names only labels without a length"),
        (b"1\t2\n3\n", "line 2: expected a start and an end"),
        (b"1\t2\n3\t\n", "line 2: '' is not a time"),
        (b"1\t2\tx\nthree\t4\n", "line 2: 'three' is not a time"),
        (b"1\t2\tx\n2\t1\ty\n", "line 2: ends before it begins"),
        (b"1,2\n\n1,99\n", "line 3: lies beyond the end"),
        (b"1,5,1,6\n", "line 1: commas in numbers and between them"),
        (b"RIFF\xff\xfe\x00\x01", "is not a text file"),
        (b"1,2" + b" " * 100_000, "line 1: is too long"),
        (b'1,"2\n', "line 1"),
        (b"1\t2\tx [7]\n", "line 1: no channel '7'"),
    ],
)
def test_a_wrong_file_of_gaps_is_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words.replace("[", r"\[")) as caught:
        spans(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_gaps(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_labels(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path)


@given(content=st.binary(max_size=200))
def test_any_file_is_gaps_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        gaps = spans(path)
    except UsageError:
        return
    assert all(0 <= start < stop <= FRAMES for start, stop in gaps)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    gaps = [Gap(0, 7), Gap(44_100, 44_101, (1,)), Gap(100_000, 123_457, (0, 2))]
    write_labels(tmp_path / "x.txt", [(gap, "silence") for gap in gaps], 44_100, 3)
    assert (tmp_path / "x.txt").read_text().splitlines()[1].endswith("\tsilence [2]")
    labels = read_labels(tmp_path / "x.txt").labels
    assert [label.gap(44_100, 1 << 20, 3) for label in labels] == gaps
    write_labels(tmp_path / "x.txt", [(Gap(5, 9, (0,)), "nan")], 192_000, 2)
    (label,) = read_labels(tmp_path / "x.txt").labels
    assert label.channels == ("left",)
    assert label.gap(192_000, 1 << 20, 2) == Gap(5, 9, (0,))
