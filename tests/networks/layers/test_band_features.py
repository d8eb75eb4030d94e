"""What networks read of a spectrum."""

import torch

from audiomask.networks.layers.band_features import band_features


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
