"""Magnitudes of bands in [0, 1], and cepstra of them."""

import math

import pytest
import torch
from scipy.fft import dct
from signals import tone
from tiny_spectrogram import SMALL

from audiomask.audio.spectra import band_weights, stft
from audiomask.networks.spectrogram import SpectrogramConfig
from audiomask.networks.spectrogram.features import (
    BandSpectrum,
    compress,
    expand,
    mfcc,
    reference,
)

CONFIG = SpectrogramConfig(**SMALL)


def test_the_power_is_that_of_the_spectrum_in_bands() -> None:
    audio = torch.randn(20 * 128)
    found = BandSpectrum(CONFIG)(audio)
    power = stft(audio, 256, 128).abs().square()
    assert found.shape == (20, 16)
    assert torch.allclose(found, power.T @ band_weights(129, 4_000.0, 16, 4_000.0), atol=1e-4)


def test_a_tone_is_one_in_its_band_whatever_its_level() -> None:
    found = []
    for gain in (1.0, 0.01):
        power = BandSpectrum(CONFIG)(gain * tone(1_000, 2_560, rate=8_000))
        found.append(compress(power, reference(power), 0.3))
    assert torch.allclose(found[0], found[1], atol=1e-2)
    assert float(found[0].max()) == 1
    assert float(found[0].min()) >= 0
    # a band 40 dB below has 10^(-2 · 0.3)
    power = torch.tensor([[1.0, 1e-4]])
    assert compress(power, reference(power), 0.3)[0, 1] == pytest.approx(10**-0.6)


def test_what_is_hidden_does_not_decide_the_level() -> None:
    power = torch.tensor([[1.0, 0.5], [100.0, 2.0], [4.0, 0.1]])
    level = reference(power, torch.tensor([True, False, True]))
    assert float(level) == 4
    magnitudes = compress(power, level, 0.5)
    assert float(magnitudes[1, 0]) == 1  # as much as there is room for
    assert torch.allclose(expand(magnitudes, level, 0.5)[[0, 2]], power[[0, 2]])


def test_silence_is_zeros() -> None:
    power = torch.zeros(5, 4)
    assert not compress(power, reference(power), 0.3).any()


def test_cepstra_are_cosine_transforms_with_slopes() -> None:
    features = torch.rand(9, 20) * 0.9 + 0.1
    found = mfcc(features)
    assert found.shape == (9, 39)
    logs = features.log10().numpy()
    expected = torch.from_numpy(dct(logs, norm="ortho", axis=1)[:, :13])
    assert torch.allclose(found[:, :13], expected, atol=1e-5)
    # the slope of a least-squares line through five frames
    line = torch.tensor([-2.0, -1, 0, 1, 2])
    slope = (line[:, None] * expected[2:7]).sum(dim=0) / line.square().sum()
    assert torch.allclose(found[4, 13:26], slope, atol=1e-5)
    assert math.isfinite(float(mfcc(torch.zeros(3, 20)).sum()))
