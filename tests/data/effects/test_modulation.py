"""Modulated delay: vibrato bends pitch, chorus adds a copy, and no mix is no change."""

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.data.effects.modulation import modulate

RATE = 44_100


def modulated(
    lines: Tensor,
    mix: float,
    delay: float = 0.0,
    depth: float = 0.0,
    rate: float = 0.0,
    phase: float = 0.0,
) -> Tensor:
    """Lines [L, C, T], all modulated alike."""
    given = (torch.full((len(lines),), value) for value in (mix, delay, depth, rate, phase))
    return modulate(lines, *given)


def test_without_a_mix_nothing_changes() -> None:
    lines = noise(2, 2, 3_000)
    assert torch.equal(modulated(lines, 0.0, 300.0, 100.0, 1e-3), lines)


@pytest.mark.parametrize("mix", [0.4, 1.0])
def test_a_delay_that_stands_still_is_a_delay(mix: float) -> None:
    lines = noise(2, 1, 3_000)
    found = modulated(lines, mix, 100.0)
    expected = (1 - mix) * lines[..., 100:] + mix * lines[..., :-100]
    assert torch.allclose(found[..., 100:], expected, atol=1e-5)


def test_parts_of_samples_are_interpolated() -> None:
    ramp = torch.arange(500.0)[None, None]
    assert torch.allclose(modulated(ramp, 1.0, 20.25)[..., 30:], ramp[..., 30:] - 20.25, atol=1e-4)


def test_vibrato_moves_the_pitch_up_and_down() -> None:
    hz, depth, rate = 1_000, 40.0, 5 / RATE
    found = modulated(tone(hz, 2 * RATE)[None, None], 1.0, 0.0, depth, rate)[0, 0]
    # the phase's slope, from the analytic signal, without the ends
    spectrum = torch.fft.fft(found.double())
    spectrum[len(found) // 2 :] = 0
    phase = torch.fft.ifft(spectrum).angle()
    steps = torch.remainder(phase.diff(), 2 * torch.pi) * RATE / (2 * torch.pi)
    steps = steps[RATE // 2 : -RATE // 2]
    # f (1 - d delay / dt), at its most π depth rate
    bend = float(torch.pi * depth * rate)
    assert float(steps.max()) == pytest.approx(hz * (1 + bend), rel=3e-3)
    assert float(steps.min()) == pytest.approx(hz * (1 - bend), rel=3e-3)
    assert float(steps.mean()) == pytest.approx(hz, rel=1e-3)


def test_phase_says_where_it_begins() -> None:
    line = noise(1, 1, 9_000)
    whole = modulated(line, 1.0, 5.0, 30.0, 1 / 4_000)
    later = modulated(line[..., 1_000:], 1.0, 5.0, 30.0, 1 / 4_000, 0.25)
    assert torch.allclose(whole[..., 1_100:], later[..., 100:], atol=1e-3)


def test_channels_move_together() -> None:
    line = noise(1, 1, 2_000)
    found = modulated(line.expand(-1, 2, -1), 0.5, 200.0, 50.0, 1e-3)
    assert torch.equal(found[:, 0], found[:, 1])
    assert torch.equal(found[:, :1], modulated(line, 0.5, 200.0, 50.0, 1e-3))
