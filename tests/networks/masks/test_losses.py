"""Losses of masks: band errors against real spectra, and both measures by hand."""

import math

import pytest
import torch

from audiomask.audio.spectra import band_weights, from_bands, stft, to_bands
from audiomask.networks.masks.losses import (
    ACTIVE_SHARE,
    ACTIVITY_FRAMES,
    active,
    band_errors,
    mask_loss,
)


def spectra(*shape: int) -> torch.Tensor:
    return stft(torch.randn(*shape), 64, 16)


def test_band_errors_are_those_of_the_spectra() -> None:
    mixture, stems = spectra(2, 2, 16 * 9), spectra(2, 3, 2, 16 * 9)
    weights = torch.zeros(33, 4)
    weights[torch.arange(33), torch.arange(33) * 4 // 33] = 1  # bands that share no bin
    shares = torch.rand(2, 3, 2, 4, 9)
    found = band_errors(
        shares,
        to_bands(mixture.abs().square(), weights),
        to_bands(stems.abs().square(), weights),
        to_bands((stems * mixture[:, None].conj()).real, weights),
    )
    left = stems - from_bands(shares, weights) * mixture[:, None]
    assert torch.allclose(found, to_bands(left.abs().square(), weights), rtol=1e-4, atol=1e-4)


def test_band_errors_of_overlapping_bands_weigh_each_bin_by_its_share() -> None:
    mixture, stems = spectra(1, 2, 16 * 5), spectra(1, 2, 2, 16 * 5)
    weights = band_weights(33, 4000.0, 6, 4000.0)
    shares = torch.rand(1, 2, 2, 6, 5)
    found = band_errors(
        shares,
        to_bands(mixture.abs().square(), weights),
        to_bands(stems.abs().square(), weights),
        to_bands((stems * mixture[:, None].conj()).real, weights),
    )
    for band in range(6):
        left = stems - shares[..., band, None, :] * mixture[:, None]
        expected = torch.einsum("bsckf,k->bscf", left.abs().square(), weights[:, band])
        assert torch.allclose(found[..., band, :], expected, rtol=1e-4, atol=1e-4)


def test_band_errors_are_never_negative() -> None:
    power = torch.rand(1, 2, 4, 5)
    found = band_errors(torch.ones(1, 1, 2, 4, 5), power, power[:, None], 1.0001 * power[:, None])
    assert (found == 0).all()


def test_the_loss_by_hand() -> None:
    # two stems that share no band: shares of one and zero are perfect
    mixture = torch.tensor([[[[4.0], [9.0]]]])
    stems = torch.tensor([[[[[4.0], [0.0]]], [[[0.0], [9.0]]]]])
    perfect = torch.tensor([[[[[1.0], [0.0]]], [[[0.0], [1.0]]]]])
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
    loss = mask_loss(torch.full((1, 2, 1, 2, 1), 0.5), mixture, stems, stems)
    ratios = [10 * math.log10((13 / 4 + floor) / (p + floor)) for p in (4, 9)]
    assert float(loss["ratio"]) == pytest.approx(sum(ratios) / 2, rel=1e-4)
    assert float(loss["amplitude"]) == pytest.approx((1 + 1.5) / 5, rel=1e-2)


def test_silence_has_a_finite_loss_and_gradient() -> None:
    shares = torch.full((1, 2, 2, 3, 4), 0.5, requires_grad=True)
    silence = torch.zeros(1, 2, 3, 4)
    loss = mask_loss(shares, silence, torch.zeros(1, 2, 2, 3, 4), torch.zeros(1, 2, 2, 3, 4))
    torch.autograd.backward(loss["ratio"] + loss["amplitude"])
    assert shares.grad is not None
    assert shares.grad.isfinite().all()


def test_channels_count_together() -> None:
    # as two channels, what would be two bands of one
    bands = torch.rand(1, 1, 2, 5), torch.rand(1, 3, 1, 2, 5), torch.rand(1, 3, 1, 2, 5)
    shares = torch.rand(1, 3, 1, 2, 5)
    one = mask_loss(shares, *bands)
    both = mask_loss(shares.transpose(2, 3), *(part.transpose(-3, -2) for part in bands))
    for name, value in one.items():
        assert float(both[name]) == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize("left_db", [-5.0, -15.0, -40.0])
def test_what_is_left_of_an_absent_stem_counts_down_to_20_db(left_db: float) -> None:
    mixture = torch.ones(1, 1, 1, 1)
    silent = torch.zeros(1, 1, 1, 1, 1)
    share = torch.full((1, 1, 1, 1, 1), 10 ** (left_db / 20))
    loss = mask_loss(share, mixture, silent, silent)
    expected = 10 * math.log10(10 ** (left_db / 10) + 1e-2) + 20
    assert float(loss["ratio"]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_entropy_by_hand() -> None:
    # bands of amplitudes 1 and 3, whose powers are shared out 1 : 3 and 0 : 1
    mixture = torch.tensor([[[[1.0], [9.0]]]])
    stems = torch.tensor([[[[[0.25], [0.0]]], [[[0.75], [9.0]]]]])
    shares = torch.tensor([[[[[0.5], [0.2]]], [[[0.5], [0.8]]]]])
    found = mask_loss(shares, mixture, stems, stems)["entropy"]
    expected = (1 * math.log(2) + 3 * -math.log(0.8)) / 4
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_stem_that_got_next_to_nothing_can_come_back() -> None:
    scores = torch.zeros(1, 2, 1, 3, 4)
    scores[:, 0] = -9.0  # a share of 1e-4 of a stem that is all there is
    scores.requires_grad_()
    power = torch.ones(1, 1, 3, 4)
    stems = torch.stack([power, torch.zeros(1, 1, 3, 4)], dim=1)
    loss = mask_loss(scores.softmax(dim=1), power, stems, stems)
    slopes = {name: float(torch.autograd.grad(value, scores, retain_graph=True)[0][:, 0].sum())
              for name, value in loss.items()}  # fmt: skip
    assert slopes["entropy"] == pytest.approx(-1, abs=1e-2)
    assert abs(slopes["ratio"]) + abs(slopes["amplitude"]) < 1e-2


# Whether a stem plays


def test_a_stem_plays_from_35_db_under_the_mixture_on() -> None:
    mixture = torch.full((1, 2, 3, 9), 0.5)  # 3 in all
    levels = torch.tensor([2.0, 0.5, 0.0]) * ACTIVE_SHARE * 3 / 6
    stems = levels[None, :, None, None, None].expand(1, 3, 2, 3, 9)
    assert active(mixture, stems)[0, :, 4].tolist() == [True, False, False]
    assert active(mixture, stems).shape == (1, 3, 9)


def test_it_plays_half_a_second_before_and_after_its_notes() -> None:
    frames, note, reach = 200, 100, ACTIVITY_FRAMES // 2
    stems = torch.zeros(1, 1, 1, 4, frames)
    stems[..., note] = 1.0
    found = active(torch.ones(1, 1, 4, frames), stems)[0, 0]
    expected = torch.zeros(frames, dtype=torch.bool)
    expected[note - reach : note + reach + 1] = True
    assert torch.equal(found, expected)


def test_one_channel_is_enough_to_play_on_and_silence_is_not() -> None:
    stems = torch.zeros(1, 2, 2, 3, 50)
    stems[:, 0, 1] = 1.0
    found = active(stems.sum(dim=1), stems)
    assert found[0].all(dim=1).tolist() == [True, False]
    assert not active(torch.zeros(1, 2, 3, 50), torch.zeros(1, 2, 2, 3, 50)).any()
    # what nobody hears does not play, however little else does
    assert not active(1e-9 * torch.ones(1, 2, 3, 50), 1e-9 * torch.ones(1, 2, 2, 3, 50)).any()
