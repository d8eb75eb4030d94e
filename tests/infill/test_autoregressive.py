"""Autoregressive interpolation: the equations, known processes, and what must not break it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import gaussian_noise, tone, uniform_noise
from torch import Tensor

from audiomask.infill.autoregressive import (
    MAX_ORDER,
    burg,
    extrapolate,
    interpolate,
    least_squares,
    model_order,
    prediction_gain,
)


def process(coefficients: list[float], length: int, seed: int = 0) -> Tensor:
    """White noise through an all-pole filter, double [T]."""
    noise = gaussian_noise(length, seed=seed)
    made = np.zeros(length)
    for t in range(length):
        past = sum(a * made[t - j] for j, a in enumerate(coefficients[1:], 1) if t >= j)
        made[t] = noise[t] - past
    return torch.from_numpy(made)


def janssen(audio: Tensor, start: int, stop: int, coefficients: Tensor) -> Tensor:
    """The least-squares problem written out: all errors that a missing sample takes part in."""
    order, known = len(coefficients) - 1, audio.clone()
    known[start:stop] = 0
    last = min(stop + order, len(audio))
    system = torch.zeros(last - start, stop - start, dtype=torch.double)
    errors = torch.zeros(last - start, dtype=torch.double)
    for row, t in enumerate(range(start, last)):
        for j, a in enumerate(coefficients.tolist()):
            if start <= t - j < stop:
                system[row, t - j - start] = a
            elif t >= j:
                errors[row] += a * known[t - j]
    return torch.linalg.lstsq(system, -errors[:, None]).solution[:, 0]


@pytest.mark.parametrize(("start", "stop"), [(60, 61), (60, 90), (3, 40), (90, 118), (90, 120)])
@pytest.mark.parametrize("order", [1, 2, 9])
def test_samples_solve_janssens_equations(start: int, stop: int, order: int) -> None:
    audio = process([1, -1.6, 0.9], 120)
    coefficients = burg([audio], order)
    found = least_squares(audio, start, stop, coefficients)
    assert torch.allclose(found, janssen(audio, start, stop, coefficients), atol=1e-6)


def test_one_missing_sample_by_hand() -> None:
    # x(t) = a x(t - 1): the errors around the gap are least at a (x(t - 1) + x(t + 1)) / (1 + a²)
    audio = torch.tensor([0.0, 2.0, 99.0, 1.0, 0.0], dtype=torch.double)
    coefficients = torch.tensor([1.0, -0.5], dtype=torch.double)
    found = least_squares(audio, 2, 3, coefficients)
    assert float(found) == pytest.approx(0.5 * (2 + 1) / (1 + 0.25))


def test_burg_by_hand_and_of_a_known_process() -> None:
    # reflection: -2 Σ x(t) x(t - 1) / Σ (x(t)² + x(t - 1)²)
    audio = torch.tensor([1.0, 2.0, 3.0], dtype=torch.double)
    assert burg([audio], 1).tolist() == pytest.approx([1, -2 * (2 + 6) / (1 + 4 + 4 + 9)])
    two = [audio, torch.tensor([1.0, 1.0], dtype=torch.double)]
    assert burg(two, 1).tolist() == pytest.approx([1, -2 * (8 + 1) / (18 + 2)])
    truth = [1, -1.6, 0.9]
    assert burg([process(truth, 20_000)], 2).tolist() == pytest.approx(truth, abs=0.02)


@given(seed=st.integers(0, 1000), order=st.integers(1, 30), length=st.integers(40, 200))
def test_burgs_models_are_stable(seed: int, order: int, length: int) -> None:
    audio = torch.from_numpy(uniform_noise(length, level=1, seed=seed)).cumsum(0)
    roots = np.roots(burg([audio], order).numpy())
    assert np.abs(roots).max() < 1 + 1e-6


@pytest.mark.parametrize("length", [1, 20, 200, 2000])
def test_tones_go_on_through_a_gap(length: int) -> None:
    a, b, c = tone([440, 311, 2500], 20_000)
    audio = torch.stack([0.5 * a, 0.3 * b + 0.2 * c])
    start, stop = 9000, 9000 + length
    holed = audio.clone()
    holed[:, start:stop] = math.nan  # what is in the gap does not matter
    found = interpolate(holed, start, stop, model_order(length, start))
    assert found.dtype == torch.float32
    error = (found - audio[:, start:stop]).square().sum(dim=1)
    assert (error / audio[:, start:stop].square().sum(dim=1)).max() < 1e-6


def test_models_are_estimated_again_from_what_was_filled() -> None:
    audio = torch.stack([process([1, -1.9, 0.97], 140, seed).float() for seed in range(30)])
    truth = audio[:, 40:100]
    once, thrice = (interpolate(audio, 40, 100, 4, n) for n in (1, 3))
    assert not torch.equal(once, thrice)
    assert (once - truth).square().sum() < 1.2 * truth.square().sum()
    assert (thrice - truth).square().sum() < 1.2 * truth.square().sum()


@pytest.mark.parametrize(
    "audio",
    [
        torch.zeros(1, 500),
        torch.full((1, 500), 0.25),
        torch.nn.functional.pad(torch.ones(1, 1), (100, 399)),
        torch.sign(torch.sin(torch.arange(500) / 7.0))[None],
        1e-20 * torch.ones(2, 500),
    ],
)
@pytest.mark.parametrize(("start", "stop"), [(200, 210), (0, 30), (470, 500), (0, 500), (1, 499)])
def test_nothing_explodes(audio: Tensor, start: int, stop: int) -> None:
    found = interpolate(audio, start, stop, 3 * (stop - start) + 2)
    assert found.shape == (len(audio), stop - start)
    assert found.isfinite().all()
    assert found.abs().max() < 10


def test_silence_and_constants_stay_what_they_are() -> None:
    assert not interpolate(torch.zeros(1, 500), 100, 150, 20).any()
    found = interpolate(torch.full((1, 500), 0.25), 100, 150, 20)
    assert torch.allclose(found, torch.tensor(0.25), atol=1e-4)


def test_orders() -> None:
    assert (model_order(1, 9000), model_order(100, 9000)) == (5, 302)
    assert model_order(44_100, 9000) == MAX_ORDER
    assert (model_order(100, 800), model_order(100, 2)) == (200, 1)


@pytest.mark.parametrize(
    ("start", "stop", "order", "iterations"),
    [(5, 5, 3, 1), (-1, 5, 3, 1), (5, 200, 3, 1), (5, 9, 0, 1), (5, 9, 3, 0)],
)
def test_what_cannot_be_is_refused(start: int, stop: int, order: int, iterations: int) -> None:
    with pytest.raises(ValueError, match=r"gap|order"):
        interpolate(torch.zeros(1, 100), start, stop, order, iterations)


def test_a_tone_goes_on_and_noise_dies_away() -> None:
    audio = 0.1 * torch.stack([tone(440, 12_000), torch.randn(12_000)])
    made = extrapolate(audio[:, :10_000], 1000, 200)
    assert made.shape == (2, 1000)
    assert torch.allclose(made[0], audio[0, 10_000:11_000], atol=5e-3)
    assert float(made[1, 500:].square().mean()) < 0.1 * float(audio[1].square().mean())
    assert not extrapolate(torch.zeros(1, 300), 50, 20).any()


@pytest.mark.parametrize("samples", [0, 1, 2, 30])
def test_little_sound_goes_on_as_far_as_it_can(samples: int) -> None:
    made = extrapolate(torch.full((2, samples), 0.5), 40, 20)
    assert made.shape == (2, 40)
    assert made.isfinite().all()
    assert made.abs().max() <= 0.51


@pytest.mark.parametrize("sliver", [0, 7])
def test_a_gap_at_either_end_goes_on_with_its_longer_side(sliver: int) -> None:
    audio = 0.1 * tone(491, 4000)[None]
    start, stop = 4000 - sliver - 300, 4000 - sliver
    last = interpolate(audio, start, stop, 50)
    assert torch.allclose(last, audio[:, start:stop], atol=0.01)
    turned = audio.flip(1)
    first = interpolate(turned, 4000 - stop, 4000 - start, 50)
    assert torch.allclose(first.flip(1), last, atol=1e-6)


def test_prediction_gain() -> None:
    sine, noise = tone(440, 8000)[None], torch.randn(1, 8000)
    assert prediction_gain(noise, 20) == pytest.approx(0, abs=0.5)
    assert prediction_gain(sine + 0.01 * noise, 200) == pytest.approx(37, abs=2)
    assert prediction_gain(torch.zeros(2, 8000), 20) == 0
