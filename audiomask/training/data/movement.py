"""Movement: small changes of pitch and tempo, as a tape and a phase vocoder make them.

A tape that runs faster sounds higher and shorter at once, at the price of resampling alone. What
is then still missing of the wanted tempo a phase vocoder adds, which leaves the pitch alone.
"""

from __future__ import annotations

import math

import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, HOP = 2048, 512
#: a remaining change of tempo too small to be worth a phase vocoder
CLOSE = 0.001
#: how much more energy a frame has than the one before where something is struck
STRUCK = 2.0


def needed(samples: int, pitch: float, tempo: float) -> int:
    """How many samples ``move`` takes to give ``samples``, its filters' margins included."""
    if pitch == 0 and tempo == 1:
        return samples
    margin = WINDOW * (2 ** (pitch / 12) + tempo)
    return math.ceil(samples * tempo * (1 + CLOSE) + margin)


def move(lines: Tensor, pitch: float, tempo: float, samples: int) -> Tensor:
    """Lines at another pitch and tempo.

    Args:
        lines: float32 [L, T'] at any one rate, T' at least ``needed(samples, pitch, tempo)``.
        pitch: semitones up.
        tempo: how much faster, as a factor.
        samples: how many to return.

    Returns:
        [L, samples], from the same instant on; the very samples for no change.
    """
    if pitch == 0 and tempo == 1:
        return lines[:, :samples]
    speed = 2 ** (pitch / 12)
    moved = run_tape(lines, speed)
    if abs(tempo / speed - 1) > CLOSE:
        moved = stretch(moved, tempo / speed)
    return moved[:, :samples].contiguous()


def run_tape(lines: Tensor, speed: float) -> Tensor:
    """Lines [L, T] played ``speed`` times as fast, so that much higher: [L, about T / speed]."""
    if speed == 1:
        return lines
    moved = soxr.resample(lines.T.contiguous().numpy(), speed, 1.0, quality="MQ")
    return torch.from_numpy(moved).reshape(-1, len(lines)).T


def stretch(lines: Tensor, tempo: float) -> Tensor:
    """Lines [L, T] played ``tempo`` times as fast at the same pitch: [L, about T / tempo].

    A phase vocoder with locked phases: every frame is turned so that its partials continue those
    of the frame before, and the bins around a partial turn with it. Left to themselves, as in
    ``torchaudio.functional.phase_vocoder``, they cancel each other: a tone loses up to 12 dB.
    """
    window = torch.hann_window(WINDOW)
    length = round(lines.shape[1] / tempo)
    centres = (torch.arange(length // HOP + 1) * (HOP * tempo)).round().long()
    padded = F.pad(lines, (WINDOW // 2 + HOP, WINDOW))
    places = centres[:, None] + torch.arange(WINDOW)
    # frames where they are taken, and a hop of the output before that
    before = torch.fft.rfft(padded[:, places] * window)
    frames = torch.fft.rfft(padded[:, places + HOP] * window)
    power, earlier = (torch.view_as_real(x).square().sum(dim=-1) for x in (frames, before))
    partial = nearest_peak(power)
    struck = power.sum(dim=2, keepdim=True) > STRUCK * earlier.sum(dim=2, keepdim=True)
    out = frames.clone()
    for number in range(1, frames.shape[1]):
        turn = torch.sgn(out[:, number - 1] * before[:, number].conj())
        turn = turn.gather(1, partial[:, number])
        # an attack is left as it is: it has no past to continue, and turned it would smear
        turn = torch.where(struck[:, number], 1, turn)
        out[:, number] *= turn
    return torch.istft(out.transpose(1, 2), WINDOW, HOP, window=window, length=length)


def nearest_peak(power: Tensor) -> Tensor:
    """For every bin of [..., K] the nearest one that is louder than two on either side."""
    bins = power.shape[-1]
    around = F.max_pool1d(power.flatten(0, -2), 5, stride=1, padding=2).view_as(power)
    number = torch.arange(bins, dtype=torch.int32)
    below = torch.where(power == around, number, -bins).cummax(dim=-1).values
    above = torch.where(power == around, number, 2 * bins).flip(-1).cummin(dim=-1).values.flip(-1)
    return torch.where(number - below <= above - number, below, above).long()
