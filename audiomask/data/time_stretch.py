"""Small changes of pitch and tempo, by varispeed and a phase vocoder.

Varispeed, which is resampling, changes pitch and tempo together; the phase vocoder then changes the
tempo alone.
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
#: largest relative error of the tempo that is left without a phase vocoder
_TEMPO_TOLERANCE = 0.001
#: ratio of a frame's energy to that a hop earlier above which it is an onset
_ONSET_RATIO = 2.0


def samples_needed(samples: int, pitch: float, tempo: float) -> int:
    """Samples that ``change_pitch_and_tempo`` needs to return ``samples``, with margins."""
    if pitch == 0 and tempo == 1:
        return samples
    margin = _WINDOW * (2 ** (pitch / 12) + tempo)
    return math.ceil(samples * tempo * (1 + _TEMPO_TOLERANCE) + margin)


def change_pitch_and_tempo(lines: Tensor, pitch: float, tempo: float, samples: int) -> Tensor:
    """Lines at another pitch and tempo.

    Args:
        lines: float32 [L, T'], with T' at least ``samples_needed``.
        pitch: in semitones up.
        tempo: as a factor.
        samples: to return.

    Returns:
        [L, samples], from the same time on; unchanged samples for no change.
    """
    if pitch == 0 and tempo == 1:
        return lines[:, :samples]
    speed = 2 ** (pitch / 12)
    changed = _varispeed(lines, speed)
    if abs(tempo / speed - 1) > _TEMPO_TOLERANCE:
        changed = _stretch(changed, tempo / speed)
    return changed[:, :samples].contiguous()


def _varispeed(lines: Tensor, speed: float) -> Tensor:
    """Lines [L, T] at ``speed`` times the tempo and pitch: [L, about T / speed]."""
    if speed == 1:
        return lines
    changed = soxr.resample(lines.T.contiguous().numpy(), speed, 1.0, quality="MQ")
    return torch.from_numpy(changed).reshape(-1, len(lines)).T


def _stretch(lines: Tensor, tempo: float) -> Tensor:
    """Lines [L, T] at ``tempo`` times the tempo and the same pitch: [L, about T / tempo].

    A phase vocoder with identity phase locking (Laroche and Dolson 1999): the peaks of a frame
    continue the phases of the frame before, and the bins around a peak are rotated with it. Without
    locking, as in ``torchaudio.functional.phase_vocoder``, they partly cancel each other.
    """
    window = torch.hann_window(_WINDOW)
    length = round(lines.shape[1] / tempo)
    centers = (torch.arange(length // _HOP + 1) * (_HOP * tempo)).round().long()
    padded = F.pad(lines, (_WINDOW // 2 + _HOP, _WINDOW))
    index = centers[:, None] + torch.arange(_WINDOW)
    # frames a hop before those of the output, and these
    before = torch.fft.rfft(padded[:, index] * window)
    frames = torch.fft.rfft(padded[:, index + _HOP] * window)
    power, earlier = (torch.view_as_real(x).square().sum(dim=-1) for x in (frames, before))
    onset = power.sum(dim=2) > _ONSET_RATIO * earlier.sum(dim=2)
    # of each frame over the one a hop before the next frame
    phase_offset = torch.sgn(frames[:, :-1] * before[:, 1:].conj())
    phase_offset = torch.where(phase_offset == 0, 1, phase_offset)
    rotations = _propagate_phases(phase_offset.numpy(), _nearest_peak(power.numpy()), onset.numpy())
    out = frames * torch.from_numpy(rotations)
    return torch.istft(out.transpose(1, 2), _WINDOW, _HOP, window=window, length=length)


def _propagate_phases(
    phase_offset: _Phasors, peaks: _Bins, onset: npt.NDArray[np.bool_]
) -> _Phasors:
    """Rotations of all bins [L, F, K], as phasors.

    Args:
        phase_offset: of each frame over the one a hop before the next frame, [L, F - 1, K].
        peaks: the peak that each bin is rotated with, [L, F, K].
        onset: frames that keep their phases, so that attacks are not smeared, [L, F].
    """
    lines, frames, bins = peaks.shape
    rotations: _Phasors = np.ones((lines, frames, bins), dtype=np.complex64)
    for line, number in np.ndindex(lines, frames - 1):
        if not onset[line, number + 1]:
            turn = rotations[line, number] * phase_offset[line, number]
            rotations[line, number + 1] = turn[peaks[line, number + 1]]
    return rotations


def _nearest_peak(power: npt.NDArray[np.float32]) -> _Bins:
    """The nearest local maximum, over two bins on either side, of every bin of [..., K]."""
    bins = power.shape[-1]
    wide = np.pad(power, [(0, 0)] * (power.ndim - 1) + [(2, 2)])
    around = functools.reduce(np.maximum, (wide[..., n : n + bins] for n in range(5)))
    peak, number = power == around, np.arange(bins, dtype=np.int32)
    below = np.maximum.accumulate(np.where(peak, number, -bins), axis=-1)
    above = np.where(peak, number, 2 * bins)[..., ::-1]
    above = np.minimum.accumulate(above, axis=-1)[..., ::-1]
    return np.where(number - below <= above - number, below, above).astype(np.intp)
