"""Faults: what is found in known damage, and what is left alone."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from faults_found import RATE, find, told
from signals import STEP, noise, restless_noise

from audiomask.audio.source import MemorySource
from audiomask.infill.detection import detect as module
from audiomask.infill.detection.detect import DEFAULT_KINDS, LONG, REST, detect_faults
from audiomask.infill.detection.exact import (
    EXACT,
    JOIN,
    LONGEST_CREST,
    SHORTEST_CLIPPED,
    SHORTEST_STUCK,
)


def test_sound_is_no_fault() -> None:
    assert find(restless_noise(2, 5000)) == []
    assert find(torch.full((1, 1), 0.5)) == []
    assert find(torch.zeros(2, 500)) == []
    assert find(torch.full((2, 500), 0.3)) == []


def test_every_kind() -> None:
    audio = restless_noise(2, 5000)
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
    audio[1, 4000:4020] = restless_noise(1, 20)
    assert find(audio) == everything
    assert find(audio, kinds=DEFAULT_KINDS) == everything[:4]
    assert find(audio, kinds=()) == []
    for kind in EXACT:
        assert find(audio, kinds=(kind,)) == [fault for fault in everything if fault[2] == kind]
    with pytest.raises(ValueError, match="unknown kinds of fault: clicks"):
        find(audio, kinds=("nan", "clicks"))


def test_every_channel_by_itself() -> None:
    audio = restless_noise(3, 3000)
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
    audio = restless_noise(2, 6000)
    audio[:, 500:1500], audio[:, 2000:3001], audio[0, 4000:5200] = 0, 0.25, 0
    source = MemorySource(audio, RATE)
    assert told(detect_faults(source, kinds=EXACT, max_gap=0.1)) == [
        (500, 1500, "silence"), (2000, 3001, "stuck", LONG), (4000, 5200, "silence", LONG, 0),
    ]  # fmt: skip
    assert not any(fault.left for fault in detect_faults(source, kinds=EXACT, max_gap=1))


def test_rests_are_left_alone() -> None:
    rate = 44_100
    sound = 0.2 * noise(2, 3 * rate)
    audio = sound.clone()
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
    audio = restless_noise(1, 2000)
    audio[0, 100:150], audio[0, 300:399], audio[0, 500:600] = 0, 0.25, 0.25
    audio[0, 700], audio[0, 800:805] = torch.nan, 1
    always = [(700, 701, "nan"), (800, 805, "clipped")]
    assert find(audio, 0.01) == [(500, 600, "stuck"), *always]
    assert find(audio, 0.0099) == [(300, 399, "stuck"), (500, 600, "stuck"), *always]
    assert find(audio, 0.005)[0] == (100, 150, "silence")
    assert find(audio, 1) == always


def test_a_few_equal_samples_are_sound_whatever_is_asked_for() -> None:
    audio = restless_noise(1, 2000)
    audio[0, 100 : 100 + SHORTEST_STUCK - 1] = 0.25
    audio[0, 300 : 300 + SHORTEST_STUCK] = 0.25
    audio[0, 500] = 0
    stuck = (300, 300 + SHORTEST_STUCK, "stuck")
    assert find(audio, 0) == [stuck, (500, 501, "silence")]


def test_lead_in_and_lead_out_are_no_faults_but_nan_is() -> None:
    audio = restless_noise(1, 3000)
    audio[0, :200], audio[0, 2800:] = 0, 0.25
    assert find(audio) == []
    audio[0, 50], audio[0, 150:160], audio[0, 2999] = torch.nan, torch.inf, torch.nan
    assert find(audio) == [(50, 51, "nan"), (150, 160, "nan"), (2999, 3000, "nan")]
    audio = restless_noise(1, 3000)
    audio[0, :3] = audio[0, 2990:] = torch.nan
    assert find(audio) == [(0, 3, "nan"), (2990, 3000, "nan")]


def test_all_nan_is_one_gap() -> None:
    assert find(torch.full((2, 300), torch.nan)) == [(0, 300, "nan")]
    audio = restless_noise(2, 300)
    audio[1] = torch.nan
    assert find(audio) == [(0, 300, "nan", 1)]
    assert find(torch.full((1, 1), torch.nan)) == [(0, 1, "nan")]
    assert find(audio, kinds=("silence", "stuck", "clipped")) == []


def test_faults_that_touch_are_one_of_both_kinds() -> None:
    audio = restless_noise(2, 3000)
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
    audio = restless_noise(1, 3000)
    at = [200, 204 + JOIN, 208 + 2 * JOIN, 213 + 3 * JOIN]
    for start in at:
        audio[0, start : start + 4] = 1
    assert find(audio) == [(at[0], at[2] + 4, "clipped"), (at[3], at[3] + 4, "clipped")]


def test_quiet_sound_without_dither_is_at_rest_and_not_broken() -> None:
    """A slow wave that fades out and in rests on 0 and on 1 for long, one step apart."""
    seconds = np.arange(RATE) / RATE
    envelope = 0.7 + 8.3 * np.abs(np.linspace(-1, 1, RATE))
    wave = np.round(np.sin(2 * np.pi * 7 * seconds) * envelope) * STEP
    audio = restless_noise(1, 3 * RATE)
    audio[0, RATE : 2 * RATE] = torch.from_numpy(wave)
    rests = np.diff(np.flatnonzero(np.diff(wave)))
    assert (rests > 0.01 * RATE).sum() > 10
    assert find(audio) == []
    audio[0, RATE + 514 : RATE + 714] = 20 * STEP  # where the wave was elsewhere
    assert find(audio) == [(RATE + 514, RATE + 714, "stuck", REST)]  # too faint to be told


def test_a_long_constant_at_full_scale_is_stuck() -> None:
    crest = math.ceil(LONGEST_CREST * RATE)
    audio = restless_noise(1, 3000)
    audio[0, 500 : 500 + crest - 1] = 1
    audio[0, 1500 : 1500 + crest] = -1
    stuck = (1500, 1500 + crest, "stuck")
    assert find(audio, kinds=DEFAULT_KINDS) == [stuck]
    assert find(audio) == [(500, 499 + crest, "clipped"), (*stuck[:2], "stuck+clipped")]


def test_peaks_at_full_scale_are_sound() -> None:
    audio = restless_noise(2, 1000)
    audio[0, 100 : 100 + SHORTEST_CLIPPED - 1] = 1
    audio[:, 300:303] = audio[1, 303:306] = torch.tensor([-1.0, 1, -1])
    audio[0, 500:502] = audio[1, 502:504] = 1  # two each
    assert find(audio) == [(300, 306, "clipped", 1)]


def test_many_channels_and_the_blocks_as_they_are() -> None:
    frames = 3 * module.BLOCK_SAMPLES // 32 + 100
    border = module.BLOCK_SAMPLES // 32
    audio = restless_noise(32, frames)
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


@pytest.mark.slow
def test_one_read_of_every_sample_in_flat_memory() -> None:
    """However long the recording and whatever is wrong with it."""

    class Endless(MemorySource):
        def __init__(self) -> None:
            block = restless_noise(2, 4096)
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
