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

Inputs = tuple[Tensor, Tensor]


def mixture(rows: int, bands: int, frames: int, channels: int = 2, seed: int = 0) -> Inputs:
    """Powers [rows, channels, bands, frames] and what the channels have in common.

    The channels are of unequal energy, in every row another one's is larger.
    """
    random = torch.Generator().manual_seed(seed)
    parts = torch.randn(rows, channels, bands, frames, 6, generator=random)
    parts[:, 0] += parts[:, -1]
    parts[::2, 0] *= 2
    parts[1::2, -1] *= 3
    return parts.square().sum(dim=-1), (parts[:, 0] * parts[:, -1]).sum(dim=-1)


@settings(max_examples=10)
@given(
    stages=st.integers(1, 4),
    frames=st.integers(1, 20),
    bottom=st.integers(1, 3),
    channels=st.integers(1, 2),
    audio_channels=st.integers(1, 2),
)
def test_any_number_of_stages_frames_and_channels(
    make: Callable[..., MaskUNet],
    stages: int,
    frames: int,
    bottom: int,
    channels: int,
    audio_channels: int,
) -> None:
    bands = bottom << (stages - 1)
    model = make(bands=bands, channels=(3, 4, 5, 6)[:stages], audio_channels=audio_channels)
    with torch.no_grad():
        masks = model(*mixture(2, bands, frames, channels))
    assert masks.shares.shape == (2, 3, channels, bands, frames)
    assert masks.activity.shape == (2, 2, frames)


@torch.no_grad()
def test_it_sees_the_whole_window_and_all_bands(make: Callable[..., MaskUNet]) -> None:
    model, features = make().double(), torch.randn(1, 3, 16, 30).double()
    before, played = model.logits(features)
    features[0, 0, 2, 5] += 3.0
    scores, activity = model.logits(features)
    changed = (scores - before).abs().amax(dim=(1, 2))[0]
    # a rectifier may be deaf to it here and there
    assert changed[:, 0].max() > 0
    assert changed[:, 29].max() > 0
    assert changed[15].max() > 0
    assert (activity - played).abs()[0, :, [0, 29]].min() > 0


@torch.no_grad()
def test_rows_are_independent_in_use(make: Callable[..., MaskUNet]) -> None:
    model, (power, cross) = make(), mixture(3, 16, 12)
    together = model(power, cross)
    for row in range(3):
        alone = model(power[row : row + 1], cross[row : row + 1])
        for one, whole in zip(alone, together, strict=True):
            assert torch.allclose(one[0], whole[row], atol=1e-5)
    assert not torch.allclose(together.shares[0], together.shares[1], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2])
def test_shares_sum_to_one_over_stems_and_rest(
    make: Callable[..., MaskUNet], channels: int
) -> None:
    shares, activity = make(stems=("a", "b", "c", "d"))(*mixture(3, 16, 10, channels))
    assert shares.shape == (3, 5, channels, 16, 10)
    assert activity.shape == (3, 4, 10)
    assert torch.allclose(shares.sum(dim=1), torch.ones(3, channels, 16, 10), atol=1e-6)
    # every stem has shares of its own
    assert all((shares[:, 0] - shares[:, stem]).abs().max() > 1e-4 for stem in range(1, 5))


# Channels


@torch.no_grad()
@pytest.mark.parametrize("seed", range(6))
def test_channels_that_are_swapped_have_swapped_shares(
    make: Callable[..., MaskUNet], seed: int
) -> None:
    model, (power, cross) = randomized(make(), seed), mixture(3, 16, 12, seed=seed)
    plain, swapped = model(power, cross), model(power.flip(1), cross)
    assert torch.equal(swapped.shares, plain.shares.flip(2))
    assert torch.equal(swapped.activity, plain.activity)
    assert (plain.shares[:, :, 0] - plain.shares[:, :, 1]).abs().max() > 1e-3


@torch.no_grad()
def test_one_channel_is_heard_on_both(make: Callable[..., MaskUNet]) -> None:
    model, (power, _) = make(), mixture(2, 16, 12, channels=1)
    alone = model(power, power[:, 0])
    both = model(power.expand(-1, 2, -1, -1), power[:, 0])
    assert torch.equal(alone.activity, both.activity)
    # as shares of the sides' mean
    mean = both.shares.log().mean(dim=2, keepdim=True).softmax(dim=1)
    assert torch.allclose(alone.shares, mean, atol=1e-5)


@torch.no_grad()
def test_a_network_for_mono_gives_both_channels_the_same(make: Callable[..., MaskUNet]) -> None:
    model, (power, cross) = make(audio_channels=1), mixture(2, 16, 12)
    shares, activity = model(power, cross)
    assert torch.equal(shares[:, :, 0], shares[:, :, 1])
    folded = power.mean(dim=1, keepdim=True)
    alone = model(folded, folded[:, 0])
    assert torch.allclose(alone.shares, shares[:, :, :1], atol=1e-5)
    assert torch.allclose(alone.activity, activity, atol=1e-5)


@torch.no_grad()
def test_what_the_channels_have_in_common_is_heard(make: Callable[..., MaskUNet]) -> None:
    model, (power, cross) = make(), mixture(2, 16, 12)
    assert not torch.allclose(model(power, cross).shares, model(power, -cross).shares, atol=1e-4)


def randomized(model: MaskUNet, seed: int) -> MaskUNet:
    """A model of other random weights, its bands told apart and its outputs spread."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.1)
    return model


@torch.no_grad()
def test_bands_that_sound_alike_are_told_apart_by_where_they_lie(
    make: Callable[..., MaskUNet],
) -> None:
    model, features = make(bands=32, channels=(4,), layers=0), torch.ones(1, 3, 32, 12)
    for parameter in model.linear_out.parameters():
        parameter.zero_()  # the bottom knows each band by its place

    def spread() -> Tensor:
        scores, _ = model.logits(features)
        inner = scores[:, :, :, 4:-4]  # the convolutions see the same around all of these
        return inner.std(dim=3)

    assert spread().max() < 1e-5
    model.band_embedding.normal_()
    assert spread().max() > 1e-2


@torch.no_grad()
def test_fusing_changes_no_score(make: Callable[..., MaskUNet]) -> None:
    model, features = make().train(), 2 * torch.randn(4, 3, 16, 12) + 1
    for _ in range(3):
        model.logits(features)  # statistics of its own
    model.eval()
    before, played = model.logits(features)
    model.fuse()
    assert not any(isinstance(part, DistributedBatchNorm2d) for part in model.modules())
    assert torch.allclose(model.logits(features)[0], before, atol=1e-5)
    assert torch.allclose(model.logits(features)[1], played, atol=1e-5)
    model.fuse()  # nothing is left to fuse
    assert torch.allclose(model.logits(features)[0], before, atol=1e-5)


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
