"""Faults: blocks of any size find what a search sample by sample finds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from faults_found import RATE, Found, told
from hypothesis import given
from hypothesis import strategies as st
from signals import STEP

from audiomask.audio.source import MemorySource
from audiomask.infill.detection import detect as module
from audiomask.infill.detection import exact
from audiomask.infill.detection.detect import KINDS, detect_faults
from audiomask.infill.detection.exact import EXACT, JOIN, SHORTEST_CLIPPED, SHORTEST_STUCK
from audiomask.infill.gaps import Gap, merge_kinds

Audio = npt.NDArray[np.float64]
#: samples of the longest crest, where it is compared with a search by sample
CREST = 40


def reference(audio: Audio, shortest: int, kinds: set[str]) -> Found:
    """What is found, searched for channel by channel and sample by sample."""
    parts = []
    for number, row in enumerate(audio.tolist()):
        for start, stop, there in of_channel(row, shortest, kinds):
            # as near as that they touch
            parts += [(Gap(start, stop + JOIN, (number,)), kind) for kind in there]
    return [
        (g.start, g.stop - JOIN, "+".join(k for k in KINDS if k in there), *g.channels)
        for g, there in merge_kinds(parts, len(audio))
    ]


def of_channel(
    values: list[float], shortest: int, kinds: set[str]
) -> list[tuple[int, int, set[str]]]:
    frames = len(values)
    kinds_at: list[set[str]] = [set() for _ in range(frames)]

    def mark(kind: str, start: int, stop: int) -> None:
        for index in range(start, stop):
            kinds_at[index] |= {kind} & kinds

    def jumps(index: int) -> bool:
        return index not in (0, frames) and not abs(values[index - 1] - values[index]) <= STEP

    def full(value: float) -> bool:
        return math.isfinite(value) and abs(value) >= 1 - STEP

    start = 0
    while start < frames:
        stop, value = start + 1, values[start]
        while stop < frames and values[stop] == value:
            stop += 1
        kind, least = "stuck", max(shortest, SHORTEST_STUCK)
        if value == 0:
            kind, least = "silence", shortest
        elif full(value):
            least = max(least, CREST)
        if not math.isfinite(value):
            mark("nan", start, stop)
        elif stop - start >= least and (jumps(start) or jumps(stop)):
            mark(kind, start, stop)
        start = stop
    run = 0
    for index in range(frames + 1):
        if index < frames and full(values[index]):
            run += 1
            continue
        if run >= SHORTEST_CLIPPED:
            mark("clipped", index - run, index)
        run = 0

    def groups() -> list[list[int]]:
        found: list[list[int]] = []
        for index in range(frames):
            if kinds_at[index]:
                if not found or index - found[-1][-1] - 1 > JOIN:
                    found.append([])
                found[-1].append(index)
        return found

    for group in groups():
        if group[0] == 0 or group[-1] == frames - 1:
            for index in group:
                kinds_at[index] -= {"silence", "stuck"}
    return [(g[0], g[-1] + 1, set().union(*(kinds_at[i] for i in g))) for g in groups()]


def damaged(pieces: list[tuple[str, int, int]], channels: int, seed: int) -> Audio:
    """Sound with damage: pieces of a kind, a length, and the channel hit (or all)."""
    rng = np.random.default_rng(seed)
    parts = []
    for kind, length, which in pieces:
        part = rng.choice([-0.5, -0.25, 0.25, 0.5], (channels, length))
        hit = slice(None) if which >= channels else which
        if kind == "zero":
            part[hit] = 0
        elif kind == "held":
            part[hit] = 0.125
        elif kind == "full":
            part[hit] = rng.choice([-1, 1 - STEP, 1.5])
        elif kind == "nan":
            part[hit] = rng.choice([np.nan, np.inf, -np.inf])
        elif kind == "quiet":  # at rest, one step from the silence beside it
            part[:] = STEP
        parts.append(part)
    return np.concatenate(parts, axis=1)


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from(["sound", "zero", "held", "full", "nan", "quiet"]),
            st.one_of(st.integers(1, 40), st.sampled_from([1, 2, 9, 10, 11, CREST - 1, CREST])),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=8,
    ),
    channels=st.integers(1, 3),
    block=st.sampled_from([1, 2, 3, 8, 37, 1000]),
    kinds=st.one_of(st.just(set(EXACT)), st.sets(st.sampled_from(EXACT))),
    shortest=st.sampled_from([0, 1, 2, 10, 30]),
    seed=st.integers(0, 3),
)
def test_blocks_of_any_size_find_what_a_search_by_sample_finds(
    pieces: list[tuple[str, int, int]],
    channels: int,
    block: int,
    kinds: set[str],
    shortest: int,
    seed: int,
) -> None:
    audio = damaged(pieces, channels, seed)
    source = MemorySource(torch.from_numpy(audio), RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_SAMPLES", block * channels)
        patch.setattr(exact, "LONGEST_CREST", CREST / RATE)
        patch.setattr(module, "is_rest", lambda *_: False)
        found = told(detect_faults(source, shortest / RATE, kinds))
    assert found == reference(audio, max(shortest, 1), kinds)
