"""Small changes of pitch and tempo, by varispeed and a phase vocoder.

Varispeed is resampling: the sound gets higher and shorter at once, as on a faster tape. A phase
vocoder then changes the tempo alone, by what is still missing of the wanted one.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

_Phasors = npt.NDArray[np.complex64]
_Bins = npt.NDArray[np.intp]

_WINDOW, _HOP = 2048, 512
#: a remaining change of tempo too small to be worth a phase vocoder
_TEMPO_TOLERANCE = 0.001
#: how much more energy a frame has than the one before where something is struck
_ONSET_RATIO = 2.0


def samples_needed(samples: int, pitch: float, tempo: float) -> int:
    """How many samples ``change_pitch_and_tempo`` takes to give ``samples``.

    The margins of its filters are among them.
    """
    if pitch == 0 and tempo == 1:
        return samples
    margin = _WINDOW * (2 ** (pitch / 12) + tempo)
    return math.ceil(samples * tempo * (1 + _TEMPO_TOLERANCE) + margin)


def change_pitch_and_tempo(lines: Tensor, pitch: float, tempo: float, samples: int) -> Tensor:
    """Lines at another pitch and tempo.

    Args:
        lines: float32 [L, T'] at any one rate; T' is at least what ``samples_needed`` says.
        pitch: semitones up.
        tempo: how much faster, as a factor.
        samples: how many to return.

    Returns:
        [L, samples], from the same instant on; the very samples for no change.
    """
    if pitch == 0 and tempo == 1:
        return lines[:, :samples]
    speed = 2 ** (pitch / 12)
    changed = _varispeed(lines, speed)
    if abs(tempo / speed - 1) > _TEMPO_TOLERANCE:
        changed = _stretch(changed, tempo / speed)
    return changed[:, :samples].contiguous()


def _varispeed(lines: Tensor, speed: float) -> Tensor:
    """Lines [L, T] played ``speed`` times as fast, so that much higher: [L, about T / speed]."""
    if speed == 1:
        return lines
    changed = soxr.resample(lines.T.contiguous().numpy(), speed, 1.0, quality="MQ")
    return torch.from_numpy(changed).reshape(-1, len(lines)).T


def _stretch(lines: Tensor, tempo: float) -> Tensor:
    """Lines [L, T] played ``tempo`` times as fast at the same pitch: [L, about T / tempo].

    A phase vocoder with locked phases: every frame is turned so that its partials continue those
    of the frame before, and the bins around a partial turn with it. Left to themselves, as in
    ``torchaudio.functional.phase_vocoder``, they cancel each other: a tone loses up to 12 dB.
    """
    window = torch.hann_window(_WINDOW)
    length = round(lines.shape[1] / tempo)
    centres = (torch.arange(length // _HOP + 1) * (_HOP * tempo)).round().long()
    padded = F.pad(lines, (_WINDOW // 2 + _HOP, _WINDOW))
    places = centres[:, None] + torch.arange(_WINDOW)
    # frames where they are taken, and a hop of the output before that
    before = torch.fft.rfft(padded[:, places] * window)
    frames = torch.fft.rfft(padded[:, places + _HOP] * window)
    power, earlier = (torch.view_as_real(x).square().sum(dim=-1) for x in (frames, before))
    onset = power.sum(dim=2) > _ONSET_RATIO * earlier.sum(dim=2)
    # by how much each bin of the frame before is ahead of where it has to be continued
    ahead = torch.sgn(frames[:, :-1] * before[:, 1:].conj())
    ahead = torch.where(ahead == 0, 1, ahead)
    rotations = _continue_phases(ahead.numpy(), _nearest_peak(power.numpy()), onset.numpy())
    out = frames * torch.from_numpy(rotations)
    return torch.istft(out.transpose(1, 2), _WINDOW, _HOP, window=window, length=length)


def _continue_phases(ahead: _Phasors, partial: _Bins, onset: npt.NDArray[np.bool_]) -> _Phasors:
    """The turn of every bin [L, F, K], as numbers of absolute value 1.

    Args:
        ahead: the turn from a frame to the next, [L, F - 1, K].
        partial: for every bin the one that it turns with, [L, F, K].
        onset: frames that are left as they are, having no past to continue: turned, an attack
            would smear; [L, F].
    """
    lines, frames, bins = partial.shape
    rotations: _Phasors = np.ones((lines, frames, bins), dtype=np.complex64)
    for line, number in np.ndindex(lines, frames - 1):
        if not onset[line, number + 1]:
            turn = rotations[line, number] * ahead[line, number]
            rotations[line, number + 1] = turn[partial[line, number + 1]]
    return rotations


def _nearest_peak(power: npt.NDArray[np.float32]) -> _Bins:
    """For every bin of [..., K] the nearest one that is louder than two on either side."""
    bins = power.shape[-1]
    wide = np.pad(power, [(0, 0)] * (power.ndim - 1) + [(2, 2)])
    around = functools.reduce(np.maximum, (wide[..., n : n + bins] for n in range(5)))
    peak, number = power == around, np.arange(bins, dtype=np.int32)
    below = np.maximum.accumulate(np.where(peak, number, -bins), axis=-1)
    above = np.where(peak, number, 2 * bins)[..., ::-1]
    above = np.minimum.accumulate(above, axis=-1)[..., ::-1]
    return np.where(number - below <= above - number, below, above).astype(np.intp)
