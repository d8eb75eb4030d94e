"""The mask U-Net: shapes, what it sees, and its normalization."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiomask.networks.masks import MaskUNet
from audiomask.networks.masks.unet import Block, DistributedBatchNorm2d
from audiomask.runtime import distributed


@settings(max_examples=10)
@given(stages=st.integers(1, 4), frames=st.integers(1, 20), bottom=st.integers(1, 3))
def test_any_number_of_stages_and_frames(
    make: Callable[..., MaskUNet], stages: int, frames: int, bottom: int
) -> None:
    bands = bottom << (stages - 1)
    model = make(bands=bands, channels=(3, 4, 5, 6)[:stages])
    with torch.no_grad():
        scores = model(torch.randn(2, bands, frames))
    assert scores.shape == (2, 3, bands, frames)


@torch.no_grad()
def test_it_sees_the_whole_window_and_all_bands(make: Callable[..., MaskUNet]) -> None:
    model, features = make().double(), torch.randn(1, 16, 30).double()
    before = model(features)
    features[0, 2, 5] += 3.0
    changed = (model(features) - before).abs().amax(dim=1)[0]
    # a rectifier may be deaf to it here and there
    assert changed[:, 0].max() > 0
    assert changed[:, 29].max() > 0
    assert changed[15].max() > 0


@torch.no_grad()
def test_rows_are_independent_in_use(make: Callable[..., MaskUNet]) -> None:
    model, features = make(), torch.randn(3, 16, 12)
    together = model(features)
    for row in range(3):
        alone = model(features[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-4)


@torch.no_grad()
def test_shares_sum_to_one_over_stems_and_rest(make: Callable[..., MaskUNet]) -> None:
    model = make(stems=("a", "b", "c", "d"))
    scores = model(torch.randn(3, 16, 10))
    assert scores.shape == (3, 5, 16, 10)
    shares = scores.softmax(dim=1)
    assert torch.allclose(shares.sum(dim=1), torch.ones(3, 16, 10), atol=1e-6)
    # every stem has scores of its own
    assert all((scores[:, 0] - scores[:, stem]).abs().max() > 1e-4 for stem in range(1, 5))


@torch.no_grad()
def test_bands_that_sound_alike_are_told_apart_by_where_they_lie(
    make: Callable[..., MaskUNet],
) -> None:
    model, features = make(bands=32, channels=(4,), layers=0), torch.ones(1, 32, 12)
    for parameter in model.linear_out.parameters():
        parameter.zero_()  # the bottom knows each band by its place

    def spread() -> Tensor:
        inner = model(features)[:, :, 4:-4]  # the convolutions see the same around all of these
        return inner.std(dim=2)

    assert spread().max() < 1e-5
    model.band_embedding.normal_()
    assert spread().max() > 1e-2


@torch.no_grad()
def test_fusing_changes_no_score(make: Callable[..., MaskUNet]) -> None:
    model, features = make().train(), 2 * torch.randn(4, 16, 12) + 1
    for _ in range(3):
        model(features)  # statistics of its own
    model.eval()
    before = model(features)
    model.fuse()
    assert not any(isinstance(part, DistributedBatchNorm2d) for part in model.modules())
    assert torch.allclose(model(features), before, atol=1e-5)
    model.fuse()  # nothing is left to fuse
    assert torch.allclose(model(features), before, atol=1e-5)


def test_norm_over_processes_is_that_of_their_rows_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6) * 2 + 1
    reference, shared = DistributedBatchNorm2d(3), DistributedBatchNorm2d(3)
    whole = reference(x)
    halves = x.chunk(2)
    moments = [
        torch.stack([part.mean(dim=(0, 2, 3)), part.square().mean(dim=(0, 2, 3))])
        for part in halves
    ]

    def mean(values: Tensor) -> Tensor:
        assert torch.allclose(values, moments[0])
        return torch.stack(moments).mean(dim=0)

    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce_mean_with_gradient", mean)
    assert torch.allclose(shared(halves[0]), whole[:2], atol=1e-5)
    assert torch.allclose(shared.running_mean, reference.running_mean, atol=1e-6)
    assert torch.allclose(shared.running_var, reference.running_var, atol=1e-5)
    assert int(shared.num_batches_tracked) == 1


def test_norm_in_half_precision_stays_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce_mean_with_gradient", lambda values: values)
    x = (torch.randn(4, 3, 5, 6) + 30).bfloat16()
    scaled = DistributedBatchNorm2d(3)(x).detach()
    assert scaled.dtype == torch.bfloat16
    assert float(scaled.float().mean().abs()) < 0.01
    assert float(scaled.float().std()) == pytest.approx(1, abs=0.01)


def test_convolutions_have_no_bias_beside_a_normalization() -> None:
    assert Block(2, 3).conv.bias is None
