"""Losses count hidden parts only, window by window."""

import math

import pytest
import torch

from audiomask.networks.spectrogram.losses import (
    Adversary,
    cluster_loss,
    continuation_loss,
    magnitude_loss,
)


def test_magnitudes_count_where_they_are_hidden() -> None:
    target, predicted = torch.zeros(2, 3, 2), torch.ones(2, 3, 2)
    where = torch.zeros(2, 3, 2, dtype=torch.bool)
    where[0, 0] = where[1] = True
    predicted[0, 0, 0] = 0.5
    predicted[0, 2] = 99.0
    # every window counts alike, whatever is hidden of it
    assert float(magnitude_loss(predicted, target, where)) == pytest.approx((0.75 + 1) / 2)


def test_clusters_are_cross_entropies() -> None:
    logits, labels = torch.randn(2, 5, 4), torch.randint(4, (2, 5))
    where = torch.tensor([[True, False, False, True, False], [False] * 5])
    logs = logits.log_softmax(dim=-1)
    expected = -(logs[0, 0, labels[0, 0]] + logs[0, 3, labels[0, 3]]) / 2 / 2
    assert float(cluster_loss(logits, labels, where)) == pytest.approx(float(expected), rel=1e-5)


def test_windows_that_are_no_pair_do_not_count() -> None:
    logits = torch.tensor([2.0, 2.0, 50.0])
    found = continuation_loss(logits, torch.tensor([1, 0, -1]))
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 3
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_adversary_learns_and_the_filling_is_pushed_the_other_way() -> None:
    torch.manual_seed(0)
    critic, where = Adversary(8, 8), torch.ones(2, 6, dtype=torch.bool)
    target = torch.rand(2, 6, 8)
    filled = torch.full((2, 6, 8), 0.5, requires_grad=True)
    plain = filled.detach().clone().requires_grad_()
    torch.autograd.backward(critic(filled, target, where))
    assert all(p.grad is not None and p.grad.any() for p in critic.parameters())

    def loss(values: torch.Tensor) -> torch.Tensor:
        """The same, without the reversal."""
        logits = critic.layers(torch.cat([target, values]).mT)[:, 0]
        truth = torch.cat([torch.ones(2, 6), torch.zeros(2, 6)])
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)

    torch.autograd.backward(loss(plain))
    assert filled.grad is not None
    assert plain.grad is not None
    assert torch.allclose(filled.grad, -plain.grad, atol=1e-7)
