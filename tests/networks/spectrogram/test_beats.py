"""The beat of a window, and moves in time that are off it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from turning_songs import config_of

from audiomask.networks.spectrogram.beats import beat_period, off_beat

#: the default's frames, 43 a second
CONFIG = config_of(sample_rate=44_100, stft_size=4096, hop_length=1024, window=288)
RATE = 44_100 / 1024


def clicks(frames: float, ghosts: float = 0.0) -> Tensor:
    """Power of a window with a decaying sound in every ``frames`` frames, soft ones between."""
    time = torch.arange(288, dtype=torch.float32)
    on, between = (0.5 ** ((time + shift) % frames) for shift in (0.0, frames / 2))
    noise = 1e-4 * torch.rand(288, 16, generator=torch.Generator().manual_seed(0))
    return (on + ghosts * between)[:, None] ** 2 + noise


@pytest.mark.parametrize("seconds", [0.35, 0.5, 0.6, 0.75])
def test_the_beat_is_what_recurs(seconds: float) -> None:
    found = beat_period(clicks(seconds * RATE), CONFIG)
    assert found == pytest.approx(seconds * RATE, abs=1)
    assert beat_period(clicks(seconds * RATE, ghosts=0.1), CONFIG) == found


@pytest.mark.parametrize("power", [torch.zeros(288, 16), torch.ones(288, 16)])
def test_what_has_no_beat_gets_the_most_usual(power: Tensor) -> None:
    assert beat_period(power, CONFIG) / RATE == pytest.approx(0.5, abs=0.02)


def test_a_beat_is_half_a_window_at_most() -> None:
    short = config_of(sample_rate=44_100, stft_size=4096, hop_length=1024, window=24)
    assert beat_period(torch.rand(24, 16), short) == 12


def moves(low: int, high: int) -> list[int]:
    draw = torch.Generator().manual_seed(0)
    found = [off_beat(clicks(20), CONFIG, low, high, draw) for _ in range(300)]
    assert None not in found
    return [move for move in found if move is not None]


def test_moves_are_off_all_beats() -> None:
    found = moves(-144, 144)
    off = {abs(move) % 20 for move in found}
    assert off == {4, 5, 6, 7, 8, 12, 13, 14, 15, 16}
    beats = [abs(move) // 20 for move in found]
    assert all(beats.count(number) > 40 for number in range(4))
    assert max(beats) == 3
    assert 100 < sum(move < 0 for move in found) < 200


def test_moves_are_within_their_bounds() -> None:
    assert set(map(abs, moves(-15, 30))) <= set(range(4, 31))
    assert min(moves(1, 288)) > 0
    assert min(moves(-15, -1)) >= -15
    assert off_beat(clicks(20), CONFIG, -2, 2, torch.Generator()) is None


def test_moves_are_decided_by_the_generator() -> None:
    assert moves(-144, 144) == moves(-144, 144)
