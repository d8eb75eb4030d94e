"""Spectra: the frame grid, the way there and back, the mel distance and the bands by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import noise
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from audiomask.audio import spectra
from audiomask.audio.spectra import (
    band_weights,
    from_bands,
    istft,
    mel_distance,
    mel_filters,
    mel_magnitudes,
    stft,
    to_bands,
)
from audiomask.networks.mlm.config import MLMConfig

# The grid


@given(
    size=st.sampled_from([32, 64, 256]),
    overlap=st.sampled_from([2, 4, 8]),
    frames=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_there_and_back(size: int, overlap: int, frames: int, seed: int) -> None:
    hop = size // overlap
    audio = noise(2, frames * hop, seed=seed)
    spectrum = stft(audio, size, hop)
    assert spectrum.shape == (2, size // 2 + 1, frames)
    assert torch.allclose(istft(spectrum, size, hop), audio, atol=1e-4)


def test_frames_are_centred_on_their_hop() -> None:
    size, hop = 64, 16
    audio = noise(10 * hop)
    spectrum = stft(audio, size, hop).numpy()
    padded = np.pad(audio.numpy(), (24, 24))  # (size - hop) / 2 on both sides
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for frame in (0, 4, 9):
        cut = padded[frame * hop : frame * hop + size]
        expected = np.fft.rfft(cut * window) / np.sqrt((window**2).sum())
        np.testing.assert_allclose(spectrum[:, frame], expected, atol=1e-5)
    click = torch.zeros(10 * hop)
    click[3 * hop + hop // 2] = 1
    assert int(stft(click, size, hop).abs().sum(dim=0).argmax()) == 3


def test_noise_of_unit_power_has_unit_power_in_every_bin() -> None:
    power = stft(noise(512 * 400), 2048, 512).abs().square()
    assert float(power[1:-1].mean()) == pytest.approx(1, rel=0.02)


def test_the_inverse_is_the_least_squares_one() -> None:
    # Of any spectrum, consistent or not: no small change of the sound fits it better.
    size, hop, frames = 32, 8, 6
    spectrum = torch.complex(noise(17, frames), noise(17, frames, seed=1))
    spectrum.imag[[0, -1]] = 0
    audio = istft(spectrum, size, hop)
    # bins but the first and last stand for two each
    weight = torch.full((17, 1), 2.0)
    weight[[0, -1]] = 1

    def error(sound: Tensor) -> Tensor:
        # a sound of the full span of the windows, so that nothing is cut off at the ends
        pad = torch.zeros(4 * hop)
        wide = torch.cat([torch.zeros(17, 4), spectrum, torch.zeros(17, 4)], dim=1)
        difference = stft(torch.cat([pad, sound, pad]), size, hop) - wide
        return (weight * difference[:, 4:-4].abs().square()).sum()

    inside = slice(4 * hop - 12, -(4 * hop - 12))  # what all its frames cover
    for seed in range(5):
        change = torch.zeros_like(audio)
        change[inside] = 1e-2 * noise(len(audio), seed=seed)[inside]
        assert error(audio + change) > error(audio)
        assert error(audio - change) > error(audio)


def test_training_may_follow_inference() -> None:
    for cached in (spectra.hann, mel_filters, band_weights):
        cached.cache_clear()
    audio = noise(1, 2048)

    def use(sound: Tensor) -> Tensor:
        spectrum = stft(sound, 256, 64)
        shared = from_bands(to_bands(spectrum.abs(), band_weights(129, 100.0, 8, 100.0)),
                            band_weights(129, 100.0, 8, 100.0))  # fmt: skip
        return (
            shared.sum()
            + istft(spectrum, 256, 64).square().sum()
            + mel_magnitudes(sound, 256, 64, 8, 8000).sum()
        )

    with torch.inference_mode():
        use(audio)
    audio.requires_grad_()
    torch.autograd.backward(use(audio))
    assert audio.grad is not None
    assert audio.grad.abs().sum() > 0


# Mel


def test_mel_magnitudes_pad_to_whole_frames() -> None:
    audio = noise(2, 1000)
    padded = torch.nn.functional.pad(audio, (0, 24))
    found = mel_magnitudes(audio, 256, 64, 10, 8000)
    assert found.shape == (2, 10, 16)
    assert torch.equal(found, mel_magnitudes(padded, 256, 64, 10, 8000))
    assert torch.allclose(found, mel_filters(256, 10, 8000).T @ stft(padded, 256, 64).abs())


def test_mel_distance_by_hand() -> None:
    audio = noise(3, 44_100)
    assert mel_distance(audio, audio, 44_100).tolist() == [0, 0, 0]
    # ten times as loud: one in log10, in every band that lies above the floor
    assert torch.allclose(mel_distance(audio, 10 * audio, 44_100), torch.ones(3), atol=1e-4)
    assert torch.allclose(mel_distance(100 * audio, audio, 44_100), 2 * torch.ones(3), atol=1e-4)
    # all under the floor of 1e-4 is silence
    assert mel_distance(1e-9 * audio, 0 * audio, 44_100).tolist() == [0, 0, 0]


@pytest.mark.parametrize("gain", [0.3, 0.0])
def test_mel_distance_by_brute_force(gain: float) -> None:
    a, b = noise(4_096).double().numpy(), gain * noise(4_096, seed=1).double().numpy()
    expected = 0.0
    for size, bands in ((2048, 80), (512, 40)):
        hop = size // 4
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        mel = melscale_fbanks(size // 2 + 1, 0.0, 22_050.0, bands, 44_100, None, "htk").numpy()
        logs = []
        for sound in (a, b):
            padded = np.pad(sound, (size - hop) // 2)
            rows = [
                np.abs(np.fft.rfft(padded[i * hop : i * hop + size] * window)) @ mel
                for i in range(len(sound) // hop)
            ]
            logs.append(np.log10(np.maximum(np.array(rows) / np.sqrt((window**2).sum()), 1e-4)))
        expected += np.abs(logs[0] - logs[1]).mean() / 2
    found = mel_distance(torch.from_numpy(a).float(), torch.from_numpy(b).float(), 44_100)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_mel_distance_within_a_span() -> None:
    a, b = noise(2, 16_384), noise(2, 16_384)
    # far louder where no frame of the span reaches: ten times in it, nothing else counts
    b[:, 6_144:9_216] *= 10
    b[:, :4_096] *= 1_000
    found = mel_distance(a, b, 44_100, (7_168, 8_192))
    assert torch.allclose(found, torch.ones(2), atol=0.02)
    assert mel_distance(a, b, 44_100, (12_288, 16_384)).max() == 0
    assert torch.equal(mel_distance(a, b, 44_100, (0, 16_384)), mel_distance(a, b, 44_100))
    # a frame that the span only begins in counts as well
    assert mel_distance(a, b, 44_100, (7_168, 7_169)).min() > 0.9


# Bands


@given(
    bins=st.integers(2, 300),
    bands=st.integers(2, 64),
    top=st.floats(0.2, 1.0),
)
def test_every_bin_is_shared_out_whole(bins: int, bands: int, top: float) -> None:
    weights = band_weights(bins, 22_050.0, bands, 22_050.0 * top)
    assert weights.shape == (bins, bands)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(bins))
    assert ((weights > 0).sum(dim=1) <= 2).all()
    above = torch.linspace(0, 22_050, bins) > 22_050 * top + 1
    assert (weights[above, -1] == 1).all()


@pytest.mark.parametrize(("size", "bands"), [(4096, 256), (4096, 128), (2048, 80)])
def test_every_band_has_bins(size: int, bands: int) -> None:
    weights = band_weights(size // 2 + 1, 22_050.0, bands, 22_050.0)
    assert (weights.sum(dim=0) > 0).all()
    # and some bin of its own, where no two bands see the same
    assert torch.linalg.matrix_rank(weights.double()) == bands


def test_the_default_models_bands_have_bins() -> None:
    config = MLMConfig(1, 2, 2, 512, 44_100)
    nyquist = config.sample_rate / 2
    weights = band_weights(config.band_stft // 2 + 1, nyquist, config.bands, nyquist)
    assert (weights.sum(dim=0) > 0).all()


def test_band_weights_by_hand() -> None:
    # 3 bands to 700 Hz, which is log10(2) · 2595 mel: the middle one is at 700 (√2 - 1) Hz.
    weights = band_weights(8, 700.0, 3, 700.0)
    hz = 100.0
    expected = math.log(1 + hz / 700) / math.log(2) * 2  # in bands
    assert weights[1].tolist() == pytest.approx([1 - expected, expected, 0], abs=1e-6)
    assert weights[0].tolist() == [1, 0, 0]
    assert weights[7].tolist() == pytest.approx([0, 0, 1], abs=1e-6)


@given(seed=st.integers(0, 99), bands=st.integers(2, 20))
def test_bands_keep_the_sum_and_a_constant(seed: int, bands: int) -> None:
    weights = band_weights(65, 4000.0, bands, 4000.0)
    power = noise(2, 65, 3, seed=seed).square()
    assert torch.allclose(to_bands(power, weights).sum(dim=1), power.sum(dim=1), rtol=1e-4)
    assert torch.allclose(from_bands(torch.ones(2, bands, 3), weights), torch.ones(2, 65, 3))
    # transposes of one another
    values = noise(2, bands, 3, seed=seed + 1)
    left = (to_bands(power, weights) * values).sum()
    assert torch.allclose(left, (power * from_bands(values, weights)).sum(), rtol=1e-3, atol=1e-3)


def test_frames_that_bring_their_surroundings_are_those_of_the_whole() -> None:
    size, hop = 64, 16
    audio = noise(2, 20 * hop)
    whole = stft(audio, size, hop).mT
    around = spectra.centered(audio, size, hop)[..., 5 * hop : 11 * hop + size]
    assert torch.allclose(spectra.frame_spectra(around, size, hop), whole[:, 5:12], atol=1e-6)


@pytest.mark.parametrize(("size", "hop"), [(64, 16), (60, 16), (64, 64), (64, 4)])
def test_frames_added_in_parts_settle_to_the_inverse(size: int, hop: int) -> None:
    spectrum = stft(noise(2, 21 * hop), size, hop)
    frames = torch.fft.irfft(spectrum.mT, n=size)
    total = spectra.overlap_add_buffer((2,), 21, size, hop, frames.device)
    window = spectra.synthesis_window(size, hop, frames.device)
    hops = total.shape[1] - 21
    for begin, end in ((0, 8), (8, 9), (9, 21)):
        spectra.overlap_add(total[:, begin : end + hops], frames[:, begin:end], window)
    found = spectra.finish_overlap_add(total, size, hop)
    assert torch.allclose(found, istft(spectrum, size, hop), atol=1e-5)


def test_fewer_frames_at_once_of_more_rows() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert spectra.frames_per_chunk(cpu, 1) == 2 * spectra.frames_per_chunk(cpu, 2)
    assert spectra.frames_per_chunk(cpu, 10_000) == 1
    assert spectra.frames_per_chunk(gpu, 2) > spectra.frames_per_chunk(cpu, 2)
