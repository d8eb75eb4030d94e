"""Short gaps: the equations and models, known sounds, edges of files, rates, and odd sounds."""

import math

import pytest
import scipy.signal
import torch
from signals import gaussian_noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill import short_gaps
from audiomask.infill.autoregressive import burg, interpolate
from audiomask.infill.gaps import Gap
from audiomask.infill.short_gaps import LONGEST, MODELS, fill_short, lpc_fill

RATE = 44_100


def noise(length: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(gaussian_noise(length, seed=seed))


def tones(seconds: float, rate: int = RATE) -> Tensor:
    """Two channels of different partials, [2, T]."""
    a, b, c = tone([440, 311, 2500], round(seconds * rate), rate)
    return torch.stack([0.5 * a, 0.3 * b + 0.2 * c])


def filled(audio: Tensor, gap: Gap, rate: int = RATE, *others: Gap) -> Tensor:
    """What the gap gets when all the gaps hold NaN."""
    holed = audio.clone()
    for one in (gap, *others):
        holed[:, one.start : one.stop] = math.nan
    found = fill_short(MemorySource(holed, rate), gap, sorted((gap, *others)))
    assert found.dtype == torch.float32
    assert found.shape == (len(audio), gap.length)
    assert found.isfinite().all()
    return found


def ratio(found: Tensor, audio: Tensor, gap: Gap) -> float:
    """The worst channel's signal-to-noise ratio in the gap, dB."""
    true = audio[:, gap.start : gap.stop]
    shares = true.square().sum(dim=1) / (found - true).square().sum(dim=1)
    return float(10 * shares.min().log10())


def beating(seconds: float = 1.2) -> Tensor:
    """A low chord of decaying inharmonic strings, every partial twice 0.4 Hz apart, [1, T]."""
    time = torch.arange(round(seconds * RATE)) / RATE
    made = torch.zeros(len(time), dtype=torch.double)
    for string, root in enumerate((55.0, 69.3, 82.4, 110.0)):
        for partial in range(1, 25):
            pitch = partial * root * math.sqrt(1 + 4e-4 * partial**2)
            phase = string + 1.7 * partial**2
            for apart in (-0.2, 0.2):
                wave = torch.sin(2 * math.pi * (pitch + apart) * time.double() + phase)
                made += wave * torch.exp(-time * (0.5 + 0.02 * partial)) / partial
    return (0.05 * made + 1e-4 * noise(len(time))).float()[None]


@pytest.mark.parametrize("length", [1, 50, 882, 4000])
def test_tones_go_on_through_a_gap(length: int) -> None:
    audio, gap = tones(0.6), Gap(11_000, 11_000 + length)
    assert ratio(filled(audio, gap), audio, gap) > 60


@pytest.mark.parametrize("rate", [8000, 48_000, 88_200, 192_000])
def test_any_rate(rate: int) -> None:
    audio, gap = tones(0.5, rate), Gap(rate // 4, rate // 4 + rate // 40)
    assert ratio(filled(audio, gap, rate), audio, gap) > 35


def test_at_high_rates_what_only_they_have_is_filled_as_well() -> None:
    rate = 96_000
    audio = 0.3 * tone([440, 30_000], rate // 2, rate).sum(dim=0, keepdim=True)
    gap = Gap(24_000, 24_000 + 960)
    assert ratio(filled(audio, gap, rate), audio, gap) > 20
    # less than a sample of the models' own rate
    assert ratio(filled(audio, Gap(24_001, 24_002), rate), audio, Gap(24_001, 24_002)) > 20


def test_another_gap_is_not_taken_for_sound() -> None:
    audio, gap = tones(0.6), Gap(12_000, 12_400)
    others = (Gap(10_000, 11_000), Gap(13_200, 13_500))
    assert ratio(filled(audio, gap, RATE, *others), audio, gap) > 40
    assert ratio(filled(audio, gap, RATE, Gap(12_430, 14_000)), audio, gap) > 40


@pytest.mark.parametrize(("start", "stop"), [(0, 300), (20, 300), (19_700, 20_000), (0, 19_000)])
def test_gaps_at_the_ends_of_a_file_go_on_with_its_one_side(start: int, stop: int) -> None:
    audio = tones(1)[:, :20_000]
    gap = Gap(start, stop)
    found = filled(audio, gap)
    if gap.length == 300:
        assert ratio(found, audio, gap) > 40


@pytest.mark.parametrize("sliver", [1, 300, 1999, 2001])
def test_a_side_that_ends_is_known_as_far_as_it_goes(sliver: int) -> None:
    audio = tones(1)[:1]
    start = 20_000
    for before, gap in (
        (Gap(start - sliver - 9000, start - sliver), Gap(start, start + 500)),
        (Gap(start + 500 + sliver, start + 9000 + sliver), Gap(start, start + 500)),
    ):
        assert ratio(filled(audio, gap, RATE, before), audio, gap) > 30


@pytest.mark.parametrize("milliseconds", [20, 80])
def test_a_low_chord_needs_long_models(milliseconds: int) -> None:
    audio = beating()
    gap = Gap(25_000, 25_000 + milliseconds * RATE // 1000)
    ours = ratio(filled(audio, gap), audio, gap)
    near = audio[:, gap.start - 4410 : gap.stop + 4410]
    short = interpolate(near, 4410, 4410 + gap.length, 1000)
    assert ours > 20
    assert ours > ratio(short, audio, gap) + 6


@pytest.mark.parametrize("cutoff", [1000, 4000, 16_000])
def test_sound_without_high_frequencies_is_filled_as_well(cutoff: int) -> None:
    audio = beating()
    sections = scipy.signal.butter(16, cutoff, fs=RATE, output="sos")
    audio = torch.from_numpy(scipy.signal.sosfiltfilt(sections, audio.double().numpy()).copy())
    gap = Gap(25_000, 25_000 + 2205)
    assert ratio(filled(audio.float(), gap), audio.float(), gap) > 15


def test_models_are_estimated_from_both_sides_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[list[float]] = []

    def listen(parts: list[Tensor], order: int) -> Tensor:
        heard.append([float(part.square().mean().sqrt()) for part in parts])
        return burg(parts, order)

    monkeypatch.setattr(short_gaps, "burg", listen)
    audio = tones(1)[:1]
    audio[:, 20_000:] *= 0.01
    filled(audio, Gap(20_000, 20_100))
    assert heard == [pytest.approx([1, 1], rel=1e-3)] * len(MODELS)
    # a click has one model
    heard.clear()
    filled(audio, Gap(20_000, 20_044))
    assert len(heard) == 1
    # what is next to silence counts less
    heard.clear()
    audio[:, 20_000:] *= 1e-4
    filled(audio, Gap(20_000, 20_100))
    assert heard == [pytest.approx([1, 1e-3], rel=0.1)] * len(MODELS)


def test_long_gaps_get_both_sides_cross_faded() -> None:
    audio = tones(2)
    gap = Gap(20_000, 20_001 + int(LONGEST * RATE))
    assert ratio(filled(audio, gap), audio, gap) > 20
    assert filled(audio, Gap(10, 30_000)).abs().max() <= 2 * audio.abs().max()


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 100])
def test_very_short_recordings(samples: int) -> None:
    audio = tones(0.1)[:, :samples]
    for start, stop in {(0, 1), (samples - 1, samples), (samples // 2, samples // 2 + 1)}:
        assert filled(audio, Gap(start, stop)).abs().max() <= 1


def test_channels_have_models_of_their_own() -> None:
    audio, gap = tones(0.5), Gap(10_000, 10_500)
    both = filled(audio, gap)
    for channel in range(2):
        alone = filled(audio[channel : channel + 1], gap)
        assert torch.equal(alone[0], both[channel])


def test_the_mean_of_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(20_000).cumsum(0)[None].float()
    fillings = []
    for model in MODELS:
        monkeypatch.setattr(short_gaps, "MODELS", (model,))
        fillings.append(lpc_fill(audio, 9000, 9300, RATE))
    monkeypatch.undo()
    found = lpc_fill(audio, 9000, 9300, RATE)
    assert not torch.allclose(fillings[0], fillings[1], rtol=1e-3)
    assert torch.allclose(found, torch.stack(fillings).mean(dim=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, RATE, 96_000])
@pytest.mark.parametrize(
    "audio",
    [
        torch.zeros(1, 6000),
        torch.full((1, 6000), 0.25),
        torch.nn.functional.pad(torch.ones(1, 1), (2400, 3599)),
        torch.nn.functional.pad(torch.ones(1, 2999), (3001, 0)),
        torch.sign(torch.sin(torch.arange(6000) / 7.0))[None],
        1e-20 * torch.ones(2, 6000),
        1e-3 * noise(6000)[None].float(),
        torch.exp(torch.arange(6000) / 600.0)[None] * 1e-5,
    ],
)
def test_nothing_explodes(audio: Tensor, rate: int) -> None:
    for start, stop in ((2900, 2901), (2900, 3100), (0, 30), (500, 560), (5970, 6000), (1, 5999)):
        found = filled(audio, Gap(start, stop), rate)
        assert found.abs().max() <= 2 * audio.abs().max()


def test_silence_and_constants_stay_what_they_are() -> None:
    gap = Gap(3000, 3200)
    assert not filled(torch.zeros(1, 6000), gap).any()
    constant = torch.full((1, 6000), 0.25)
    assert torch.allclose(filled(constant, gap), torch.tensor(0.25), atol=1e-3)


def test_what_is_no_number_outside_the_gap_does_no_harm() -> None:
    audio = tones(0.5)
    audio[:, 9000] = math.inf
    audio[:, 12_000] = math.nan
    filled(audio, Gap(10_000, 10_300))
