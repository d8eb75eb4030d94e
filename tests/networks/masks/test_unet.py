"""The U-Net that makes masks: shapes, what it sees, and its normalisation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiomask.networks.masks.unet import Norm, Refiner
from audiomask.runtime import distributed


def refiner(bands: int = 16, channels: tuple[int, ...] = (4, 6), guide: int = 0) -> Refiner:
    torch.manual_seed(0)
    return Refiner(bands, channels, 3, dim=16, heads=2, layers=1, kernel=3, guide=guide).eval()


@settings(max_examples=10)
@given(stages=st.integers(1, 4), frames=st.integers(1, 20), bottom=st.integers(1, 3))
def test_any_number_of_stages_and_frames(stages: int, frames: int, bottom: int) -> None:
    bands = bottom << (stages - 1)
    with torch.no_grad():
        scores = refiner(bands, (3, 4, 5, 6)[:stages])(torch.randn(2, bands, frames))
    assert scores.shape == (2, 3, bands, frames)


@torch.no_grad()
def test_it_hears_the_whole_window_and_all_bands() -> None:
    model, features = refiner().double(), torch.randn(1, 16, 30).double()
    before = model(features)
    features[0, 2, 5] += 3.0
    changed = (model(features) - before).abs().amax(dim=1)[0]
    # a rectifier may be deaf to it here and there
    assert changed[:, 0].max() > 0
    assert changed[:, 29].max() > 0
    assert changed[15].max() > 0


@torch.no_grad()
def test_rows_are_independent_in_use() -> None:
    model, features = refiner(guide=5), torch.randn(3, 16, 12)
    guide = torch.randn(3, 12, 5)
    together = model(features, guide)
    for row in range(3):
        alone = model(features[row : row + 1], guide[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-5)
    # zeros guide nowhere
    assert torch.allclose(model(features, 0 * guide), model(features), atol=1e-6)
    assert not torch.allclose(together, model(features), atol=1e-4)


@torch.no_grad()
def test_folding_changes_no_score() -> None:
    model, features = refiner().train(), 2 * torch.randn(4, 16, 12) + 1
    for _ in range(3):
        model(features)  # statistics of its own
    model.eval()
    before = model(features)
    model.fold()
    assert not any(isinstance(part, Norm) for part in model.modules())
    assert torch.allclose(model(features), before, atol=1e-5)
    model.fold()  # nothing is left to fold
    assert torch.allclose(model(features), before, atol=1e-5)


def test_norm_over_processes_is_that_of_their_rows_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6) * 2 + 1
    reference, shared = Norm(3), Norm(3)
    whole = reference(x)
    halves = x.chunk(2)
    moments = [
        torch.stack([part.mean(dim=(0, 2, 3)), part.square().mean(dim=(0, 2, 3))])
        for part in halves
    ]

    def mean(values: Tensor) -> Tensor:
        assert torch.allclose(values, moments[0])
        return torch.stack(moments).mean(dim=0)

    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "mean_with_gradient", mean)
    assert torch.allclose(shared(halves[0]), whole[:2], atol=1e-5)
    assert torch.allclose(shared.running_mean, reference.running_mean, atol=1e-6)
    assert torch.allclose(shared.running_var, reference.running_var, atol=1e-5)
    assert int(shared.num_batches_tracked) == 1
