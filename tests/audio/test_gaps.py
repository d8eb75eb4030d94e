from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.audio.gaps import (
    Gap,
    merge_gaps,
    middle_gap,
    parse_gap,
    read_gap_file,
)
from audiomask.errors import UsageError

RATE = 1000


def spans(gaps: list[Gap]) -> list[tuple[int, int]]:
    return [(gap.start, gap.stop) for gap in gaps]


def test_a_gap_holds_something() -> None:
    assert Gap(2, 5).length == 3
    for start, stop in [(2, 2), (3, 2), (-1, 4)]:
        with pytest.raises(ValueError, match="not a span"):
            Gap(start, stop)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5:2.25", Gap(1500, 2250)),
        ("0:10", Gap(0, 10_000)),
        (".5: 1.", Gap(500, 1000)),
        ("0.0004:0.0005", Gap(0, 1)),
        ("9:10.009", Gap(9000, 10_000)),
    ],
)
def test_a_gap_in_seconds(text: str, expected: Gap) -> None:
    assert parse_gap(text, RATE, 10_000) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.5", "START:END"),
        ("", "START:END"),
        ("1:2:3", "'2:3' is not a time"),
        (":2", "'' is not a time"),
        ("-1:2", "'-1' is not a time"),
        ("nan:inf", "'nan' is not a time"),
        ("1e3:2e3", "is not a time"),
        ("1_0:1_1", "is not a time"),
        ("0:" + "9" * 5000, "is not a time"),
        ("2:1", "ends before it begins"),
        ("2:2", "ends before it begins"),
        ("9:11", "lies beyond the end; the file lasts 10.000 s"),
        ("12:13", "lies beyond the end"),
    ],
)
def test_what_is_no_gap_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_gap(text, RATE, 10_000)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_a_gap_or_refused(text: str) -> None:
    try:
        gap = parse_gap(text, RATE, 10_000)
    except UsageError:
        return
    assert 0 <= gap.start < gap.stop <= 10_000


@pytest.mark.parametrize(
    "content",
    [
        "1.000000\t2.000000\tdropout one\n4\t5.5\t\n",
        "\ufeff1\t2\r\n\\\t100.0\t200.0\r\n4\t5.5\r\n",
        "1,2\n4,5.5\n",
        "start,end\n1,2\n4,5.5",
        "# mine\n\nlabel; End ;Start\nx;2;1\ny;5.5;4\n",
        '"1","2","a, b"\n"4","5.5"\n',
        "4,5.5\n1,1.5\n1.5,2\n",
    ],
)
def test_label_tracks_and_tables(content: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.txt"
    path.write_text(content, encoding="utf-8", newline="")
    assert spans(read_gap_file(path, RATE, 10_000)) == [(1000, 2000), (4000, 5500)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no gaps"),
        (b"# nothing\n\n", "names no gaps"),
        (b"start,end\n", "names no gaps"),
        (b"1\t2\n3\n", "line 2: expected a start and an end"),
        (b"1\t2\tx\nthree\t4\n", "line 2: 'three' is not a time"),
        (b"1\t1\tpoint\n", "line 1: ends before it begins"),
        (b"1,2\n\n1,99\n", "line 3: lies beyond the end"),
        (b"RIFF\xff\xfe\x00\x01", "is not a text file"),
        (b"1,2" + b" " * 100_000, "line 1: is too long"),
        (b'1,"2\n', "line 1"),
    ],
)
def test_a_wrong_file_of_gaps_is_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_gap_file(path, RATE, 10_000)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_of_gaps(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_gap_file(tmp_path / "none.txt", RATE, 10_000)
    with pytest.raises(UsageError, match="cannot be read"):
        read_gap_file(tmp_path, RATE, 10_000)


@given(content=st.binary(max_size=200))
def test_any_file_is_gaps_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        gaps = read_gap_file(path, RATE, 10_000)
    except UsageError:
        return
    assert gaps == merge_gaps(gaps)


def test_the_middle() -> None:
    assert middle_gap(0.5, RATE, 2000) == Gap(750, 1250)
    assert middle_gap(0.001, RATE, 3) == Gap(1, 2)
    for seconds, words in [
        (2.0, "leaves nothing"),
        (0.0, "not even one"),
        (-1.0, "not even one"),
        (float("nan"), "not even one"),
        (float("inf"), "not even one"),
    ]:
        with pytest.raises(UsageError, match=words):
            middle_gap(seconds, RATE, 2000)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12))
def test_merging_keeps_every_sample_once(pairs: list[tuple[int, int]]) -> None:
    gaps = [Gap(start, start + length) for start, length in pairs]
    merged = merge_gaps(gaps)
    inside = {sample for gap in gaps for sample in range(gap.start, gap.stop)}
    assert [s for gap in merged for s in range(gap.start, gap.stop)] == sorted(inside)
    assert all(a.stop < b.start for a, b in itertools.pairwise(merged))
