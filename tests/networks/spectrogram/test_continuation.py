"""Pairs of halves: matched in level and tone, with a separator between them."""

import pytest
import torch
from tiny_spectrogram import SMALL

from audiomask.networks.spectrogram import SpectrogramConfig
from audiomask.networks.spectrogram.continuation import join, match, middle, separator


def decibels(ratio: torch.Tensor) -> torch.Tensor:
    return 10 * ratio.log10()


def test_level_and_tone_become_those_of_the_first() -> None:
    torch.manual_seed(0)
    first = torch.rand(40, 64) + 0.5
    slope = 10 ** torch.linspace(1, -1, 64)  # 20 dB less at the top than at the bottom
    second = 1e-3 * (torch.rand(40, 64) + 0.5) * slope
    found = match(second, first)
    assert float(found.mean()) == pytest.approx(float(first.mean()), rel=1e-4)
    difference = decibels(found.mean(dim=0) / first.mean(dim=0))
    # but for the ends, where the average is one-sided
    assert float(difference[8:-8].abs().max()) < 2
    # single bands keep their differences: it is the same music
    before, after = (x[:, 30] / x[:, 31] for x in (second, found))
    assert torch.allclose(before, after, rtol=0.1)


def test_a_true_continuation_is_matched_as_well() -> None:
    power = torch.rand(48, 64)
    assert torch.equal(match(power[24:], power[:24]), join(power[:24], power[24:])[24:])
    assert not torch.equal(join(power[:24], power[24:]), power)


def test_no_tone_is_raised_out_of_noise() -> None:
    first = torch.ones(10, 64)
    second = torch.ones(10, 64)
    second[:, 32:] = 1e-9
    found = match(second, first)
    assert float(decibels(found[:, 50:].mean() / found[:, :20].mean())) < -60


@pytest.mark.parametrize("silent", [0, 1])
def test_silence_is_left_alone(silent: int) -> None:
    halves = [torch.rand(6, 16), torch.rand(6, 16)]
    halves[silent] = torch.zeros(6, 16)
    assert torch.equal(match(halves[1], halves[0]), halves[1])


def test_the_separator_lies_between_blanks() -> None:
    config = SpectrogramConfig(**SMALL)
    span, frames = middle(config), separator(config)
    assert (span.start, span.stop) == (21, 27)
    assert frames.shape == (6, 16)
    assert frames[[0, 1, 4, 5]].eq(1).all()
    assert frames[2:4].tolist() == [[1.0, 0.0] * 8] * 2
