"""Autoregressive interpolation: the equations, known processes, and what must not break it."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import gaussian_noise, tone, uniform_noise
from torch import Tensor

from audiomask.infill.autoregressive import (
    DITHER,
    MAX_ORDER,
    burg,
    dithered,
    extrapolate,
    interpolate,
    model_order,
    solve_gap,
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
    """The least-squares problem written out: all known errors that a missing sample is in."""
    order, known = len(coefficients) - 1, audio.clone()
    known[start:stop] = 0
    rows = range(max(start, order), min(stop + order, len(audio)))
    system = torch.zeros(len(rows), stop - start, dtype=torch.double)
    errors = torch.zeros(len(rows), dtype=torch.double)
    for row, t in enumerate(rows):
        for j, a in enumerate(coefficients.tolist()):
            if start <= t - j < stop:
                system[row, t - j - start] = a
            else:
                errors[row] += a * known[t - j]
    return torch.linalg.lstsq(system, -errors[:, None]).solution[:, 0]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(60, 61), (60, 90), (0, 20), (3, 40), (90, 118), (90, 119), (90, 120), (9, 111), (8, 111)],
)
@pytest.mark.parametrize("order", [1, 2, 9])
def test_samples_solve_janssens_equations(start: int, stop: int, order: int) -> None:
    audio = process([1, -1.6, 0.9], 120)
    coefficients = burg([audio], order)
    holed = audio.clone()
    holed[start:stop] = math.nan  # what is in the gap does not matter
    found = solve_gap(holed, start, stop, coefficients)
    if start < min(order, 120 - stop):  # the errors of prediction from the right are known
        audio, found, start, stop = audio.flip(0), found.flip(0), 120 - stop, 120 - start
    assert torch.allclose(found, janssen(audio, start, stop, coefficients), atol=1e-6)


def test_one_missing_sample_by_hand() -> None:
    # x(t) = a x(t - 1): the errors around the gap are least at a (x(t - 1) + x(t + 1)) / (1 + a²)
    audio = torch.tensor([0.0, 2.0, 99.0, 1.0, 0.0], dtype=torch.double)
    coefficients = torch.tensor([1.0, -0.5], dtype=torch.double)
    found = solve_gap(audio, 2, 3, coefficients)
    assert float(found) == pytest.approx(0.5 * (2 + 1) / (1 + 0.25))


def test_burg_by_hand_and_of_a_known_process() -> None:
    # reflection: -2 Σ x(t) x(t - 1) / Σ (x(t)² + x(t - 1)²)
    audio = torch.tensor([1.0, 2.0, 3.0], dtype=torch.double)
    assert burg([audio], 1).tolist() == pytest.approx([1, -2 * (2 + 6) / (1 + 4 + 4 + 9)])
    two = [audio, torch.tensor([1.0, 1.0], dtype=torch.double)]
    assert burg(two, 1).tolist() == pytest.approx([1, -2 * (8 + 1) / (18 + 2)])
    truth = [1, -1.6, 0.9]
    assert burg([process(truth, 20_000)], 2).tolist() == pytest.approx(truth, abs=0.02)


def burg_by_definition(parts: list[Tensor], order: int) -> Tensor:
    """Burg's recursion with all its errors, in extended precision."""
    errors = [(part.numpy().astype(np.longdouble),) * 2 for part in parts]
    found = np.zeros(order + 1, np.longdouble)
    found[0] = 1
    for done in range(1, order + 1):
        errors = [(f[1:], b[:-1]) for f, b in errors]
        product = sum((f * b).sum() for f, b in errors)
        reflection = -2 * product / sum((f * f).sum() + (b * b).sum() for f, b in errors)
        found[1 : done + 1] += reflection * found[:done][::-1]
        errors = [(f + reflection * b, b + reflection * f) for f, b in errors]
    return torch.from_numpy(found.astype(float))


@pytest.mark.parametrize("lowpass", [False, True])
def test_burg_is_precise_at_high_orders(lowpass: bool) -> None:
    # passages shorter than the order, and longer than what one BLAS call takes
    parts = [gaussian_noise(length, seed=length) for length in (100, 3000, 10_000)]
    if lowpass:
        sections = scipy.signal.butter(12, 0.1, output="sos")
        parts = [scipy.signal.sosfilt(sections, part) for part in parts]
    dither = dithered([torch.from_numpy(part) for part in parts])
    assert torch.allclose(burg(dither, 600), burg_by_definition(dither, 600), atol=1e-5)


def test_dither_is_white_and_the_same_whenever() -> None:
    audio = tone(440, 20_000).double()
    made = dithered([audio, 2 * audio[:5000]])
    added = torch.cat([made[0] - audio, made[1] - 2 * audio[:5000]])
    power = (audio.square().sum() + 4 * audio[:5000].square().sum()) / 25_000
    assert float(added.square().mean() / power) == pytest.approx(DITHER, rel=0.05)
    assert float((added[1:] * added[:-1]).mean() / power) == pytest.approx(0, abs=0.05 * DITHER)
    assert torch.equal(dithered([audio, 2 * audio[:5000]])[0], made[0])
    assert not any(part.any() for part in dithered([torch.zeros(5), torch.zeros(0)]))


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


def test_a_process_is_filled_as_well_as_by_its_true_model() -> None:
    truth = torch.tensor([1, -1.9, 0.97], dtype=torch.double)
    ours = ideal = 0.0
    for seed in range(30):
        audio = process(truth.tolist(), 600, seed)
        found = interpolate(audio[None], 290, 310, 4)[0]
        best = solve_gap(audio, 290, 310, truth)
        ours += float((found - audio[290:310]).square().sum())
        ideal += float((best - audio[290:310]).square().sum())
    assert ours == pytest.approx(ideal, rel=0.05)


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
    ("start", "stop", "order"), [(5, 5, 3), (-1, 5, 3), (5, 200, 3), (5, 9, 0)]
)
def test_what_cannot_be_is_refused(start: int, stop: int, order: int) -> None:
    with pytest.raises(ValueError, match=r"gap|order"):
        interpolate(torch.zeros(1, 100), start, stop, order)


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
    assert torch.allclose(first.flip(1), last, atol=1e-4)
