"""Spectra on one frame grid: STFT and inverse, mel magnitudes, and mel-spaced bands for masks.

Frame f of hop H is centred on the samples [f H, (f + 1) H), so that T samples give exactly T / H
frames and back, for any window.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.runtime.dependencies import torchaudio_functional

#: lower bound of the sum of squared windows, by which is divided
_MIN_WEIGHT = 1e-8


@lru_cache(maxsize=32)
def hann(size: int, device: torch.device) -> Tensor:
    """Hann's periodic window [size]."""
    # a cached inference tensor could not be used in training later
    with torch.inference_mode(False):
        return torch.hann_window(size, device=device)


@lru_cache(maxsize=32)
def _analysis_window(size: int, device: torch.device) -> Tensor:
    """The window of :func:`frame_spectra` [size]: a Hann window of energy one."""
    with torch.inference_mode(False):
        window = hann(size, device)
        return window / window.square().sum().sqrt()


@lru_cache(maxsize=32)
def synthesis_window(size: int, hop: int, device: torch.device) -> Tensor:
    """The window [size] for overlap-add of frames, normalized for a steady number of frames.

    It inverts :func:`_analysis_window` except near the ends, see :func:`finish_overlap_add`.
    """
    with torch.inference_mode(False):
        window = hann(size, device)
        weight = _steady_weight(size, hop, device).repeat(-(-size // hop))[:size]
        return window * window.square().sum().sqrt() / weight


def _steady_weight(size: int, hop: int, device: torch.device) -> Tensor:
    """The sum of overlapping squared windows away from the ends, over one hop [hop]."""
    parts = -(-size // hop)
    square = F.pad(hann(size, device).square(), (0, parts * hop - size))
    return square.view(parts, hop).sum(dim=0).clamp_min(_MIN_WEIGHT)


def stft(audio: Tensor, size: int, hop: int) -> Tensor:
    """Complex spectrogram on the frame grid.

    Args:
        audio: [..., T], T a multiple of ``hop``; zeros are assumed outside.
        size: window and transform length in samples.
        hop: samples between frames.

    Returns:
        [..., size // 2 + 1, T / hop], scaled by the square root of the window's energy.
    """
    return frame_spectra(centered(audio, size, hop), size, hop).transpose(-1, -2)


def centered(audio: Tensor, size: int, hop: int) -> Tensor:
    """Audio [..., T] padded with the zeros that its frames' windows reach into."""
    pad = size - hop
    return F.pad(audio, (pad // 2, pad - pad // 2))


def frames_per_chunk(device: torch.device, rows: int) -> int:
    """Frames, of ``rows`` rows each, to compute at once: few for a CPU's caches, many for a GPU."""
    return max((1 << 12 if device.type == "cuda" else 128) // rows, 1)


def frame_spectra(audio: Tensor, size: int, hop: int) -> Tensor:
    """Spectra, frame by frame, of padded audio (see :func:`centered`).

    Args:
        audio: [..., (F - 1) * hop + size].

    Returns:
        complex [..., F, size // 2 + 1], scaled as by :func:`stft`.
    """
    spectrum: Tensor = torch.fft.rfft(
        audio.unfold(-1, size, hop) * _analysis_window(size, audio.device)
    )
    return spectrum


def istft(spectrum: Tensor, size: int, hop: int) -> Tensor:
    """Inverse of :func:`stft` by least squares (Griffin & Lim 1984, eq. 6).

    Args:
        spectrum: complex [..., size // 2 + 1, F].

    Returns:
        [..., F * hop].
    """
    frames = torch.fft.irfft(spectrum.mT, n=size)
    total = overlap_add_buffer(frames.shape[:-2], frames.shape[-2], size, hop, frames.device)
    overlap_add(total, frames, synthesis_window(size, hop, frames.device))
    return finish_overlap_add(total, size, hop)


def overlap_add_buffer(
    others: Sequence[int], number: int, size: int, hop: int, device: torch.device
) -> Tensor:
    """Zeros to overlap-add frames to, [*others, number + ceil(size / hop) - 1, hop]."""
    return torch.zeros(*others, number + -(-size // hop) - 1, hop, device=device)


def finish_overlap_add(total: Tensor, size: int, hop: int) -> Tensor:
    """Audio [..., F * hop] of the sum of all its frames (see :func:`overlap_add`).

    Trims the padding, and corrects the gain near the ends, where fewer windows overlap.
    """
    hops = -(-size // hop)
    number = total.shape[-2] - hops + 1
    left = (size - hop) // 2
    audio = total.flatten(-2)[..., left : left + number * hop]
    few = number <= 2 * hops
    gain = _end_gain(size, hop, number if few else 2 * hops, total.device)
    if few:
        return audio * gain
    length = hops * hop
    audio[..., :length] *= gain[:length]
    audio[..., -length:] *= gain[length:]
    return audio


def overlap_add(total: Tensor, frames: Tensor, window: Tensor) -> None:
    """Add windowed frames, each beginning a hop after the one before, to ``total``.

    Args:
        total: the sum, [..., F + ceil(size / hop) - 1, hop].
        frames: [..., F, size].
        window: [size].
    """
    number, size = frames.shape[-2:]
    hop = total.shape[-1]
    for part, begin in enumerate(range(0, size, hop)):
        some = slice(begin, min(begin + hop, size))
        length = some.stop - begin
        total[..., part : part + number, :length].addcmul_(frames[..., some], window[some])


@lru_cache(maxsize=32)
def _end_gain(size: int, hop: int, number: int, device: torch.device) -> Tensor:
    """The steady sum of squared windows over that of so few frames, [number * hop]."""
    with torch.inference_mode(False):
        square = hann(size, device).square()
        total = square.new_zeros(number + -(-size // hop) - 1, hop)
        overlap_add(total, square.expand(number, size), torch.ones_like(square))
        left = (size - hop) // 2
        steady = _steady_weight(size, hop, device).roll(-(left % hop)).repeat(number)
        return steady / total.flatten()[left : left + number * hop].clamp_min(_MIN_WEIGHT)


@lru_cache(maxsize=32)
def mel_filters(size: int, bands: int, sample_rate: int) -> Tensor:
    """Triangular mel filters [size // 2 + 1, bands] (HTK scale, peak one)."""
    with torch.inference_mode(False):
        filters: Tensor = torchaudio_functional().melscale_fbanks(
            size // 2 + 1, 0.0, sample_rate / 2, bands, sample_rate, norm=None, mel_scale="htk"
        )
    return filters


def mel_magnitudes(audio: Tensor, size: int, hop: int, bands: int, sample_rate: int) -> Tensor:
    """Mel magnitudes [..., bands, F] of audio [..., T]; T is padded to a whole frame."""
    audio = F.pad(audio, (0, -audio.shape[-1] % hop))
    magnitude = stft(audio, size, hop).abs()
    filters = mel_filters(size, bands, sample_rate).to(audio.device)
    return torch.einsum("...kf,kb->...bf", magnitude, filters)


def mel_distance(
    a: Tensor, b: Tensor, sample_rate: int, within: tuple[int, int] | None = None
) -> Tensor:
    """Mean absolute difference of log10 mel magnitudes, the project's measure of timbre.

    Floor 1e-4; the mean of window 2048 with 80 bands and window 512 with 40, hop a quarter.

    Args:
        a, b: audio [..., T].
        sample_rate: samples a second.
        within: samples [start, stop); only frames that cover some of them count. All by default.

    Returns:
        [...]
    """
    total = torch.zeros(a.shape[:-1], device=a.device)
    for size, bands in ((2048, 80), (512, 40)):
        hop = size // 4
        frames = slice(None) if within is None else slice(within[0] // hop, -(-within[1] // hop))
        mels = [
            mel_magnitudes(x, size, hop, bands, sample_rate)[..., frames].clamp_min(1e-4).log10()
            for x in (a, b)
        ]
        total = total + (mels[0] - mels[1]).abs().mean(dim=(-1, -2))
    return total / 2


@lru_cache(maxsize=32)
def band_weights(num_bins: int, max_hz: float, bands: int, top_hz: float) -> Tensor:
    """Weights of bins in mel-spaced bands, [num_bins, bands]; every row sums to one.

    Band centres are equally spaced in mel from 0 to ``top_hz``. A bin between two centres is split
    by linear interpolation in mel; one above ``top_hz`` belongs to the last band.

    Args:
        num_bins: bins from 0 to ``max_hz``.
        max_hz: frequency of the last bin.
        bands: number of bands.
        top_hz: centre of the last band.
    """
    with torch.inference_mode(False):
        hz = torch.linspace(0, max_hz, num_bins, dtype=torch.float64)
        mel = 2595 * torch.log10(1 + hz / 700)
        top = 2595 * torch.log10(torch.tensor(1 + top_hz / 700, dtype=torch.float64))
        position = (mel / top * (bands - 1)).clamp(0, bands - 1)
        lower = position.floor().long().clamp_max(bands - 2)
        fraction = (position - lower).float()
        weights = torch.zeros(num_bins, bands)
        rows = torch.arange(num_bins)
        weights[rows, lower] = 1 - fraction
        weights[rows, lower + 1] = fraction
    return weights


def to_bands(values: Tensor, weights: Tensor) -> Tensor:
    """Sum power-like values [..., bins, F] into bands [..., bands, F]."""
    return torch.einsum("...kf,kb->...bf", values, weights)


def from_bands(values: Tensor, weights: Tensor) -> Tensor:
    """Interpolate band values [..., bands, F] onto bins [..., bins, F]."""
    return torch.einsum("...bf,kb->...kf", values, weights)
