"""EMA: by hand, and put into a model for a while."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from audiomask.training.ema import EMA


def test_averages_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    averages = EMA(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(5.0)
    averages.update(model, 0)  # the first steps count for more: decay 1 / 10
    assert float(averages.weights["weight"]) == pytest.approx(0.1 * 1 + 0.9 * 3)
    assert float(averages.weights["running_mean"]) == 5  # buffers are copied
    before = float(averages.weights["weight"])
    with torch.no_grad():
        model.weight.fill_(0.0)
    averages.update(model, 10_000)
    assert float(averages.weights["weight"]) == pytest.approx(0.5 * before)


def test_they_are_in_the_model_for_as_long_as_asked() -> None:
    model = nn.BatchNorm1d(2)
    averages = EMA(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(5.0)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with suppress(KeyboardInterrupt), averages.applied_to(model):
        assert model.weight.tolist() == [1, 1]
        assert model.running_mean.tolist() == [0, 0]
        raise KeyboardInterrupt
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
