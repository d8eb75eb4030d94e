"""Segments: where songs are cut, and in which order the segments come."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.data.shards.segments import PendingSegment, cut_song, order_segments
from audiomask.data.tracks import Track


def song(name: str, seconds: float) -> Track:
    return Track(name, "train", {}, Path(name), seconds)


def cuts(seconds: float, length: float = 30.0) -> list[tuple[float, float]]:
    return [(piece.start, piece.seconds) for piece in cut_song("a", song("a", seconds), length)]


def test_a_short_end_belongs_to_the_segment_before() -> None:
    assert cuts(90) == [(0, 30), (30, 30), (60, 30)]
    assert cuts(66) == [(0, 30), (30, 30), (60, 6)]
    assert cuts(65) == [(0, 30), (30, 30), (60, 5)]
    assert cuts(64) == [(0, 30), (30, 34)]
    assert cuts(31) == [(0, 31)]
    assert cuts(2) == [(0, 2)]
    assert cuts(1.2, 0.5) == [(0, 0.5), (0.5, pytest.approx(0.7))]


@pytest.mark.slow
@given(st.floats(0.01, 5_000), st.floats(0.1, 100))
def test_all_of_a_song_is_cut(seconds: float, length: float) -> None:
    found = cuts(seconds, length)
    for (start, long), (following, _) in itertools.pairwise(found):
        assert start + long == pytest.approx(following)
        assert long == pytest.approx(length)
    assert sum(long for _, long in found) == pytest.approx(seconds)
    assert found[-1][1] < length + 5 + 1e-6


def pieces(counts: list[int]) -> list[list[PendingSegment]]:
    return [
        [PendingSegment(f"{n}", song(f"{n}", count), float(start), 1.0) for start in range(count)]
        for n, count in enumerate(counts)
    ]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(0, 9))
def test_the_order_has_every_segment_and_parts_neighbours(counts: list[int], seed: int) -> None:
    order = order_segments(pieces(counts), seed)
    assert sorted(order, key=lambda p: (p.song, p.start)) == sorted(
        (piece for song in pieces(counts) for piece in song), key=lambda p: (p.song, p.start)
    )
    clashes = sum(a.song == b.song for a, b in itertools.pairwise(order))
    # all that can be parted is: a song that is longer than the others together cannot
    assert clashes == max(0, 2 * max(counts) - sum(counts) - 1)


def test_a_song_is_spread_evenly_in_random_order() -> None:
    order = order_segments(pieces([40] * 25), 0)
    for part in range(10):
        shard = order[100 * part : 100 * (part + 1)]
        counts = [sum(p.song == f"{n}" for p in shard) for n in range(25)]
        assert min(counts) >= 2
        assert max(counts) <= 6
    starts = [p.start for p in order if p.song == "3"]
    assert starts != sorted(starts)
    assert sorted(starts) == list(range(40))
