from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.infill.detection.runs import AbruptRuns, Mask, Runs, Spans, join_spans


def pairs(spans: Spans) -> list[tuple[int, int]]:
    return [(start, stop) for start, stop in spans.tolist()]


def blocks(mask: list[bool], size: int) -> list[tuple[Mask, int]]:
    return [(np.array(mask[at : at + size]), at) for at in range(0, len(mask), size)]


def tell(runs: Runs, mask: list[bool], size: int) -> list[tuple[int, int]]:
    found = [runs.push(block, at) for block, at in blocks(mask, size)]
    return pairs(np.concatenate([*found, runs.finish(len(mask))]))


@given(
    lengths=st.lists(st.integers(1, 12), max_size=20),
    first=st.booleans(),
    size=st.integers(1, 20),
    shortest=st.integers(1, 8),
)
def test_every_long_run_is_told_once(
    lengths: list[int], first: bool, size: int, shortest: int
) -> None:
    mask, expected = [], []
    for index, length in enumerate(lengths):
        inside = (index % 2 == 0) == first
        if inside and length >= shortest:
            expected.append((len(mask), len(mask) + length))
        mask += [inside] * length
    assert tell(Runs(shortest), mask, size) == expected


def test_a_run_is_told_as_soon_as_it_is_over() -> None:
    runs = Runs(2)
    assert pairs(runs.push(np.array([False, True, True]), 0)) == []
    assert runs.begun == 1
    assert pairs(runs.push(np.array([True, True]), 3)) == []
    assert pairs(runs.push(np.array([False, True]), 5)) == [(1, 5)]
    assert runs.begun == 6
    assert pairs(runs.finish(7)) == []


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_rest_is_jumped_into_or_out_of(lag: int, size: int) -> None:
    """A jump at either edge is enough; one within or beside a run is none of it."""
    begin, end, length = 10 - lag, 15, 30
    mask = [10 <= index < end for index in range(length)]
    for edges in itertools.chain.from_iterable(
        itertools.combinations([begin - 1, begin, begin + 2, end, end + 1], n) for n in range(3)
    ):
        rests = AbruptRuns(5, lambda index, edges=edges: index in edges, lag)  # type: ignore[misc]
        wanted = [(begin, end)] if begin in edges or end in edges else []
        assert tell(rests, mask, size) == wanted
    assert tell(AbruptRuns(end - begin + 1, lambda _: True, lag), mask, size) == []


@given(
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12),
    distance=st.integers(0, 5),
)
def test_joining_fills_slivers_and_nothing_else(
    spans: list[tuple[int, int]], distance: int
) -> None:
    inside = sorted({t for start, length in spans for t in range(start, start + length)})
    expected: list[tuple[int, int]] = []
    for sample in inside:
        if expected and sample - expected[-1][1] <= distance:
            expected[-1] = (expected[-1][0], sample + 1)
        else:
            expected.append((sample, sample + 1))
    array = np.array([(start, start + length) for start, length in spans], np.int64)
    assert pairs(join_spans(array.reshape(-1, 2), distance)) == expected
