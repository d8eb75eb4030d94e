"""Activity: masks close where a stem is unlikely to play; what is reported is what was taken."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.networks.masks import MaskUNet, build_masks
from audiomask.runtime.device import has_bfloat16
from audiomask.separation.activity import (
    CLOSED,
    CLOSED_GAIN,
    OPEN,
    ActivityLog,
    gate,
    moving_average,
)
from audiomask.separation.masks import MaskSeparator
from audiomask.separation.settings import Quality

CPU = torch.device("cpu")
RATE, HOP = 16_000, 250
STEMS = ("guitar", "bass")
SIZE = {
    "sample_rate": RATE,
    "stft_size": 1000,
    "hop_length": HOP,
    "bands": 16,
    "window": 40,
    "channels": (4, 6),
    "dim": 16,
    "heads": 2,
    "layers": 1,
    "stems": STEMS,
}


def model_of(*likely: float, shares: tuple[float, ...] = ()) -> MaskUNet:
    """A tiny model that takes its stems to play so likely, and their shares, if given, to be so."""
    torch.manual_seed(0)
    model = build_masks("default", SIZE).eval()
    with torch.no_grad():
        model.activity.weight.zero_()
        model.activity.bias.copy_(torch.tensor(likely).logit())
        if shares:
            model.scores.weight.zero_()
            model.scores.bias.copy_(torch.tensor(shares).log().repeat_interleave(2))
    return model


def shares_of(separator: MaskSeparator, audio: Tensor) -> Tensor:
    return separator.open(MemorySource(audio, RATE))(0, 30)


# The gate


def test_the_gate_is_closed_below_one_likelihood_and_open_above_another() -> None:
    likely = torch.tensor([[0.0, CLOSED, (CLOSED + OPEN) / 2, OPEN, 1.0]])
    assert torch.allclose(gate(likely), torch.tensor([[1e-3, 1e-3, 0.5, 1.0, 1.0]]), atol=1e-6)
    assert float(gate(torch.tensor([[CLOSED - 1e-3]]))) == pytest.approx(CLOSED_GAIN)


@pytest.mark.parametrize("quality", [Quality.normal, Quality.best])
def test_what_a_closed_mask_would_take_is_the_rests(quality: Quality) -> None:
    audio = 0.1 * noise(2, 30 * HOP)
    opened, shut, between = (
        shares_of(MaskSeparator(model_of(first, 0.9), CPU, quality), audio)
        for first in (0.95, CLOSED - 0.01, (CLOSED + OPEN) / 2)
    )
    assert opened[0].min() > 0.01
    assert torch.allclose(shut[0], CLOSED_GAIN * opened[0], atol=1e-6)
    assert torch.equal(shut[1], opened[1])
    assert torch.allclose(shut[2], opened[2] + (1 - CLOSED_GAIN) * opened[0], atol=1e-6)
    # bfloat16 rounds the score of 0.2, -1.4, to 2^-9 of it: 0.2 % of the gate, which is its slope
    exact = not has_bfloat16(CPU)
    assert torch.allclose(between[0], opened[0] / 2, atol=1e-5 if exact else 2.5e-3)
    for shares in (opened, shut, between):
        assert torch.allclose(shares.sum(dim=0), torch.ones(2, 16, 30), atol=1e-5)


def test_an_absent_stem_is_60_db_down_and_the_residual_has_the_rest(
    separated: Callable[..., list[Tensor]],
) -> None:
    separator, audio = MaskSeparator(model_of(0.01, 0.9), CPU), 0.1 * noise(2, 90 * HOP)
    guitar, rest = separated(separator, audio, [0], True, rate=RATE)
    assert guitar.abs().max() < CLOSED_GAIN * audio.abs().max()
    assert torch.allclose(rest, audio, atol=CLOSED_GAIN)
    assert torch.allclose(guitar + rest, audio, atol=1e-6)


def test_likelihoods_are_smoothed_over_their_neighbours() -> None:
    likely = torch.zeros(2, 20)
    likely[0, 10] = 1.0
    found = moving_average(likely, 5)
    assert torch.allclose(found[0, 8:13], torch.tensor(0.2))
    assert found[0].sum() == pytest.approx(1)
    assert not found[1].any()
    assert torch.allclose(moving_average(torch.full((1, 9), 0.3), 5), torch.tensor(0.3))
    # an even width is one less; of few frames it is their number at most
    assert torch.equal(moving_average(likely, 6), found)
    assert moving_average(likely[:, :2], 43).shape == (2, 2)
    assert moving_average(likely[:, :1], 43).shape == (2, 1)


# What is reported


def log_of(windows: list[tuple[int, int]], bands: int = 3) -> tuple[ActivityLog, int]:
    """A log of windows of frames in which frame n has the activity n / 100 and all of the power."""
    log = ActivityLog(STEMS, 0.1)
    for start, stop in windows:
        frames = torch.arange(start, stop) / 100
        shares = torch.zeros(3, 2, bands, stop - start)
        shares[0] = 1.0
        log.add(start, torch.stack([frames, 1 - frames]), shares, 0.01 * shares[0])
    return log, max(stop for _, stop in windows)


@pytest.mark.parametrize(
    "windows",
    [[(0, 40)], [(0, 16), (12, 28), (24, 40)], [(0, 30), (10, 40)], [(0, 20), (20, 40)]],
)
def test_windows_that_overlap_count_every_frame_once(windows: list[tuple[int, int]]) -> None:
    log, frames = log_of(windows)
    seconds = log.seconds(frames / 10)
    assert len(seconds) == 2 * 4
    for number, one in enumerate(seconds[:4]):
        assert (one.stem, one.start, one.end) == ("guitar", number, number + 1)
        assert one.activity == pytest.approx((10 * number + 4.5) / 100)
        assert one.level_db == pytest.approx(10 * math.log10(0.03), abs=0.01)
        assert one.confidence == pytest.approx(1)
    for number, one in enumerate(seconds[4:]):
        assert one.stem == "bass"
        assert one.activity == pytest.approx(1 - (10 * number + 4.5) / 100)
        assert one.level_db == -120
        assert one.confidence == 0


def test_of_frames_that_two_windows_have_the_later_counts() -> None:
    log = ActivityLog(("guitar",), 0.1)
    for start, likely in ((0, 0.0), (10, 1.0)):
        shares = torch.zeros(2, 1, 3, 20)
        log.add(start, torch.full((1, 20), likely), shares, shares[0])
    assert [one.activity for one in log.seconds(3.0)] == [0.0, 1.0, 1.0]


def test_the_last_second_may_be_shorter() -> None:
    log, _ = log_of([(0, 24)])
    ends = [(one.start, one.end) for one in log.seconds(2.35) if one.stem == "bass"]
    assert ends == [(0, 1), (1, 2), (2, 2.35)]


def test_a_stem_plays_where_its_mask_is_open_and_is_found_when_it_plays_for_a_second() -> None:
    log = ActivityLog(STEMS, 0.1)
    likely = torch.zeros(2, 40)
    likely[0, 10:20] = OPEN + 0.1
    likely[1] = OPEN - 0.01
    shares = torch.full((3, 1, 2, 40), 1 / 3)
    log.add(0, likely, shares, shares[0])
    plays = {(one.stem, int(one.start)): one.plays for one in log.seconds(4.0)}
    assert [key for key, playing in plays.items() if playing] == [("guitar", 1)]
    assert log.found(4.0) == {"guitar": True, "bass": False}


def test_the_shortest_recording_is_found_in_half_of_its_time() -> None:
    log = ActivityLog(STEMS, 0.1)
    shares = torch.full((3, 1, 2, 3), 1 / 3)
    log.add(0, torch.tensor([[0.9] * 3, [0.0] * 3]), shares, shares[0])
    assert log.found(0.3) == {"guitar": True, "bass": False}
    assert len(log.seconds(0.3)) == 2


@pytest.mark.parametrize("duration", [0.0, 1.0])
def test_in_nothing_nothing_is_found(duration: float) -> None:
    log = ActivityLog(STEMS, 0.1)
    assert log.seconds(duration) == []
    assert log.found(duration) == {"guitar": False, "bass": False}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("quality", [Quality.fast, Quality.normal, Quality.best])
def test_levels_are_those_of_the_stems(quality: Quality, channels: int) -> None:
    log = ActivityLog(STEMS, HOP / RATE)
    separator = MaskSeparator(model_of(0.9, 0.9, shares=(0.98, 0.01, 0.01)), CPU, quality, log)
    # a sine at full scale
    source = MemorySource(tone(1_000, 4 * RATE, RATE).expand(channels, -1), RATE)
    for _ in separator.stems(source, [0, 1]):
        pass
    seconds = log.seconds(4.0)
    guitar, bass = seconds[:4], seconds[4:]
    assert [one.start for one in bass] == [0, 1, 2, 3]
    for one in guitar:
        assert one.level_db == pytest.approx(20 * math.log10(0.98 / math.sqrt(2)), abs=0.2)
        assert one.confidence == pytest.approx(0.98, abs=0.01)
        assert one.activity == pytest.approx(0.9, abs=0.02)
        assert one.plays
    for one in bass:
        assert one.level_db == pytest.approx(20 * math.log10(0.01 / math.sqrt(2)), abs=0.3)
        assert one.confidence == pytest.approx(0.01, abs=0.01)


def test_a_report_changes_no_stem(separated: Callable[..., list[Tensor]]) -> None:
    audio = 0.1 * noise(2, 90 * HOP)
    model = model_of(0.2, 0.9)
    logged = MaskSeparator(model, CPU, log=ActivityLog(STEMS, HOP / RATE))
    plain = MaskSeparator(model, CPU)
    pairs = zip(
        separated(logged, audio, [0, 1], rate=RATE),
        separated(plain, audio, [0, 1], rate=RATE),
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in pairs)
