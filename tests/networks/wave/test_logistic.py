"""Mixtures of logistic distributions: probabilities of levels, by hand and in all."""

import math

import pytest
import torch

from audiomask.networks.wave.logistic import expected_bits, log_probability, probabilities
from audiomask.networks.wave.mulaw import LEVELS, cells, encode


@pytest.mark.parametrize("log_scale", [-12.0, -8.0, -3.0, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.3, -1.4])
def test_the_probabilities_of_all_levels_sum_to_one(mean: float, log_scale: float) -> None:
    logits = torch.tensor([[0.3, -1.0]])
    means = torch.tensor([[mean, -mean / 2]])
    found = probabilities(logits, means, torch.tensor([[log_scale, log_scale + 1]]))
    assert found.shape == (1, LEVELS)
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)
    assert float(found.min()) >= 2.0**-21


def test_a_probability_is_what_falls_into_the_cell() -> None:
    levels = torch.arange(20, 236, 7)
    means, scales = torch.tensor([0.02, -0.1]), torch.tensor([0.01, 0.2])
    weights = torch.tensor([0.7, 0.3])
    lower, upper = (edge.double()[:, None] for edge in cells(levels))
    inside = torch.sigmoid((upper - means) / scales) - torch.sigmoid((lower - means) / scales)
    even = 2.0**-12
    expected = (inside * weights).sum(dim=1) * (1 - even) + even / LEVELS
    shape = (len(levels), 2)
    found = log_probability(
        levels, weights.log().expand(shape), means.expand(shape), scales.log().expand(shape)
    )
    assert torch.allclose(found.exp().double(), expected, rtol=1e-3, atol=1e-9)


def test_no_level_costs_more_than_twenty_bits_and_gradients_are_finite() -> None:
    levels = encode(torch.tensor([-1.0, 0.0, 1.0]))
    means = torch.full((3, 1), 0.5, requires_grad=True)
    scales = torch.full((3, 1), -14.0, requires_grad=True)
    found = log_probability(levels, torch.zeros(3, 1), means, scales)
    assert float(found.detach().min()) == pytest.approx(-20 * math.log(2), abs=1e-3)
    torch.autograd.backward(found.sum())
    assert means.grad is not None
    assert scales.grad is not None
    assert bool(means.grad.isfinite().all())
    assert bool(scales.grad.isfinite().all())


@pytest.mark.parametrize("mean", [0.0, 0.02, -0.3])
@pytest.mark.parametrize("log_scale", [-9.0, -6.0, -4.5])
def test_expected_bits_are_about_the_entropy(mean: float, log_scale: float) -> None:
    parts = (
        torch.tensor([[0.5, -0.5]]),
        torch.tensor([[mean, mean * 1.02]]),
        torch.tensor([[log_scale, log_scale + 0.5]]),
    )
    shares = probabilities(*parts).double()
    entropy = float(-(shares * shares.log2()).sum())
    # narrower than a step, it depends on where in the step its center lies
    assert float(expected_bits(*parts)) == pytest.approx(entropy, abs=0.6)
