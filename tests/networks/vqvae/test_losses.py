"""The default preset's losses, by hand."""

import pytest
import torch
from torch import Tensor

from audiomask.audio.spectra import mel_filters
from audiomask.networks.vqvae.losses import FLOOR, MEL_BANDS, bin_weights, spectral_loss
from audiomask.networks.vqvae.spectrum import SOFT_FLOOR, Spectrum, analyze

CPU = torch.device("cpu")


def noise(scale: float = 1.0) -> Tensor:
    return scale * torch.randn(2, 32 * 512)


def louder(spectrum: Spectrum, tens: float) -> Spectrum:
    return Spectrum(spectrum.log_magnitude + tens, spectrum.advance)


def test_nothing_is_lost_of_the_same_sound() -> None:
    spectrum = analyze(noise(), 2048, 512, 1025)
    losses = spectral_loss(spectrum, spectrum, 44_100)
    assert losses.keys() == {"bins", "mel", "convergence", "advance"}
    assert all(float(value) == 0 for value in losses.values())


def test_a_gain_by_hand() -> None:
    # ten times as loud is one in log10 everywhere, and sqrt(10) - 1 of the target too much
    spectrum = analyze(noise(), 2048, 512, 1025)
    losses = spectral_loss(spectrum, louder(spectrum, 1), 44_100)
    assert float(losses["bins"]) == pytest.approx(1, abs=1e-4)
    assert float(losses["mel"]) == pytest.approx(1, abs=1e-4)
    assert float(losses["convergence"]) == pytest.approx(10**0.5 - 1, rel=1e-2)
    assert float(losses["advance"]) == 0


def test_silence_against_sound_by_brute_force() -> None:
    spectrum = analyze(noise(), 2048, 512, 1025)
    silence = analyze(torch.zeros(2, 32 * 512), 2048, 512, 1025)
    losses = spectral_loss(spectrum, silence, 44_100)
    magnitude, mel = spectrum.magnitude(), 0.0
    for bands in MEL_BANDS:
        found = magnitude @ mel_filters(2048, bands, 44_100)
        mel += float((found.clamp_min(FLOOR) / FLOOR).log10().mean()) / len(MEL_BANDS)
    assert float(losses["mel"]) == pytest.approx(mel, rel=1e-3)
    weights = bin_weights(1025, 44_100, CPU)
    bins = (weights * (magnitude / SOFT_FLOOR + 1).log10()).mean()
    assert float(losses["bins"]) == pytest.approx(float(bins), rel=1e-3)
    assert float(losses["convergence"]) == pytest.approx(1, rel=1e-2)


def test_the_advance_counts_where_something_is_heard() -> None:
    log_magnitude = torch.full((1, 4, 129), -9.0)
    log_magnitude[..., 10] = 0.0
    true, wrong = torch.zeros(2, 1, 4, 129), torch.zeros(2, 1, 4, 129)
    true[0] = 1
    wrong[0] = 1
    wrong[0, ..., 10] = 0
    wrong[1, ..., 10] = 1  # a quarter phase_advance off: the squared distance is two
    target = Spectrum(log_magnitude, true)
    here = spectral_loss(target, Spectrum(log_magnitude, wrong), 44_100)["advance"]
    there = spectral_loss(target, Spectrum(log_magnitude, -wrong + 2 * true), 44_100)["advance"]
    assert float(here) == pytest.approx(2, rel=0.5)
    wrong[:, ..., 10], wrong[:, ..., 50] = true[..., 10], wrong[:, ..., 10]
    nowhere = spectral_loss(target, Spectrum(log_magnitude, wrong), 44_100)["advance"]
    assert float(nowhere) < 1e-3 * float(here)
    assert float(there) == pytest.approx(float(here), rel=1e-4)


def test_weights_that_inference_asked_for_first_serve_training() -> None:
    with torch.inference_mode():
        weights = bin_weights(77, 44_100, CPU)
    guess = torch.ones(77, requires_grad=True)
    torch.autograd.backward((weights * guess.square()).sum())
    assert guess.grad is not None


def test_weights_lean_to_low_bins_and_are_one_on_average() -> None:
    weights = bin_weights(1025, 44_100, CPU)
    assert float(weights.mean()) == pytest.approx(1, abs=1e-5)
    assert (weights.diff() < 0).all()
    assert float(weights.min()) > 0.2


def test_silence_has_a_finite_gradient() -> None:
    silence = analyze(torch.zeros(1, 8 * 512), 2048, 512, 1025)
    guess = silence.log_magnitude.clone().requires_grad_()
    losses = spectral_loss(silence, Spectrum(guess, silence.advance), 44_100)
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    assert guess.grad is not None
    assert guess.grad.isfinite().all()
