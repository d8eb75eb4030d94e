"""What networks read of a spectrum."""

import pytest
import torch

from audiomask.networks.layers.band_features import FEATURES, band_features, stereo_features


def test_band_features_by_hand() -> None:
    power = torch.ones(1, 2, 2)
    assert torch.allclose(band_features(power), torch.ones(1, 2, 2))
    power = torch.tensor([[[4.0, 0.0], [0.0, 0.0]]])  # a mean of one
    expected = torch.tensor([[[(0.60206 + 2) / 2, -2.0], [-2.0, -2.0]]])
    assert torch.allclose(band_features(power), expected, atol=1e-5)
    # the level does not matter, and silence is nothing special
    noise = torch.rand(3, 5, 7)
    assert torch.allclose(band_features(noise), band_features(1e-3 * noise), atol=1e-4)
    assert band_features(torch.zeros(1, 5, 7)).isfinite().all()


def powers(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of two channels that have something in common: power [3, 2, 5, 7] and Σ Re(L R*)."""
    random = torch.Generator().manual_seed(seed)
    left, right, both = torch.randn(3, 3, 5, 7, 4, generator=random)
    sides = torch.stack([left + both, 0.5 * right + both], dim=1)
    return sides.square().sum(dim=-1), (sides[:, 0] * sides[:, 1]).sum(dim=-1)


@pytest.mark.parametrize("seed", range(5))
def test_channels_that_are_swapped_negate_the_difference_and_nothing_else(seed: int) -> None:
    power, cross = powers(seed)
    features = stereo_features(power, cross)
    assert features.shape == (3, FEATURES[2], 5, 7)
    swapped = stereo_features(power.flip(1), cross)
    assert torch.equal(swapped[:, 0], features[:, 0])
    assert torch.equal(swapped[:, 2], features[:, 2])
    assert torch.allclose(swapped[:, 1], -features[:, 1], atol=1e-6)
    assert float(features[:, 1].abs().max()) > 0.1


def test_stereo_features_by_hand() -> None:
    # ten times as loud on the left, in phase; alike and out of phase; one side alone; silence
    left = torch.tensor([10.0, 1.0, 5.0, 0.0])
    right = torch.tensor([0.1, 1.0, 0.0, 0.0])
    cross = torch.tensor([1.0, -1.0, 0.0, 0.0])
    features = stereo_features(torch.stack([left, right])[None, :, :, None], cross[None, :, None])
    level, difference, coherence = features[0, ..., 0]
    mean = (left + right) / 2
    assert torch.allclose(level, band_features(mean[None, :, None])[0, :, 0])
    assert torch.allclose(difference, torch.tensor([1.0, 0.0, 1.0, 0.0]), atol=1e-4)
    assert torch.allclose(coherence, torch.tensor([1.0, -1.0, 0.0, 1.0]), atol=2e-3)


def test_stereo_features_of_any_level_are_alike_and_within_bounds() -> None:
    power, cross = powers()
    features = stereo_features(power, cross)
    assert torch.allclose(features, stereo_features(1e-3 * power, 1e-3 * cross), atol=1e-4)
    assert float(features[:, 1:].abs().max()) <= 1
    # what is the same on both sides has no difference and is coherent
    same = stereo_features(power[:, :1].expand(-1, 2, -1, -1), power[:, 0])
    assert not same[:, 1].any()
    assert torch.allclose(same[:, 2], torch.ones(3, 5, 7), atol=1e-5)
    silent = stereo_features(torch.zeros(1, 2, 5, 7), torch.zeros(1, 5, 7))
    assert silent.isfinite().all()
