from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import gaussian_noise

from audiomask.audio.source import MemorySource
from audiomask.infill.detection.rests import edge, is_dropout, is_rest

RATE = 44_100
START, STOP = RATE, RATE + 4410


def source(before: np.ndarray | float = 1.0, after: np.ndarray | float = 1.0) -> MemorySource:
    """Noise with a silence in it, its sides by so much softer."""
    audio = 0.1 * gaussian_noise(2, 3 * RATE)
    audio[:, :START] *= before
    audio[:, STOP:] *= after
    audio[:, START:STOP] = 0
    return MemorySource(torch.from_numpy(audio), RATE)


def rest(*sides: np.ndarray | float) -> bool:
    return is_rest(source(*sides), START, STOP, (0, 1))


def decay(length: int, decibels: float) -> np.ndarray:
    """A decay up to the silence that begins so many samples before it."""
    shape = np.ones(START)
    shape[START - length :] = np.logspace(0, -decibels / 20, length)
    return shape


@pytest.mark.parametrize("milliseconds", [2, 5, 20, 100])
def test_a_fade_makes_a_rest(milliseconds: int) -> None:
    length = RATE * milliseconds // 1000
    out = np.ones(START)
    out[START - length :] = np.linspace(1, 0, length)
    back = np.ones(3 * RATE - STOP)
    back[:length] = np.linspace(0, 1, length)
    assert not rest()
    assert rest(out)
    assert rest(1.0, back)


def test_a_decay_makes_a_rest_unless_it_goes_on_behind() -> None:
    assert rest(decay(8820, 30))
    assert not rest(decay(8820, 10))
    assert not rest(decay(8820, 25), 10 ** (-25 / 20))
    assert rest(decay(20_000, 40), 10 ** (-40 / 20))  # far below what was heard


def test_faint_sound_is_never_broken_off() -> None:
    assert rest(1e-3, 1e-3)
    assert is_rest(source(), 0, STOP, (0,))  # nothing before it


@pytest.mark.parametrize("pitch", [40, 100, 440])
@pytest.mark.parametrize("phase", [0.0, 0.8, 1.57])
def test_a_wave_may_break_off_anywhere_in_it(pitch: int, phase: float) -> None:
    time = np.arange(-RATE, 0) / RATE
    wave = np.sin(2 * np.pi * pitch * time + phase)[None]
    assert edge(wave, RATE).fade < 6


def test_a_dropout_is_far_below_both_sides() -> None:
    assert is_dropout(source(), START, STOP, (0, 1), -60.0)
    assert not is_dropout(source(), START, STOP, (0, 1), -40.0)
    assert not is_dropout(source(decay(8820, 25)), START, STOP, (0, 1), -90.0)
    assert not is_dropout(source(1.0, 0.1), START, STOP, (0, 1), -90.0)
