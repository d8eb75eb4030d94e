"""Compressor and amplifier: what is loud gets softer, and chords are distorted as one."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone
from torch import Tensor

from audiomask.data.effects.dynamics import LEVEL_HOP, amplify, compress

RATE = 44_100


def db(power: Tensor | float) -> float:
    return 10 * math.log10(max(float(power), 1e-30))


def amplified(line: Tensor, gain_db: float, bias: float = 0.0) -> Tensor:
    """A mono line [T], driven."""
    return amplify(line[None, None], torch.tensor([gain_db]), torch.tensor([bias]))[0, 0]


def spectrum(line: Tensor) -> Tensor:
    """Amplitudes of a second, a bin a hertz."""
    return torch.fft.rfft(line[:RATE]).abs() / (RATE / 2)


# The compressor


@settings(max_examples=30)
@given(
    seed=st.integers(0, 99),
    threshold=st.floats(-15, 6),
    ratio=st.floats(1.1, 10),
    channels=st.integers(1, 2),
)
def test_a_compressor_makes_nothing_louder(
    seed: int, threshold: float, ratio: float, channels: int
) -> None:
    envelope = torch.linspace(0, 2, 12_288)
    lines = envelope * noise(2, channels, 12_288, seed=seed)
    found = compress(lines, torch.full((2,), threshold), torch.full((2,), ratio))
    assert (found.abs() <= lines.abs() * (1 + 1e-5)).all()
    gain = (found / lines)[lines.abs() > 1e-3]
    # a decibel over the threshold becomes 1 / ratio of one
    power = lines.square().mean(dim=1)
    hops = power.view(2, -1, LEVEL_HOP).mean(dim=2)
    over = db((hops / power.mean(dim=1, keepdim=True)).max()) - threshold
    least = -(1 - 1 / ratio) * max(over, 0)
    assert 20 * math.log10(float(gain.min())) > least - 0.5


def test_quiet_lines_pass_as_they_are() -> None:
    lines = 0.1 * noise(2, 2, 20_000)  # nowhere 6 dB louder than on average
    assert torch.equal(compress(lines, torch.full((2,), 6.0), torch.full((2,), 8.0)), lines)
    silence = torch.zeros(1, 1, 3_000)
    assert torch.equal(compress(silence, torch.tensor([-10.0]), torch.tensor([4.0])), silence)


def test_a_steady_tone_over_the_threshold_by_hand() -> None:
    line = 0.5 * tone(1_000, RATE)[None, None]
    # always at its mean, so 12 dB over; at 4 : 1 9 of them go
    found = compress(line, torch.tensor([-12.0]), torch.tensor([4.0]))
    middle = slice(5_000, -5_000)
    assert db((found / line)[..., middle].nanmedian() ** 2) == pytest.approx(-9, abs=0.1)


def test_a_compressor_treats_both_channels_alike() -> None:
    line = torch.stack([noise(9_000), 0.1 * noise(9_000, seed=1)])[None]
    found = compress(line, torch.tensor([-10.0]), torch.tensor([4.0]))
    gain = found / line
    sure = line.abs().amin(dim=1)[0] > 1e-2
    torch.testing.assert_close(gain[0, 0, sure], gain[0, 1, sure], rtol=1e-3, atol=1e-4)


def test_the_level_is_let_go_slowly() -> None:
    line = 0.05 * tone(1_000, RATE)
    line[5_000:10_000] *= 20
    found = compress(line[None, None], torch.tensor([0.0]), torch.tensor([10.0]))[0, 0]

    def gain(first: int) -> float:
        part = slice(first, first + 1_000)
        return db(found[part].square().mean() / line[part].square().mean())

    assert gain(1_000) == pytest.approx(0, abs=1e-3)  # it does not hear what comes
    assert gain(7_000) < -5
    assert gain(7_000) < gain(11_500) < gain(13_000) < gain(RATE - 1_500) + 1e-3
    assert gain(RATE - 1_500) == pytest.approx(0, abs=1e-3)


# The amplifier


@settings(max_examples=30)
@given(
    seed=st.integers(0, 99),
    gain=st.floats(0, 45),
    bias=st.floats(0, 0.5),
    length=st.integers(2, 3_000),
    channels=st.integers(1, 2),
)
def test_an_amplifier_keeps_peak_and_length(
    seed: int, gain: float, bias: float, length: int, channels: int
) -> None:
    lines = torch.tensor([0.02, 0.5])[:, None, None] * noise(2, channels, length, seed=seed)
    found = amplify(lines, torch.full((2,), gain), torch.full((2,), bias))
    assert found.shape == lines.shape
    peaks = [audio.abs().amax(dim=(1, 2)) for audio in (lines, found)]
    torch.testing.assert_close(peaks[1], peaks[0], rtol=1e-4, atol=0)


def test_silence_is_not_amplified() -> None:
    assert not amplified(torch.zeros(100), 40.0, 0.3).any()


def test_an_amplifier_clips_softly() -> None:
    ramp = tone(5, RATE)[: RATE // 2]  # slow, so that what it becomes is the clipper's curve
    for gain_db in (0.0, 12.0):
        gain = 10 ** (gain_db / 20)
        expected = torch.tanh(gain * ramp) / math.tanh(gain)
        found = amplified(ramp, gain_db)
        assert torch.allclose(found[500:-500], expected[500:-500], atol=0.01)
    hard = amplified(0.5 * tone(50, RATE), 40.0)
    loud = tone(50, RATE).abs() > 0.3
    assert torch.allclose(hard[loud].abs(), torch.tensor(0.5), atol=0.08)


def test_drive_adds_odd_harmonics_and_a_bias_even_ones() -> None:
    line = 0.3 * tone(400, RATE)
    assert float(spectrum(line)[[800, 1200]].max()) < 1e-5
    even, odd = ([800, 1600], [1200, 2000])
    found = spectrum(amplified(line, 15.0))
    assert float(found[odd].min()) > 0.02
    assert float(found[even].max()) < 1e-4
    assert float(spectrum(amplified(line, 15.0, 0.4))[even].min()) > 0.005
    # more drive, more of it
    assert float(spectrum(amplified(line, 30.0))[2000]) > float(found[2000])


@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_a_chord_is_distorted_as_one(bias: float) -> None:
    low, high = 0.3 * tone([300, 420], RATE)
    together = spectrum(amplified(low + high, 20.0, bias))
    apart = spectrum(amplified(low, 20.0, bias)) + spectrum(amplified(high, 20.0, bias))
    # neither note has any of these for a harmonic: 2 · 300 - 420, 2 · 420 - 300
    for hz in (180, 540):
        assert float(apart[hz]) < 1e-3
        assert float(together[hz]) > 0.02
    difference = float(together[120])  # of even order: where the clipper is not symmetric
    assert difference > 5e-3 if bias else difference < 1e-3


@pytest.mark.parametrize(("gain", "most_db"), [(6.0, -70.0), (12.0, -50.0), (30.0, -25.0)])
def test_little_of_what_is_added_folds_back(gain: float, most_db: float) -> None:
    hz = 2_999  # whose harmonics fold to where none is
    found = spectrum(amplified(0.5 * tone(hz, RATE), gain))
    harmonics = np.arange(hz, RATE // 2, hz)
    fundamental = float(found[hz])
    found[harmonics] = 0
    assert 20 * math.log10(float(found.max()) / fundamental) < most_db
