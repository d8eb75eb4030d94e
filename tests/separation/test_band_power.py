"""Band power: of both sides, of what they have in common, and whatever the number of channels."""

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.audio.spectra import band_weights, centered, frame_spectra
from audiomask.separation.band_power import BandPower

RATE, SIZE, HOP, BANDS = 16_000, 512, 128, 12
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def power() -> BandPower:
    return BandPower(RATE, BANDS, SIZE, HOP, CPU)


def spectra(audio: Tensor) -> Tensor:
    """[C, F, bins]"""
    return frame_spectra(centered(audio, SIZE, HOP), SIZE, HOP)


def in_bands(squares: Tensor) -> Tensor:
    """[F, bins] to [bands, F]."""
    return (squares @ band_weights(SIZE // 2 + 1, RATE / 2, BANDS, RATE / 2)).T


def test_sides_are_the_spectra_of_left_and_right(power: BandPower) -> None:
    audio = noise(2, 30 * HOP)
    audio[1] = 0.3 * audio[1] + 0.5 * audio[0]
    left, right = spectra(audio)
    found, cross = power.stereo(audio)
    assert found.shape == (2, BANDS, 30)
    assert cross.shape == (BANDS, 30)
    assert torch.allclose(found[0], in_bands(left.abs().square()), rtol=1e-4, atol=1e-4)
    assert torch.allclose(found[1], in_bands(right.abs().square()), rtol=1e-4, atol=1e-4)
    assert torch.allclose(cross, in_bands((left * right.conj()).real), rtol=1e-4, atol=1e-4)
    assert torch.allclose(power(audio), found.mean(dim=0), rtol=1e-4)


def test_swapped_channels_have_swapped_sides(power: BandPower) -> None:
    audio = noise(2, 30 * HOP)
    (found, cross), (swapped, same) = power.stereo(audio), power.stereo(audio.flip(0))
    assert torch.equal(swapped, found.flip(0))
    assert torch.equal(same, cross)


def test_a_single_channel_is_the_one_side_there_is(power: BandPower) -> None:
    audio = noise(1, 30 * HOP)
    found, cross = power.stereo(audio)
    assert found.shape == (1, BANDS, 30)
    assert torch.equal(found[0], cross)
    assert torch.allclose(found[0], power(audio))


@pytest.mark.parametrize("channels", [3, 5, 6])
def test_of_many_channels_every_other_is_left(power: BandPower, channels: int) -> None:
    audio = noise(channels, 20 * HOP)
    found, cross = power.stereo(audio)
    alone = [power(one[None]) for one in audio]
    assert torch.allclose(found[0], torch.stack(alone[0::2]).mean(dim=0), rtol=1e-4, atol=1e-4)
    assert torch.allclose(found[1], torch.stack(alone[1::2]).mean(dim=0), rtol=1e-4, atol=1e-4)
    pairs = [power.stereo(audio[n : n + 2])[1] for n in range(0, channels - 1, 2)]
    assert torch.allclose(cross, torch.stack(pairs).mean(dim=0), rtol=1e-4, atol=1e-4)


def test_long_windows_are_as_short_ones_one_after_the_other(
    power: BandPower, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = noise(2, 50 * HOP)
    whole = power.stereo(audio)
    monkeypatch.setattr("audiomask.separation.band_power.frames_per_chunk", lambda *_: 7)
    for one, other in zip(power.stereo(audio), whole, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_lies_on_both_sides_alike_is_coherent(power: BandPower) -> None:
    sound = tone(1_000, 20 * HOP, RATE)
    found, cross = power.stereo(torch.stack([sound, 0.5 * sound]))
    assert torch.allclose(found[1], 0.25 * found[0], rtol=1e-4)
    assert torch.allclose(cross, 0.5 * found[0], rtol=1e-3, atol=1e-6)
