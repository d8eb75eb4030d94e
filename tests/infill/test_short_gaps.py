"""Short gaps: the equations and models, known sounds, edges of files, rates, and odd sounds."""

import math

import numpy as np
import pytest
import torch
from signals import gaussian_noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill import short_gaps
from audiomask.infill.autoregressive import burg, least_squares
from audiomask.infill.gaps import Gap
from audiomask.infill.short_gaps import (
    LONGEST,
    MIN_SIDE,
    PREDICTORS,
    fill_short,
    fit_predictor,
    lpc_fill,
    solve_gap,
)

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


def test_a_model_makes_the_errors_both_ways_least() -> None:
    parts, order = [noise(60).cumsum(0), noise(50, 1)], 7
    rows = [part.unfold(0, order + 1, 1) for part in parts]
    errors = torch.cat([row for each in rows for row in (each.flip(1), each)])
    wanted = torch.linalg.lstsq(errors[:, 1:], -errors[:, :1]).solution[:, 0]
    found = fit_predictor(parts, order)
    assert found[0] == 1
    assert torch.allclose(found[1:], wanted, atol=1e-6)
    # whatever the level
    assert torch.allclose(fit_predictor([1e-30 * part for part in parts], order), found)


def test_damped_partials_without_noise_are_found_from_few_samples() -> None:
    time = torch.arange(40, dtype=torch.double)
    wave = torch.cos(0.3 * time) + 0.5 * torch.cos(1.1 * time + 1)
    roots = torch.from_numpy(np.exp(1j * np.array([0.3, -0.3, 1.1, -1.1])))
    assert torch.allclose(
        fit_predictor([wave], 4), torch.from_numpy(np.poly(roots).real), atol=1e-4
    )


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 60])
@pytest.mark.parametrize("order", [1, 10])
def test_samples_solve_the_same_equations_as_janssens(length: int, order: int) -> None:
    audio = noise(200).cumsum(0)
    start, stop = 80, 80 + length
    coefficients = burg([audio], order)
    wanted = least_squares(audio, start, stop, coefficients)
    holed = audio.clone()
    holed[start:stop] = math.nan
    assert torch.allclose(solve_gap(holed, start, stop, coefficients), wanted, atol=1e-6)


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


def test_janssens_method_where_the_models_lack_sound_or_the_gap_is_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fake(name: str) -> None:
        def fill(audio: Tensor, start: int, stop: int, *_: int) -> Tensor:
            used.append(name)
            return audio[:, start:stop]

        monkeypatch.setattr(short_gaps, name, fill)

    used: list[str] = []
    fake("janssen")
    fake("lpc_fill")
    audio, least, longest = tones(1), round(MIN_SIDE * RATE), int(LONGEST * RATE)
    filled(audio, Gap(least, least + 100))
    filled(audio, Gap(15_000, 15_000 + longest))
    assert used == ["lpc_fill"] * 2
    filled(audio, Gap(least - 1, least + 100))
    filled(audio, Gap(RATE - least - 99, RATE - least + 1))
    filled(audio, Gap(15_000, 15_001 + longest))
    assert used[2:] == ["janssen"] * 3


def test_channels_have_models_of_their_own() -> None:
    audio, gap = tones(0.5), Gap(10_000, 10_500)
    both = filled(audio, gap)
    for channel in range(2):
        alone = filled(audio[channel : channel + 1], gap)
        assert torch.equal(alone[0], both[channel])


def test_the_mean_of_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(20_000).cumsum(0)[None].float()
    fillings = []
    for model in PREDICTORS:
        monkeypatch.setattr(short_gaps, "PREDICTORS", (model,))
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
