"""Spectra without phases: magnitudes, advances of steady partials and of noise."""

import math

import pytest
import torch
from signals import tone

from audiomask.audio.spectra import stft
from audiomask.networks.vqvae import spectrum as module
from audiomask.networks.vqvae.spectrum import (
    Spectrum,
    analyze,
    center_phase_advance,
    complex_abs,
    exp10,
)

SIZE, HOP, RATE = 2048, 512, 44_100
BINS = SIZE // 2 + 1


def test_magnitudes_are_those_of_the_stft() -> None:
    audio = 0.1 * torch.randn(2, 20 * HOP)
    spectrum = analyze(audio, SIZE, HOP, BINS)
    assert spectrum.log_magnitude.shape == (2, 20, SIZE // 2 + 1)
    assert spectrum.advance.shape == (2, 2, 20, SIZE // 2 + 1)
    assert torch.allclose(spectrum.magnitude(), stft(audio, SIZE, HOP).abs().mT, atol=1e-5)


@pytest.mark.parametrize("pitch", [440.0, 1000.0, 5003.0])
def test_the_advance_of_a_partial_is_its_distance_from_the_bin(pitch: float) -> None:
    spectrum = analyze(tone(pitch, 30 * HOP)[None], SIZE, HOP, BINS)
    place = pitch * SIZE / RATE
    peak = round(place)
    assert int(spectrum.log_magnitude[0, 15].argmax()) == peak
    real, imaginary = spectrum.advance[:, 0, 5:25, peak]
    expected = 2 * math.pi * HOP / SIZE * (place - peak)
    assert torch.allclose(torch.atan2(imaginary, real), torch.tensor(expected), atol=1e-3)
    assert torch.allclose(real.square() + imaginary.square(), torch.ones(20), atol=1e-4)


def test_nothing_is_known_of_the_first_advance() -> None:
    assert not analyze(torch.randn(1, 4 * HOP), SIZE, HOP, BINS).advance[:, :, 0].any()


def test_fewer_advances_are_the_lowest() -> None:
    audio = torch.randn(2, 6 * HOP)
    whole, few = analyze(audio, SIZE, HOP, BINS), analyze(audio, SIZE, HOP, 20)
    assert torch.equal(few.log_magnitude, whole.log_magnitude)
    assert torch.allclose(few.advance, whole.advance[..., :20], atol=1e-6)
    assert few.phase_advance(SIZE, HOP).shape == (2, 2, 6, 20)


def test_a_bins_centre_turns_as_often_as_it_says() -> None:
    phase_advance = center_phase_advance(SIZE // 2 + 1, SIZE, HOP, torch.device("cpu"))
    assert torch.allclose(phase_advance[:5], torch.tensor([1, 1j, -1, -1j, 1]), atol=1e-6)


def test_wild_numbers_of_an_untrained_network_make_finite_sound() -> None:
    wild = Spectrum(torch.full((1, 2, 9), 1e3), torch.zeros(2, 1, 2, 9))
    assert wild.magnitude().isfinite().all()


def test_consecutive_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = 0.1 * torch.randn(2, 23 * HOP)
    whole = analyze(audio, SIZE, HOP, BINS)
    monkeypatch.setattr(module, "frames_per_chunk", lambda device, rows: 5)
    parts = list(module.analyze_chunks(audio, SIZE, HOP, BINS))
    assert [part.log_magnitude.shape[1] for part in parts] == [5, 5, 5, 5, 3]
    found = analyze(audio, SIZE, HOP, BINS)
    assert torch.allclose(found.log_magnitude, whole.log_magnitude, atol=1e-5)
    assert torch.allclose(found.advance, whole.advance, atol=1e-5)


def test_powers_of_ten_and_lengths_by_hand() -> None:
    assert torch.allclose(exp10(torch.tensor([-2.0, 0.0, 1.5])), torch.tensor([0.01, 1, 31.6228]))
    assert torch.allclose(
        complex_abs(torch.tensor([[3.0, 0.0], [-4.0, 0.0]])), torch.tensor([5.0, 0.0])
    )
