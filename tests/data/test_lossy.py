"""MP3 and back: what changes, and what does not."""

import math

import pytest
import torch

from audiomask.data.lossy import STRONGEST, through_mp3


@pytest.mark.parametrize("sample_rate", [32_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [1e-3, 4.0])
def test_sound_stays_in_place_and_at_its_level(
    sample_rate: int, channels: int, level: float
) -> None:
    time = torch.arange(sample_rate) / sample_rate
    tone = level * torch.sin(2 * math.pi * torch.tensor([[440.0], [660.0]])[:channels] * time)
    found = through_mp3(tone, sample_rate, 0.2)
    assert found.shape == tone.shape
    middle = slice(sample_rate // 4, -sample_rate // 4)
    error = (found - tone)[:, middle].square().mean() / tone.square().mean()
    assert 0 < float(error) < 1e-3


def test_stronger_compression_takes_more_away() -> None:
    noise = 0.1 * torch.randn(2, 44_100, generator=torch.Generator().manual_seed(0))
    errors = [
        float((through_mp3(noise, 44_100, compression) - noise).square().mean())
        for compression in (0.0, 0.4, STRONGEST)
    ]
    assert errors[0] < errors[1] < errors[2] < 0.01


def test_silence_stays_silence() -> None:
    silence = torch.zeros(1, 1000)
    assert torch.equal(through_mp3(silence, 44_100, 0.5), silence)


@pytest.mark.parametrize(("sample_rate", "compression"), [(22_050, 0.5), (44_100, 0.9)])
def test_what_mp3_cannot_do_is_refused(sample_rate: int, compression: float) -> None:
    with pytest.raises(ValueError, match="no MP3 of"):
        through_mp3(torch.zeros(1, 1000), sample_rate, compression)
