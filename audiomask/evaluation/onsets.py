"""Onsets, and the flux at joins: whether a filling has its beats, and clicks where it begins."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.spectra import mel_magnitudes

#: window in samples at 44.1 kHz and mel bands; a hop is an eighth of the window
_WINDOW, _BANDS = 1024, 40
#: compression of magnitudes in which onsets are looked for
_COMPRESSION = 100.0
#: seconds on each side among which an onset is the largest, and over which the flux is averaged
_PEAK, _AVERAGE = 0.03, 0.1
#: by how much an onset's flux is above the average, as a share of the bands and of the average
_ABOVE, _SHARE = 0.02, 1.2
#: seconds by which onsets may differ to count as the same; seconds about a join
_TOLERANCE, _JOIN = 0.05, 0.015


def _spectral_flux(audio: Tensor, sample_rate: int, compression: float = 0) -> tuple[Tensor, float]:
    """Mean rise of mel magnitudes over the bands, frame by frame.

    Args:
        audio: [C, T]; channels are averaged.
        sample_rate: samples a second.
        compression: of magnitudes, log10(1 + c m); none if 0.

    Returns:
        [F], and the frames a second.
    """
    size = 1 << round(math.log2(_WINDOW * sample_rate / 44_100))
    hop = size // 8
    mel = mel_magnitudes(audio.mean(dim=0), size, hop, _BANDS, sample_rate)
    if compression:
        mel = (1 + compression * mel).log10()
    # two frames apart: a window rises over more than a hop
    rises = (mel[:, 2:] - mel[:, :-2]).clamp_min(0).mean(dim=0)
    return F.pad(rises, (1, 1)), sample_rate / hop


def onset_strength(audio: Tensor, sample_rate: int) -> tuple[Tensor, float]:
    """The spectral flux of compressed magnitudes, frame by frame.

    Args:
        audio: [C, T].
        sample_rate: samples a second.

    Returns:
        [F], and the frames a second.
    """
    return _spectral_flux(audio, sample_rate, _COMPRESSION)


def onsets(audio: Tensor, sample_rate: int) -> list[float]:
    """The times of onsets in seconds: local maxima of the spectral flux above its average.

    Args:
        audio: [C, T].
        sample_rate: samples a second.
    """
    flux, frames = onset_strength(audio, sample_rate)
    near, wide = (round(seconds * frames) for seconds in (_PEAK, _AVERAGE))
    row = flux[None, None]
    largest = F.max_pool1d(row, 2 * near + 1, 1, near)[0, 0]
    mean = F.avg_pool1d(row, 2 * wide + 1, 1, wide, count_include_pad=False)[0, 0]
    found = (flux == largest) & (flux > _ABOVE + _SHARE * mean)
    return [float(place) / frames for place in found.nonzero()[:, 0]]


def onset_f_measure(
    estimate: Tensor, target: Tensor, sample_rate: int, within: tuple[int, int]
) -> float:
    """F-measure of an estimate's onsets within 50 ms, each matched once, in time's order.

    Args:
        estimate, target: [C, T].
        sample_rate: samples a second.
        within: samples [start, stop); only onsets in them count.

    Returns:
        From 0 to 1; NaN where the target has no onset.
    """
    start, stop = (edge / sample_rate for edge in within)
    made, true = (
        [time for time in onsets(audio, sample_rate) if start <= time < stop]
        for audio in (estimate, target)
    )
    if not true:
        return math.nan
    hits, left = 0, list(made)
    for time in true:
        near = [one for one in left if abs(one - time) <= _TOLERANCE]
        if near:
            left.remove(near[0])
            hits += 1
    return 2 * hits / (len(made) + len(true))


def join_flux(estimate: Tensor, target: Tensor, sample_rate: int, within: tuple[int, int]) -> float:
    """The flux at the worse join of a filling over the true one, in dB: 0 where none is heard.

    Args:
        estimate, target: [C, T].
        sample_rate: samples a second.
        within: samples [start, stop) of the filling.
    """
    worst = -math.inf
    fluxes = [_spectral_flux(audio, sample_rate) for audio in (estimate, target)]
    least = 1e-3 * float(fluxes[1][0].mean()) + 1e-9
    for edge in within:
        seconds = edge / sample_rate
        peaks = []
        for flux, frames in fluxes:
            span = slice(
                max(round((seconds - _JOIN) * frames), 0), round((seconds + _JOIN) * frames) + 1
            )
            peaks.append(float(flux[span].max()) + least)
        worst = max(worst, 10 * math.log10(peaks[0] / peaks[1]))
    return worst


def level_error(estimate: Tensor, target: Tensor, within: tuple[int, int]) -> float:
    """The level of the middle third of a filling less that of the true sound, in dB.

    Args:
        estimate, target: [C, T].
        within: samples [start, stop) of the filling.

    Returns:
        At least -100 and at most 100.
    """
    third = (within[1] - within[0]) // 3
    middle = slice(within[0] + third, max(within[1] - third, within[0] + third + 1))
    powers = [float(audio[:, middle].double().square().mean()) for audio in (estimate, target)]
    if powers[0] == powers[1]:
        return 0.0
    ratio = max(powers[0], 1e-20) / max(powers[1], 1e-20)
    return min(max(10 * math.log10(ratio), -100.0), 100.0)


def clipped_samples(estimate: Tensor, target: Tensor, within: tuple[int, int]) -> int:
    """Samples of full scale or more in a filling [C, T], where the target has none at all."""
    inside = slice(*within)
    if bool((target.abs() >= 1).any()):
        return 0
    return int(torch.count_nonzero(estimate[:, inside].abs() >= 1))
