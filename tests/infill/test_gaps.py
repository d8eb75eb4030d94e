from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import UsageError
from audiomask.infill.gaps import (
    Gap,
    merge_gaps,
    merge_kinds,
    middle_gap,
    name_channels,
    parse_channel,
    parse_gap,
    parse_time,
)

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
        ("1,5:2,25", Gap(1500, 2250)),
        ("5e-3:0.5", Gap(5, 500)),
        ("-0.00001:0.5", Gap(0, 500)),
        ("1.5-2.25", Gap(1500, 2250)),
        ("0:01.5-0:02,25", Gap(1500, 2250)),
        ("0:00:01 - 0:00:02", Gap(1000, 2000)),
        ("5e-3-1e0", Gap(5, 1000)),
    ],
)
def test_a_gap_in_seconds(text: str, expected: Gap) -> None:
    assert parse_gap(text, RATE, 10_000) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.5", "START:END"),
        ("", "START:END"),
        ("1:2:3", "START-END with minutes"),
        ("1:02.5:1:03", "START-END with minutes"),
        (":2", "'' is not a time"),
        ("-1:2", "begins before the recording"),
        ("nan:inf", "'nan' is not a time"),
        ("1e3:2e3", "lies beyond the end"),
        ("1e999:2e999", "is not a time"),
        ("0:01-0:61", "'0:61' is not a time"),
        ("0:61:00-1:02:00", "'0:61:00' is not a time"),
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
    ("text", "seconds"),
    [
        ("62.5", 62.5),
        ("62,5", 62.5),
        ("1:02.5", 62.5),
        ("90:00", 5400),
        ("1:01:02,500", 3662.5),
        ("5e-05", 5e-5),
        ("-1E-5", -1e-5),
        (" 7 ", 7),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text, "here") == pytest.approx(seconds)


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


def test_gaps_of_channels_are_joined_each_by_itself() -> None:
    left, right = Gap(100, 900, (0,)), Gap(500, 1500, (1,))
    assert merge_gaps([right, left], 2) == [left, right]
    # where both are broken at nearly the same time, they are one
    assert merge_gaps([left, Gap(101, 905, (1,))], 2) == [Gap(100, 905)]
    assert merge_gaps([left, Gap(101, 905, (1,))], 3) == [Gap(100, 905, (0, 1))]
    # a gap of all channels is joined with what touches it in one
    assert merge_gaps([Gap(100, 900), Gap(900, 2000, (1,))], 2) == [left, Gap(100, 2000, (1,))]
    assert merge_gaps([Gap(5, 7, (0,)), Gap(6, 8, (1,)), Gap(20, 22, (1,))], 2) == [
        Gap(5, 8),
        Gap(20, 22, (1,)),
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 200), st.sets(st.integers(0, 2))), max_size=8
    )
)
def test_merging_touches_little_beside_the_gaps(pieces: list[tuple[int, int, set[int]]]) -> None:
    gaps = [Gap(start, start + n, tuple(sorted(rows))) for start, n, rows in pieces]
    merged = merge_gaps(gaps, 3)
    assert merge_gaps(merged, 3) == merged
    for row in range(3):
        there = {t for g in gaps if row in g.channel_numbers(3) for t in range(g.start, g.stop)}
        spans = [gap for gap in merged if row in gap.channel_numbers(3)]
        found = {t for gap in spans for t in range(gap.start, gap.stop)}
        assert there <= found
        assert all(a.stop < b.start for a, b in itertools.pairwise(spans))
        # what gaps alike in two channels differ by is filled in both
        assert len(found - there) <= 2 * 64 * len(gaps)
        assert not there or found


def test_kinds_are_told_of_what_was_joined() -> None:
    parts = [(Gap(1, 5), "a"), (Gap(5, 9, (1,)), "b"), (Gap(100, 110, (0,)), "c")]
    assert merge_kinds(parts, 2) == [
        (Gap(1, 5, (0,)), {"a"}),
        (Gap(1, 9, (1,)), {"a", "b"}),
        (Gap(100, 110, (0,)), {"c"}),
    ]


def test_names_of_channels() -> None:
    assert [name_channels(rows, 2) for rows in ((), (0,), (1,), (0, 1))] == [
        "all", "left", "right", "all",
    ]  # fmt: skip
    assert name_channels((0, 2), 3) == "1+3"
    assert name_channels((0,), 1) == "all"
    assert [parse_channel(name, 2, "x") for name in ("left", "Right", "1", "2")] == [0, 1, 0, 1]
    for name, channels in (("3", 2), ("0", 2), ("left", 1), ("middle", 2), ("", 2), ("-1", 2)):
        with pytest.raises(UsageError, match="x: no channel"):
            parse_channel(name, channels, "x")
