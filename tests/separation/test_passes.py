"""Passes: what is found in other grids of time and pitch comes back to the recording's own."""

from __future__ import annotations

import math

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.networks.masks import MaskUNet, build_masks
from audiomask.separation.activity import gate
from audiomask.separation.band_power import BandPower
from audiomask.separation.masks import MaskSeparator
from audiomask.separation.passes import (
    OVERLAPS,
    PASSES,
    SEMITONE_HIGHER,
    SEMITONE_LOWER,
    Pass,
    PassReader,
    interpolate,
)
from audiomask.separation.settings import Quality

CPU = torch.device("cpu")
RATE, SIZE, HOP, BANDS = 16_000, 1024, 256, 32
EVERY = [*PASSES[Quality.best], Pass(0.5, SEMITONE_LOWER), Pass(0.0, SEMITONE_HIGHER)]
SHIFTED = [one for one in EVERY if one != Pass()]


def reader_of(one: Pass, audio: Tensor) -> PassReader:
    return PassReader(MemorySource(audio, RATE), one, HOP, BANDS)


def frames_of(reader: PassReader, start: int, stop: int) -> int:
    return reader.read(start, stop).shape[-1] // HOP


@pytest.fixture(scope="module")
def masks() -> MaskUNet:
    torch.manual_seed(0)
    size = {"channels": (4, 6), "dim": 16, "heads": 2, "layers": 1, "stems": ("guitar", "bass")}
    grid = {"sample_rate": RATE, "stft_size": SIZE, "hop_length": HOP, "bands": BANDS}
    model = build_masks("default", size | grid | {"window": 24}).eval()
    with torch.no_grad():
        model.activity.bias.fill_(2.0)
    return model


def test_passes_are_about_a_semitone_apart() -> None:
    for factor in (SEMITONE_LOWER, 1 / SEMITONE_HIGHER):
        assert 12 * math.log2(factor) == pytest.approx(1, abs=0.1)
    assert PASSES[Quality.fast] == PASSES[Quality.normal] == (Pass(),)
    assert PASSES[Quality.best][0] == Pass()  # the one that levels are told of
    # half a window at most, or three would meet
    assert all(0 < OVERLAPS[quality] <= 0.5 for quality in Quality)
    assert OVERLAPS[Quality.fast] < OVERLAPS[Quality.normal] < OVERLAPS[Quality.best]


@pytest.mark.parametrize("one", EVERY)
@pytest.mark.parametrize(("start", "stop"), [(0, 24), (13, 37), (50, 51), (100, 407)])
def test_a_constant_comes_back_exactly(one: Pass, start: int, stop: int) -> None:
    reader = reader_of(one, torch.zeros(1, 500 * HOP))
    found = torch.full((3, 2, BANDS, frames_of(reader, start, stop)), 0.3)
    back = reader.align_frames(reader.align_bands(found), start, stop)
    assert back.shape == (3, 2, BANDS, stop - start)
    assert torch.equal(back, torch.full_like(back, 0.3))


@pytest.mark.parametrize("one", EVERY)
@pytest.mark.parametrize(("start", "stop"), [(0, 24), (13, 37), (100, 407)])
def test_a_ramp_over_time_comes_back(one: Pass, start: int, stop: int) -> None:
    reader = reader_of(one, torch.zeros(1, 500 * HOP))
    frames = frames_of(reader, start, stop)
    # where a frame of the pass lies, in frames of the recording
    first = reader._first(start) / HOP
    ramp = (torch.arange(frames) + first + 0.5) / reader.pitch - 0.5
    back = reader.align_frames(ramp.expand(2, -1), start, stop)
    own = torch.arange(start, stop).float().expand(2, -1)
    assert torch.allclose(back[:, 1:-1], own[:, 1:-1], atol=1e-3)
    assert torch.allclose(back, own, atol=0.9)  # beyond the ends it stays as it is there


@pytest.mark.parametrize("one", SHIFTED)
def test_the_recordings_own_pass_is_not_moved(one: Pass) -> None:
    reader, values = reader_of(Pass(), torch.zeros(1, 50 * HOP)), torch.rand(2, BANDS, 20)
    assert reader.align_frames(reader.align_bands(values), 3, 23) is values
    moved = reader_of(one, torch.zeros(1, 50 * HOP))
    assert not torch.equal(moved.align_frames(moved.align_bands(values), 3, 23), values)


@pytest.mark.parametrize("one", EVERY)
def test_a_window_begins_where_it_is_said_to(one: Pass) -> None:
    audio = 0.1 * noise(2, 60 * HOP)
    reader = reader_of(one, audio)
    samples = reader.read(10, 30)
    assert len(samples) == 2
    assert samples.shape[-1] == round(20 * one.pitch) * HOP
    if one.pitch == 1:
        first = round((10 - one.shift) * HOP)
        assert torch.equal(samples, audio[:, first : first + 20 * HOP])
    # before the beginning there is silence
    early = reader.read(0, 5)
    assert one.shift == 0 or not early[:, : round(one.shift * HOP) - 1].any()


@pytest.mark.parametrize("one", EVERY)
@pytest.mark.parametrize("hz", [300.0, 1_500.0, 5_000.0])
def test_a_tone_comes_back_to_its_band_and_a_click_to_its_frame(one: Pass, hz: float) -> None:
    power = BandPower(RATE, BANDS, SIZE, HOP, CPU)

    def seen(audio: Tensor, one: Pass) -> Tensor:
        reader = reader_of(one, audio[None])
        aligned = reader.align_bands(power(reader.read(10, 50)))
        return reader.align_frames(aligned, 10, 50)

    sine = tone(hz, 60 * HOP, RATE)
    bands = [seen(sine, each)[:, 5:35].mean(dim=1) for each in (one, Pass())]
    centers = [float((band * torch.arange(BANDS)).sum() / band.sum()) for band in bands]
    assert centers[0] == pytest.approx(centers[1], abs=0.3)
    click = torch.zeros(60 * HOP)
    click[30 * HOP] = 1.0
    frames = [seen(click, each).sum(dim=0) for each in (one, Pass())]
    places = [float((frame * torch.arange(40)).sum() / frame.sum()) for frame in frames]
    assert places[0] == pytest.approx(places[1], abs=0.15)


def test_interpolation_by_hand() -> None:
    values = torch.tensor([[0.0, 1.0, 4.0]])
    places = torch.tensor([-1.0, 0.0, 0.5, 1.25, 2.0, 9.0], dtype=torch.float64)
    found = interpolate(values, places)
    assert torch.allclose(found, torch.tensor([[0.0, 0.0, 0.5, 1.75, 4.0, 4.0]]))
    assert found.dtype == torch.float32


@torch.inference_mode()
@pytest.mark.parametrize("channels", [1, 2])
def test_the_best_quality_is_the_mean_of_its_passes(masks: MaskUNet, channels: int) -> None:
    audio = MemorySource(0.1 * noise(channels, 60 * HOP), RATE)
    separator = MaskSeparator(masks, CPU, Quality.best)
    found = [
        separator.predict(PassReader(audio, one, HOP, BANDS), 10, 34)
        for one in PASSES[Quality.best]
    ]
    assert len(found) == 4
    assert all(likely.shape == (2, 24) for _, likely, _ in found)
    assert gate(torch.stack([likely for _, likely, _ in found])).min() == 1  # nothing is closed
    mean = torch.stack([shares for shares, _, _ in found]).mean(dim=0)
    shares = separator.open(audio)(10, 34)
    assert shares.shape == (3, channels, BANDS, 24)
    assert torch.allclose(shares, mean, atol=1e-6)
    assert torch.allclose(shares.sum(dim=0), torch.ones(channels, BANDS, 24), atol=1e-5)
    # the passes differ, and the first is what quality normal sees
    normal = MaskSeparator(masks, CPU, Quality.normal).open(audio)(10, 34)
    assert torch.allclose(normal, found[0][0], atol=1e-6)
    for other, _, _ in found[1:]:
        assert not torch.allclose(other, normal, atol=1e-4)
