"""Losses of masks: band errors against real spectra, and both measures by hand."""

import math

import pytest
import torch

from audiomask.audio.spectra import band_weights, from_bands, stft, to_bands
from audiomask.networks.masks.losses import band_errors, mask_loss


def spectra(*shape: int) -> torch.Tensor:
    return stft(torch.randn(*shape), 64, 16)


def test_band_errors_are_those_of_the_spectra() -> None:
    mixture, stems = spectra(2, 16 * 9), spectra(2, 3, 16 * 9)
    weights = torch.zeros(33, 4)
    weights[torch.arange(33), torch.arange(33) * 4 // 33] = 1  # bands that share no bin
    shares = torch.rand(2, 3, 4, 9)
    found = band_errors(
        shares,
        to_bands(mixture.abs().square(), weights),
        to_bands(stems.abs().square(), weights),
        to_bands((stems * mixture[:, None].conj()).real, weights),
    )
    left = stems - from_bands(shares, weights) * mixture[:, None]
    assert torch.allclose(found, to_bands(left.abs().square(), weights), rtol=1e-4, atol=1e-4)


def test_band_errors_of_overlapping_bands_weigh_each_bin_by_its_share() -> None:
    mixture, stems = spectra(1, 16 * 5), spectra(1, 2, 16 * 5)
    weights = band_weights(33, 4000.0, 6, 4000.0)
    shares = torch.rand(1, 2, 6, 5)
    found = band_errors(
        shares,
        to_bands(mixture.abs().square(), weights),
        to_bands(stems.abs().square(), weights),
        to_bands((stems * mixture[:, None].conj()).real, weights),
    )
    for band in range(6):
        left = stems - shares[:, :, band, None] * mixture[:, None]
        expected = torch.einsum("bskf,k->bsf", left.abs().square(), weights[:, band])
        assert torch.allclose(found[:, :, band], expected, rtol=1e-4, atol=1e-4)


def test_band_errors_are_never_negative() -> None:
    power = torch.rand(1, 4, 5)
    found = band_errors(torch.ones(1, 1, 4, 5), power, power[:, None], 1.0001 * power[:, None])
    assert (found == 0).all()


def test_the_loss_by_hand() -> None:
    # two stems that share no band: shares of one and zero are perfect
    mixture = torch.tensor([[[4.0], [9.0]]])
    stems = torch.tensor([[[[4.0], [0.0]], [[0.0], [9.0]]]])
    perfect = torch.tensor([[[[1.0], [0.0]], [[0.0], [1.0]]]])
    loss = mask_loss(perfect, mixture, stems, stems)
    floor = 1e-3 * 13
    expected = sum(10 * math.log10(floor / (p + floor)) for p in (4, 9)) / 2
    assert float(loss["ratio"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss["amplitude"]) == pytest.approx(0, abs=1e-3)
    # nothing given to any: all of each stem is the error
    loss = mask_loss(0 * perfect, mixture, stems, stems)
    assert float(loss["ratio"]) == pytest.approx(0, abs=1e-6)
    assert float(loss["amplitude"]) == pytest.approx((2 / 5 + 3 / 5) / 2, rel=1e-2)
    # halves: a quarter of each power is left, and of the mixture a quarter is given to the other
    loss = mask_loss(torch.full((1, 2, 2, 1), 0.5), mixture, stems, stems)
    ratios = [10 * math.log10((13 / 4 + floor) / (p + floor)) for p in (4, 9)]
    assert float(loss["ratio"]) == pytest.approx(sum(ratios) / 2, rel=1e-4)
    assert float(loss["amplitude"]) == pytest.approx((1 + 1.5) / 5, rel=1e-2)


def test_silence_has_a_finite_loss_and_gradient() -> None:
    shares = torch.full((1, 2, 3, 4), 0.5, requires_grad=True)
    silence = torch.zeros(1, 3, 4)
    loss = mask_loss(shares, silence, torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
    torch.autograd.backward(loss["ratio"] + loss["amplitude"])
    assert shares.grad is not None
    assert shares.grad.isfinite().all()
