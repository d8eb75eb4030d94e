"""Linear predictors that adapt backwards: what they estimate, and what they may see."""

import pytest
import torch
from scipy.linalg import solve_toeplitz

from audiomask.networks.wave.predictors import Predictor, gather, levinson


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def test_levinson_solves_the_normal_equations() -> None:
    signal = noise(400).double()[0]
    lags = torch.stack([(signal[k:] * signal[: 400 - k]).sum() for k in range(13)])
    expected = solve_toeplitz(lags[:-1].numpy(), lags[1:].numpy())
    assert levinson(lags[None])[0].tolist() == pytest.approx(expected.tolist(), abs=1e-9)


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
    predicted = predictor.predict(signal[None], start, 10, 500)[0, 0]
    left = signal[3_990:4_500] - predicted
    assert float(left.std()) == pytest.approx(float(drive[3_990:4_500].std()), rel=0.05)


def test_predictions_are_weighted_sums_of_the_samples_before() -> None:
    samples, starts = noise(3_000), torch.tensor([[0, 700, 2_900]])
    predictor = Predictor(8, 256)
    weights = predictor.coefficients(samples, starts)
    found = predictor.predict(samples, starts, 30, 64)
    for row, start in enumerate(starts[0].tolist()):
        for place in (0, 17, 30, 93):
            past = gather(samples, torch.tensor([[start - 30 + place]]).clamp_min(0), 8, 0)
            if start - 30 + place < 0:
                continue
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
    found = predictor.predict(torch.zeros(1, 1_000), torch.tensor([[512]]), 0, 64)
    assert torch.equal(found, torch.zeros(1, 1, 64))
