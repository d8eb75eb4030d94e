"""Faults: what is found in known damage, and against a search sample by sample."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiomask.audio.files import AudioFile
from audiomask.audio.source import MemorySource
from audiomask.infill.detection import detect as module
from audiomask.infill.detection import exact
from audiomask.infill.detection.detect import (
    DEFAULT_KINDS,
    KINDS,
    LONG,
    REST,
    Fault,
    detect_faults,
)
from audiomask.infill.detection.exact import (
    EXACT,
    JOIN,
    LONGEST_CREST,
    SHORTEST_CLIPPED,
    SHORTEST_STUCK,
)
from audiomask.infill.gaps import Gap, merge_kinds

Audio = npt.NDArray[np.float64]
Found = list[tuple[int | str, ...]]
RATE = 10_000
CREST = 40  # samples of the longest crest, where it is compared with a search by sample
STEP = 2.0**-15


def told(faults: list[Fault]) -> Found:
    """Spans, kinds, why they are left alone if they are, and channels unless it is all of them."""
    return [
        (f.gap.start, f.gap.stop, f.kind, *[f.left] * bool(f.left), *f.gap.channels) for f in faults
    ]


def sound(channels: int, frames: int, seed: int = 0) -> torch.Tensor:
    """Noise on the grid of 16 bits, nowhere silent, constant or at full scale."""
    values = np.random.default_rng(seed).integers(100, 16_000, (channels, frames))
    values[:, ::2] *= -1
    return torch.from_numpy(values * STEP).float()


def find(audio: torch.Tensor, min_gap: float = 0.01, kinds: tuple[str, ...] = EXACT) -> Found:
    return told(detect_faults(MemorySource(audio, RATE), min_gap, kinds))


def test_sound_is_no_fault() -> None:
    assert find(sound(2, 5000)) == []
    assert find(torch.full((1, 1), 0.5)) == []
    assert find(torch.zeros(2, 500)) == []
    assert find(torch.full((2, 500), 0.3)) == []


def test_every_kind() -> None:
    audio = sound(2, 5000)
    audio[:, 500:700] = 0
    audio[0, 1000:1200], audio[1, 1000:1200] = 0.25, -0.125
    audio[1, 2000:2001] = torch.nan
    audio[0, 2500:2503] = torch.inf
    audio[1, 3000:3004] = -1
    audio[0, 4000:4020], audio[1, 4000:4020] = 1.5, 0.1
    everything = [
        (500, 700, "silence"),
        (1000, 1200, "stuck"),
        (2000, 2001, "nan", 1),
        (2500, 2503, "nan", 0),
        (3000, 3004, "clipped", 1),
        (4000, 4020, "clipped", 0),
    ]
    audio[1, 4000:4020] = sound(1, 20)
    assert find(audio) == everything
    assert find(audio, kinds=DEFAULT_KINDS) == everything[:4]
    assert find(audio, kinds=()) == []
    for kind in EXACT:
        assert find(audio, kinds=(kind,)) == [fault for fault in everything if fault[2] == kind]
    with pytest.raises(ValueError, match="unknown kinds of fault: clicks"):
        find(audio, kinds=("nan", "clicks"))


def test_every_channel_by_itself() -> None:
    audio = sound(3, 3000)
    audio[:2, 500:700] = 0
    audio[2, 650:900] = 0
    audio[1:, 1500:1700] = 0.25
    audio[0, 1500:1700] = 0  # two channels hang, one is silent: broken at the same place
    assert find(audio) == [
        (500, 700, "silence", 0, 1), (650, 900, "silence", 2), (1500, 1700, "silence+stuck"),
    ]  # fmt: skip
    chosen = detect_faults(MemorySource(audio, RATE), kinds=EXACT, channels=(1,))
    assert told(chosen) == [(500, 700, "silence", 1), (1500, 1700, "stuck", 1)]
    # a channel that never has sound is not broken
    audio[2] = 0
    assert [fault[3:] for fault in find(audio)] == [(0, 1), (0, 1)]


def test_longer_ones_are_left_alone() -> None:
    audio = sound(2, 6000)
    audio[:, 500:1500], audio[:, 2000:3001], audio[0, 4000:5200] = 0, 0.25, 0
    source = MemorySource(audio, RATE)
    assert told(detect_faults(source, kinds=EXACT, max_gap=0.1)) == [
        (500, 1500, "silence"), (2000, 3001, "stuck", LONG), (4000, 5200, "silence", LONG, 0),
    ]  # fmt: skip
    assert not any(fault.left for fault in detect_faults(source, kinds=EXACT, max_gap=1))


def test_rests_are_left_alone() -> None:
    rate = 44_100
    noise = 0.2 * torch.randn(2, 3 * rate, generator=torch.Generator().manual_seed(0))
    audio = noise.clone()
    audio[:, rate : rate + 9000] = 0
    assert told(detect_faults(MemorySource(audio, rate))) == [(rate, rate + 9000, "silence")]
    for side, (start, stop) in enumerate(((rate - 400, rate), (rate + 9000, rate + 9400))):
        faded = audio.clone()
        ramp = torch.linspace(1, 0, 401)[:-1]
        faded[:, start:stop] *= ramp.flip(0) if side else ramp
        (fault,) = detect_faults(MemorySource(faded, rate))
        assert fault.left == REST
        assert abs(fault.gap.start - rate) < 5
    # a decay before it and an attack behind it
    faded = audio.clone()
    faded[:, rate - 8820 : rate] *= torch.logspace(0, -2, 8820)
    assert [fault.left for fault in detect_faults(MemorySource(faded, rate))] == [REST]
    # but NaN is damage wherever it is
    faded[0, rate + 4000 : rate + 4100] = torch.nan
    assert (rate + 4000, rate + 4100, "nan", 0) in told(detect_faults(MemorySource(faded, rate)))


def test_min_gap_is_for_silence_and_stuck_samples_alone() -> None:
    audio = sound(1, 2000)
    audio[0, 100:150], audio[0, 300:399], audio[0, 500:600] = 0, 0.25, 0.25
    audio[0, 700], audio[0, 800:805] = torch.nan, 1
    always = [(700, 701, "nan"), (800, 805, "clipped")]
    assert find(audio, 0.01) == [(500, 600, "stuck"), *always]
    assert find(audio, 0.0099) == [(300, 399, "stuck"), (500, 600, "stuck"), *always]
    assert find(audio, 0.005)[0] == (100, 150, "silence")
    assert find(audio, 1) == always


def test_a_few_equal_samples_are_sound_whatever_is_asked_for() -> None:
    audio = sound(1, 2000)
    audio[0, 100 : 100 + SHORTEST_STUCK - 1] = 0.25
    audio[0, 300 : 300 + SHORTEST_STUCK] = 0.25
    audio[0, 500] = 0
    stuck = (300, 300 + SHORTEST_STUCK, "stuck")
    assert find(audio, 0) == [stuck, (500, 501, "silence")]


def test_lead_in_and_lead_out_are_no_faults_but_nan_is() -> None:
    audio = sound(1, 3000)
    audio[0, :200], audio[0, 2800:] = 0, 0.25
    assert find(audio) == []
    audio[0, 50], audio[0, 150:160], audio[0, 2999] = torch.nan, torch.inf, torch.nan
    assert find(audio) == [(50, 51, "nan"), (150, 160, "nan"), (2999, 3000, "nan")]
    audio = sound(1, 3000)
    audio[0, :3] = audio[0, 2990:] = torch.nan
    assert find(audio) == [(0, 3, "nan"), (2990, 3000, "nan")]


def test_all_nan_is_one_gap() -> None:
    assert find(torch.full((2, 300), torch.nan)) == [(0, 300, "nan")]
    audio = sound(2, 300)
    audio[1] = torch.nan
    assert find(audio) == [(0, 300, "nan", 1)]
    assert find(torch.full((1, 1), torch.nan)) == [(0, 1, "nan")]
    assert find(audio, kinds=("silence", "stuck", "clipped")) == []


def test_faults_that_touch_are_one_of_both_kinds() -> None:
    audio = sound(2, 3000)
    audio[:, 500:700], audio[:, 800:1000] = 0, 0
    audio[:, 700:710] = torch.nan
    audio[:, 710:800] = 0  # too short on its own
    audio[:, 1500:1700] = 0.25
    audio[0, 1700:1710] = 1
    audio[0, 2000:2200] = 0
    audio[0, 2200:2300] = torch.nan
    audio[1, 2100:2200] = torch.nan
    assert find(audio) == [
        (500, 1000, "silence+nan"),
        (1500, 1710, "stuck+clipped"),  # alike in both channels
        (2000, 2300, "silence+nan", 0),
        (2100, 2200, "nan", 1),
    ]


def test_slivers_of_sound_are_filled_with_what_they_are_between() -> None:
    audio = sound(1, 3000)
    at = [200, 204 + JOIN, 208 + 2 * JOIN, 213 + 3 * JOIN]
    for start in at:
        audio[0, start : start + 4] = 1
    assert find(audio) == [(at[0], at[2] + 4, "clipped"), (at[3], at[3] + 4, "clipped")]


def test_quiet_sound_without_dither_is_at_rest_and_not_broken() -> None:
    """A slow wave that fades out and in rests on 0 and on 1 for long, one step apart."""
    seconds = np.arange(RATE) / RATE
    envelope = 0.7 + 8.3 * np.abs(np.linspace(-1, 1, RATE))
    wave = np.round(np.sin(2 * np.pi * 7 * seconds) * envelope) * STEP
    audio = sound(1, 3 * RATE)
    audio[0, RATE : 2 * RATE] = torch.from_numpy(wave)
    rests = np.diff(np.flatnonzero(np.diff(wave)))
    assert (rests > 0.01 * RATE).sum() > 10
    assert find(audio) == []
    audio[0, RATE + 514 : RATE + 714] = 20 * STEP  # where the wave was elsewhere
    assert find(audio) == [(RATE + 514, RATE + 714, "stuck", REST)]  # too faint to be told


def test_a_long_constant_at_full_scale_is_stuck() -> None:
    crest = math.ceil(LONGEST_CREST * RATE)
    audio = sound(1, 3000)
    audio[0, 500 : 500 + crest - 1] = 1
    audio[0, 1500 : 1500 + crest] = -1
    stuck = (1500, 1500 + crest, "stuck")
    assert find(audio, kinds=DEFAULT_KINDS) == [stuck]
    assert find(audio) == [(500, 499 + crest, "clipped"), (*stuck[:2], "stuck+clipped")]


def test_peaks_at_full_scale_are_sound() -> None:
    audio = sound(2, 1000)
    audio[0, 100 : 100 + SHORTEST_CLIPPED - 1] = 1
    audio[:, 300:303] = audio[1, 303:306] = torch.tensor([-1.0, 1, -1])
    audio[0, 500:502] = audio[1, 502:504] = 1  # two each
    assert find(audio) == [(300, 306, "clipped", 1)]


def reference(audio: Audio, shortest: int, kinds: set[str]) -> Found:
    """The same, channel by channel and sample by sample."""
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
        patch.setattr(module, "_BLOCK_SAMPLES", block * channels)
        patch.setattr(exact, "LONGEST_CREST", CREST / RATE)
        patch.setattr(module, "is_rest", lambda *_: False)
        found = told(detect_faults(source, shortest / RATE, kinds))
    assert found == reference(audio, max(shortest, 1), kinds)


def test_many_channels_and_the_blocks_as_they_are() -> None:
    frames = 3 * module._BLOCK_SAMPLES // 32 + 100
    border = module._BLOCK_SAMPLES // 32
    audio = sound(32, frames)
    audio[:, border - 60 : border + 60] = 0
    audio[:, 2 * border : 2 * border + 200] = torch.linspace(-0.5, 0.5, 32)[:, None]
    audio[31, 3 * border - 2 : 3 * border + 2] = -1
    audio[17, frames - 1] = torch.nan
    assert find(audio) == [
        (border - 60, border + 60, "silence"),
        (2 * border, 2 * border + 200, "stuck"),
        (3 * border - 2, 3 * border + 2, "clipped", 31),
        (frames - 1, frames, "nan", 17),
    ]


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
    ],
)
def test_files_of_every_depth(name: str, subtype: str, tmp_path: Path) -> None:
    """One recording in them all; what was clipped at 16 bits is found in the deeper ones."""
    audio = np.random.default_rng(0).choice([-0.25, 0.25, 0.5], (44_100, 2))
    audio[10_000:12_000] = audio[30_000:44_000] = 0
    audio[15_000:16_000] = -0.75, 0.5
    audio[18_000:18_010, 0], audio[18_015:18_020, 0] = 1 - STEP, -1
    full = 1 - 2.0**-7 if subtype == "PCM_U8" else 1 - STEP
    audio[18_000:18_010, 0] = full
    audio[18_040:18_060, 1] = full - (2.0**-7 if subtype == "PCM_U8" else STEP)
    floating = subtype in ("FLOAT", "DOUBLE")
    if floating:
        audio[20_000:21_000, 1] = np.nan
    if subtype == "DOUBLE":
        audio[22_000, 0] = 1e300  # read as float32 it is not finite
    soundfile.write(tmp_path / name, audio, 44_100, subtype=subtype)
    with AudioFile(tmp_path / name) as file:
        found = told(detect_faults(file, kinds=EXACT))
    expected = [
        (10_000, 12_000, "silence"),
        (15_000, 16_000, "stuck"),
        (18_000, 18_010, "clipped", 0),
        (18_015, 18_020, "clipped", 0),
    ]
    expected += [(20_000, 21_000, "nan", 1)] * floating
    expected += [(22_000, 22_001, "nan", 0)] * (subtype == "DOUBLE")
    assert found == [*expected, (30_000, 44_000, "silence")]


def test_quiet_sound_of_8_bits_rests_on_larger_steps(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).choice([-0.25, 0.25], 9000)
    audio[2000:7000] = np.repeat([0, 1, 2, 1, 0, -1, 0, 1, 0, 0], 500) / 128
    soundfile.write(tmp_path / "a.wav", audio, 8000, subtype="PCM_U8")
    with AudioFile(tmp_path / "a.wav") as file:
        found = told(detect_faults(file, kinds=EXACT))
    # where the quiet part begins and ends, the recording does jump, but on one side only
    assert found == [(2000, 2500, "silence", REST), (6000, 7000, "silence", REST)]


def test_lossy_files_allow_for_the_coding(tmp_path: Path) -> None:
    time = np.arange(88_200) / 44_100
    audio = np.stack([np.sin(2 * np.pi * f * time) for f in (440, 445)], 1) * 0.7
    audio[30_000:60_000] = 0
    crests = np.flatnonzero(np.abs(audio[:25_000] * 2).max(1) >= 1)
    for name in ("a.mp3", "a.ogg"):
        for gain in (1, 2):
            soundfile.write(tmp_path / name, np.clip(audio * gain, -1, 1), 44_100)
            with AudioFile(tmp_path / name) as file:
                faults = detect_faults(file, min_gap=0.1, kinds=("silence", "stuck", "clipped"))
            (silence,) = (fault.gap for fault in faults if fault.kind == "silence")
            assert 30_000 - 100 <= silence.start <= 32_000
            assert 58_000 <= silence.stop <= 60_100
            clipped = [fault.gap for fault in faults if fault.kind == "clipped"]
            if gain == 1:
                assert len(faults) == 1
                continue
            inside = np.concatenate([np.arange(gap.start, gap.stop) for gap in clipped])
            assert np.isin(crests, inside).mean() > 0.4


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_coarse_codings_end_below_full_scale(subtype: str, tmp_path: Path) -> None:
    audio = np.random.default_rng(0).choice([-0.25, 0.25, 0.5], 8000)
    audio[2000:2010], audio[4000:4200] = 1, 0.3
    soundfile.write(tmp_path / "a.wav", audio, 8000, subtype=subtype)
    with AudioFile(tmp_path / "a.wav") as file:
        found = told(detect_faults(file, kinds=EXACT))
    assert found == [(2000, 2010, "clipped"), (4000, 4200, "stuck")]


def test_one_read_of_every_sample_in_flat_memory() -> None:
    """However long the recording and whatever is wrong with it."""

    class Endless(MemorySource):
        def __init__(self) -> None:
            block = sound(2, 4096)
            block[1, ::2] = torch.nan
            block[0, 1000:3000] = 1
            super().__init__(block, 44_100)
            self.frames, self.read_to = 4096 * 500, 0

        def read(self, start: int, stop: int) -> torch.Tensor:
            assert start == self.read_to
            self.read_to = stop
            return self.audio[:, torch.arange(start, stop) % 4096]

    source = Endless()
    detect_faults(MemorySource(source.audio, 44_100), kinds=EXACT)
    tracemalloc.start()
    found = told(detect_faults(source, kinds=EXACT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.read_to == source.frames
    # one channel is clipped for a while in every block, every other sample of the other is NaN
    assert found[0] == (0, source.frames - 1, "nan", 1)
    assert found[1:3] == [(1000, 3000, "stuck+clipped", 0), (5096, 7096, "stuck+clipped", 0)]
    assert len(found) == 501
    assert peak < 4_000_000
