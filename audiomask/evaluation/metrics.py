"""Metrics of audio against a reference, and of the usage of codebooks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.spectra import stft

#: dBFS of the root mean square below which a signal counts as silent
SILENCE = -60.0


def level(audio: Tensor) -> float:
    """Root mean square in dBFS; -inf for digital silence."""
    return float(20 * audio.square().mean().sqrt().log10())


def si_sdr(estimate: Tensor, target: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of [C, T], all channels as one signal.

    A constant offset counts as error.
    """
    # torchmetrics is slow to import
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    # in double: sums in float32 over a minute are exact to 60 dB only
    pair = (estimate.flatten().double(), target.flatten().double())
    return float(scale_invariant_signal_distortion_ratio(*pair, zero_mean=False))


def partial_correlation(estimate: Tensor, target: Tensor, sample_rate: int) -> float:
    """How well single partials are kept: 1 for all of them, 0 for noise with the same spectrum.

    Mel distance and predicted opinion scores hardly distinguish notes from noise with their
    spectral envelope. This is the correlation of the spectra's fine structure: log10 magnitudes
    below 5 kHz in windows of about 93 ms, minus their mean over the 190 Hz around, in frames within
    60 dB of the loudest.

    Args:
        estimate, target: [C, T]; T is padded to a whole frame.
        sample_rate: samples a second.

    Returns:
        Pearson's correlation over all channels; NaN without fine structure.
    """
    size = 1 << round(math.log2(0.093 * sample_rate))
    hop = size // 4
    missing = -target.shape[-1] % hop
    spectra = [stft(F.pad(x, (0, missing)), size, hop).abs() for x in (estimate, target)]
    hertz = sample_rate / size
    power = spectra[1].square().sum(dim=-2)
    loud = power > 1e-6 * power.max()
    width = 2 * round(95 / hertz) + 1
    details = []
    for magnitude in spectra:
        logs = (magnitude[..., : round(5000 / hertz), :] + 1e-5).log10().mT
        around = F.avg_pool1d(logs, width, 1, width // 2, count_include_pad=False)
        details.append((logs - around)[loud].flatten().double())
    return float(torch.corrcoef(torch.stack(details))[0, 1])


def snr(estimate: Tensor, target: Tensor) -> float:
    """Signal-to-noise ratio in dB of [C, T], all channels as one signal; inf without noise."""
    noise = (estimate.double() - target.double()).square().sum()
    return float(10 * (target.double().square().sum() / noise).log10())


def sdr(estimates: Sequence[Tensor], targets: Sequence[Tensor], window: int) -> list[float]:
    """Signal-to-distortion ratios of a song's stems as the museval package defines them.

    BSS Eval version 4 (Stöter, Liutkus and Ito 2018) of images: in each window, the power of the
    true stem over that of the error, in dB; then the median over windows. BSS Eval's distortion
    filters split the error further and do not change this ratio. Windows in which a stem or an
    estimate is digital silence are left out for all stems.

    Args:
        estimates: [C, T] each.
        targets: the true stems, [C, T] each.
        window: samples of a window. An incomplete last one is left out; a shorter song is one
            window.

    Returns:
        A median in dB for each stem; NaN without a window.
    """
    made, true = (torch.stack(list(part)).double() for part in (estimates, targets))
    size = min(window, true.shape[-1])
    # [stems, C, windows, size]
    made, true = (part.unfold(-1, size, size) for part in (made, true))
    sounding = torch.cat([made, true]).sum(dim=1).ne(0).any(dim=-1).all(dim=0)
    power, error = (part.square().sum(dim=(1, 3)) for part in (true, true - made))
    ratios = 10 * (power / error).log10()
    # not torch's median, which is the lower of two middle values
    return [float(np.median(row)) if len(row) else math.nan for row in ratios[:, sounding].numpy()]


def entropy(codes: Tensor) -> float:
    """Entropy of the codes' distribution, in bits a token."""
    counts = torch.bincount(codes.flatten()).double()
    share = counts[counts > 0] / counts.sum()
    return float(-(share * share.log2()).sum())


class _Usage(NamedTuple):
    """The usage of one level's codebook.

    Attributes:
        tokens: number of codes counted.
        bits: entropy of a code.
        perplexity: 2 to the power of ``bits``.
        used: share of the codebook's codes that occur.
        dead: number of its codes that do not.
    """

    tokens: int
    bits: float
    perplexity: float
    used: float
    dead: int


def usage(counts: Tensor) -> _Usage:
    """The usage of a codebook.

    Args:
        counts: how often each code occurs, int64 [K], not all 0.
    """
    share = counts[counts > 0].double() / counts.sum()
    bits = float(-(share * share.log2()).sum())
    dead = int((counts == 0).sum())
    return _Usage(int(counts.sum()), bits, 2**bits, 1 - dead / len(counts), dead)
