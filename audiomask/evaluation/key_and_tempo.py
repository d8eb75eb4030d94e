"""Key and tempo of sounds, as strengths of all keys and all lags, to be compared between sounds.

No key and no beat has to be decided on: two sounds agree where the strengths of all correlate.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.spectra import stft
from audiomask.evaluation.onsets import onset_strength

#: seconds of the chroma's window; MIDI numbers of its first semitone (C3) and after its last (B6);
#: standard deviation of a semitone's weights, in semitones
_CHROMA_WINDOW, _LOWEST, _HIGHEST, _BREADTH = 0.37, 48, 96, 0.35
#: standard deviation in seconds by which onset strength is smoothed
_SMOOTHING = 0.02
#: lags in seconds, 40 to 240 beats a minute; the most usual beat; octaves of its weight
_LAGS, _USUAL_BEAT, _OCTAVES = np.arange(0.25, 1.5, 0.005), 0.5, 1.0
#: ratings of how well each pitch class fits after a key's context (Krumhansl & Kessler 1982, as
#: tabulated in Krumhansl 1990, "Cognitive Foundations of Musical Pitch"), from the tonic upwards
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def chroma(audio: Tensor, sample_rate: int) -> Tensor:
    """How strong each pitch class is, from C to B, on average.

    Magnitudes of an STFT are averaged over time, then within each semitone from C3 to B6 by
    Gaussian weights over log frequency (as a constant-Q transform has them, Brown 1991), and
    semitones an octave or more apart are added.

    Args:
        audio: [C, T].
        sample_rate: samples a second.

    Returns:
        [12].
    """
    size = 1 << round(math.log2(_CHROMA_WINDOW * sample_rate))
    hop = size // 2
    mono = audio.mean(dim=0)
    found = stft(F.pad(mono, (0, -len(mono) % hop)), size, hop).abs().mean(dim=-1)[1:]
    hertz = torch.arange(1, len(found) + 1) * sample_rate / size
    pitch = 69 + 12 * (hertz / 440).log2()
    semitones = torch.arange(_LOWEST, _HIGHEST)[:, None]
    weights = (-0.5 * ((pitch - semitones) / _BREADTH).square()).exp()
    strengths = (weights * found).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-8)
    return strengths.view(-1, 12).sum(dim=0)


def key_strengths(audio: Tensor, sample_rate: int) -> Tensor:
    """How well a sound fits each key (Krumhansl 1990, chapter 4).

    Strength k is Pearson's correlation of the chroma with the profile of key k.

    Args:
        audio: [C, T].
        sample_rate: samples a second.

    Returns:
        [24]: C major to B major, then C minor to B minor; zeros in silence.
    """
    found = chroma(audio, sample_rate)
    profiles = [torch.tensor(mode).roll(tonic) for mode in (_MAJOR, _MINOR) for tonic in range(12)]
    return torch.tensor([agreement(found, profile) for profile in profiles])


def tempo_strengths(audio: Tensor, sample_rate: int) -> Tensor:
    """Autocorrelation of the onset strength, at lags from 0.25 to 1.5 s in steps of 5 ms.

    r(l) = mean over t of o(t) o(t + l), over r(0), where o is the onset strength, smoothed, less
    its mean (Ellis 2007, "Beat Tracking by Dynamic Programming", tempo estimation).

    Args:
        audio: [C, T].
        sample_rate: samples a second.

    Returns:
        [lags]; zeros where nothing changes.
    """
    strength, frames = onset_strength(audio, sample_rate)
    reach = round(3 * _SMOOTHING * frames)
    bell = (-0.5 * (torch.arange(-reach, reach + 1) / frames / _SMOOTHING).square()).exp()
    smooth = F.conv1d(strength[None], bell[None, None], padding=reach)[0].double()
    smooth = smooth - smooth.mean()
    number = len(smooth)
    power = torch.fft.rfft(smooth, 2 * number).abs().square()
    found = torch.fft.irfft(power)[:number] / torch.arange(number, 0, -1)
    if float(found[0]) <= 1e-12:
        return torch.zeros(len(_LAGS))
    at_lags = np.interp(_LAGS, np.arange(number) / frames, (found / found[0]).numpy())
    return torch.from_numpy(at_lags).float()


def beat_seconds(audio: Tensor, sample_rate: int) -> float:
    """Seconds of a beat: the lag at which the autocorrelation, weighted, is the largest.

    The weight is exp(-(log2(l / 0.5 s))^2 / 2), as beats are tapped at 120 a minute most readily
    (Ellis 2007, whose weight has another width).

    Args:
        audio: [C, T].
        sample_rate: samples a second.

    Returns:
        From 0.25 to 1.5.
    """
    weight = np.exp(-0.5 * (np.log2(_LAGS / _USUAL_BEAT) / _OCTAVES) ** 2)
    return float(_LAGS[int(np.argmax(tempo_strengths(audio, sample_rate).numpy() * weight))])


def agreement(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of [N] and [N]; 0 where one of them is the same everywhere."""
    a, b = (row.double() - row.double().mean() for row in (one, other))
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size > 1e-9 else 0.0
