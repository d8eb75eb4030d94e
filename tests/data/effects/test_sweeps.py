"""Wah and phaser: their filters are where they are said to be, and move."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.data.effects.sweeps import WAH, sweep

RATE = 44_100


def noise(seconds: float = 4.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(1, 1, round(seconds * RATE), generator=generator)


def swept(sound: Tensor, stages: int, mix: float, low: float, high: float, hz: float) -> Tensor:
    numbers = [mix, low / RATE, high / RATE, hz / RATE, 0.0]
    made = sweep(sound, torch.tensor([stages]), *(torch.tensor([n]) for n in numbers))
    assert made.shape == sound.shape
    assert made.isfinite().all()
    return made


def gain_at(sound: Tensor, made: Tensor, hz: float, span: slice) -> float:
    """Gain in dB within a sixth of an octave."""
    powers = []
    for one in (made, sound):
        spectrum = torch.fft.rfft(one[0, 0, span].double()).abs().square()
        at = torch.fft.rfftfreq(one[0, 0, span].shape[0], 1 / RATE)
        powers.append(spectrum[(at > hz / 1.06) & (at < hz * 1.06)].mean())
    return float(10 * torch.log10(powers[0] / powers[1]))


def test_without_a_copy_nothing_changes() -> None:
    sound = noise(0.5)
    assert (swept(sound, 4, 0.0, 200, 2000, 1.0) - sound).abs().max() < 1e-6


def test_a_wah_is_a_resonance_that_moves() -> None:
    sound = noise()
    made = swept(sound, WAH, 1.0, 400, 2000, 0.25)  # up for two seconds, then down
    beginning, middle = slice(0, RATE // 8), slice(2 * RATE - RATE // 16, 2 * RATE + RATE // 16)
    assert gain_at(sound, made, 410, beginning) > gain_at(sound, made, 2000, beginning) + 10
    assert gain_at(sound, made, 2000, middle) > gain_at(sound, made, 410, middle) + 10
    assert abs(gain_at(sound, made, 2000, middle)) < 2


def test_a_phaser_has_notches_where_its_copy_is_inverted() -> None:
    sound = noise()
    # it stands still; two stages turn the phase by 180 degrees at their frequency
    made = swept(sound, 2, 0.5, 1000, 1000, 0.0)
    whole = slice(0, sound.shape[-1])
    assert gain_at(sound, made, 1000, whole) < -12
    assert abs(gain_at(sound, made, 50, whole)) < 1
    assert abs(gain_at(sound, made, 15_000, whole)) < 1


def test_lines_have_their_own_sweeps() -> None:
    sound = noise(0.5).repeat(2, 2, 1)
    stages = torch.tensor([WAH, 4])
    numbers = ([1.0, 0.5], [0.01, 0.01], [0.04, 0.04], [1e-5, 1e-5], [0.0, 0.3])
    made = sweep(sound, stages, *map(torch.tensor, numbers))
    assert torch.equal(made[:, 0], made[:, 1])
    for line in range(2):
        one = slice(line, line + 1)
        alone = sweep(sound[one], stages[one], *(torch.tensor(n)[one] for n in numbers))
        assert torch.allclose(made[one], alone, atol=1e-6)
