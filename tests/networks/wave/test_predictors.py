"""Linear predictors that adapt backwards: what they estimate, and what they may see."""

import pytest
import torch
from scipy.linalg import solve_toeplitz

from audiomask.networks.wave.predictors import (
    Predictor,
    combine,
    combining_weights,
    gather,
    levinson,
)


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("order", [1, 2, 3, 12, 101])
def test_levinson_solves_the_normal_equations(order: int) -> None:
    rows = []
    for seed in range(3):
        signal = noise(400, seed).double()[0].cumsum(dim=0)
        rows.append(torch.stack([(signal[k:] * signal[: 400 - k]).sum() for k in range(order + 1)]))
    lags = torch.stack(rows)
    lags[:, 0] *= 1 + 1e-6
    for row, found in zip(lags.numpy(), levinson(lags), strict=True):
        expected = solve_toeplitz(row[:-1], row[1:])
        assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-7)


def test_weights_of_a_combination_follow_what_predicts_best() -> None:
    known = noise(600)[0]
    good, noisy = known + 0.1 * noise(600, 1)[0], known + noise(600, 2)[0]
    predicted = torch.stack([noisy, good, noisy.flip(0)], dim=-1)
    found = combine(predicted[None], combining_weights(known[None], predicted[None]))[0]
    assert float((found - known).std()) < 0.2
    # predictions that are alike, and silence, are combined to their mean
    alike = torch.full((1, 600, 3), 0.5)
    assert torch.equal(combine(alike, combining_weights(known[None], alike)), alike[..., 0])
    silent = torch.zeros(1, 600, 2)
    assert torch.equal(combine(silent, combining_weights(silent[..., 0], silent)), silent[..., 0])


def test_excerpts_have_zeros_before_the_first_sample() -> None:
    samples = torch.arange(1.0, 7.0)[None]
    found = gather(samples, torch.tensor([[0, 2, 6]]), 3, 2)
    assert found[0].tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [4, 5, 6, 0, 0]]


def test_what_follows_from_the_past_is_predicted() -> None:
    # an autoregressive process of order 2: its predictor leaves the noise that drives it
    drive, signal = noise(6_000)[0] * 0.01, torch.zeros(6_000)
    for t in range(2, 6_000):
        signal[t] = 1.6 * signal[t - 1] - 0.9 * signal[t - 2] + drive[t]
    predictor, start = Predictor(2, 2048), torch.tensor([[4_000]])
    weights = predictor.coefficients(signal[None], start)
    assert weights[0, 0].tolist() == pytest.approx([1.6, -0.9], abs=0.03)
    predicted = predictor.predict(signal[None], start, 500)[0, 0]
    left = signal[4_000:4_500] - predicted
    assert float(left.std()) == pytest.approx(float(drive[4_000:4_500].std()), rel=0.05)


def test_predictions_are_weighted_sums_of_the_samples_before() -> None:
    samples, starts = noise(3_000), torch.tensor([[0, 700, 2_900]])
    predictor = Predictor(8, 256)
    weights = predictor.coefficients(samples, starts)
    found = predictor.predict(samples, starts, 64)
    for row, start in enumerate(starts[0].tolist()):
        for place in (0, 17, 63):
            past = gather(samples, torch.tensor([[start + place]]), 8, 0)
            expected = float((past[0, 0].flip(0) * weights[0, row]).sum())
            assert float(found[0, row, place]) == pytest.approx(expected, abs=1e-5)


def test_coefficients_depend_on_the_past_alone() -> None:
    samples, start = noise(2_000), torch.tensor([[1_000]])
    changed = samples.clone()
    changed[:, 1_000:] += 1
    predictor = Predictor(16, 512)
    assert torch.equal(
        predictor.coefficients(samples, start), predictor.coefficients(changed, start)
    )


def test_silence_is_predicted_as_silence() -> None:
    predictor = Predictor(8, 256)
    found = predictor.predict(torch.zeros(1, 1_000), torch.tensor([[512]]), 64)
    assert torch.equal(found, torch.zeros(1, 1, 64))


@pytest.mark.parametrize("order", [32, 256])
def test_what_never_changes_and_pure_tones_are_predicted(order: int) -> None:
    time = torch.arange(20_000) / 16_000
    tone = 0.7 * torch.sin(2 * torch.pi * 20 * time)
    alternating = 0.5 * torch.cos(16_000 * torch.pi * time)
    samples = torch.stack([torch.full_like(time, 0.5), tone, alternating, time / 2])
    starts = torch.full((4, 1), 19_000)
    found = Predictor(order, 64 * order).predict(samples, starts, 64)[:, 0]
    assert torch.allclose(found, samples[:, 19_000:19_064], atol=0.02)
