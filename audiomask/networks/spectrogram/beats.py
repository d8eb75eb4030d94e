"""Beats in the powers of a window, and moves in time that are off the beat."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.features import compress, reference

#: shortest and longest beat in seconds, 200 to 60 a minute; the most usual one
_SHORTEST, _LONGEST, _USUAL = 0.3, 1.0, 0.5
#: a move is less than this many beats
_MOST_BEATS = 4
#: by what part of a beat it misses the nearest one: never by half a beat, which is a beat where
#: the period that was found is twice the true one
_MISSED = (0.2, 0.4)


def beat_period(power: Tensor, config: SpectrogramConfig) -> int:
    """Frames of a beat: the lag at which the onset strength recurs most.

    The onset strength is the rise of compressed magnitudes, averaged over the bands. Its
    autocorrelation is weighted by exp(-(log2(l / 0.5 s))^2 / 2), as beats are tapped at 120 a
    minute most readily (Ellis 2007, "Beat Tracking by Dynamic Programming", whose weight has
    another width). It may be twice the beat, or half of it, and is 0.5 s where nothing recurs.

    Args:
        power: of a window, [F, bands].
        config: of the model.

    Returns:
        The frames of 0.3 to 1 s, half a window at most.
    """
    magnitudes = compress(power, reference(power), config.exponent)
    strength = magnitudes.diff(dim=0).clamp_min(0).mean(dim=1).double()
    # smoothed, as the period need not be a whole number of frames
    strength = F.avg_pool1d(F.avg_pool1d(strength[None], 2, 1, 1), 2, 1)[0]
    strength = strength - strength.mean()
    number = len(strength)
    spectrum = torch.fft.rfft(strength, 2 * number).abs().square()
    found = torch.fft.irfft(spectrum)[:number] / torch.arange(number, 0, -1, device=power.device)
    rate = config.sample_rate / config.hop_length
    most = len(power) // 2
    shortest = max(min(round(_SHORTEST * rate), most), 1)
    longest = max(min(round(_LONGEST * rate), most), shortest)
    lags = torch.arange(shortest, longest + 1, device=power.device)
    weight = (-0.5 * (lags / rate / _USUAL).log2().square()).exp()
    recurring = (found[lags] / found[0].clamp_min(1e-12)).clamp_min(1e-6)
    return int(lags[(recurring * weight).argmax()])


def off_beat(
    power: Tensor, config: SpectrogramConfig, low: int, high: int, draw: torch.Generator
) -> int | None:
    """A number of frames by which a passage is moved so that the metre does not go on.

    It is up to four beats later or earlier, and 0.2 to 0.4 beats off the nearest beat.

    Args:
        power: of the window that tells the beat, [F, bands].
        config: of the model.
        low, high: least and greatest number of frames, below 0 for earlier ones.
        draw: decides which.

    Returns:
        Frames; None where no such number is from ``low`` to ``high``.
    """
    period = beat_period(power, config)
    share, place = torch.rand(2, generator=draw).tolist()
    missed = _MISSED[0] + share * (_MISSED[1] - _MISSED[0])
    beats = [number + part for number in range(_MOST_BEATS) for part in (missed, 1 - missed)]
    later = [max(round(beat * period), 1) for beat in beats]
    moves = [move for move in (*(-move for move in later), *later) if low <= move <= high]
    return moves[int(place * len(moves))] if moves else None
