"""Measures: numbers for how near a sound is to what it should be, and for how codes are used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.spectra import stft

#: root mean square below which a signal counts as silent, in dBFS
SILENCE = -60.0


def level(audio: Tensor) -> float:
    """Root mean square in dBFS; -inf for digital silence."""
    return float(20 * audio.square().mean().sqrt().log10())


def si_sdr(estimate: Tensor, target: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of [C, T], all channels as one signal.

    A constant offset counts as error.
    """
    # late: torchmetrics takes longer to import than everything else here
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    # in double: a float's sums over a minute are only good to 60 dB
    pair = (estimate.flatten().double(), target.flatten().double())
    return float(scale_invariant_signal_distortion_ratio(*pair, zero_mean=False))


def partial_correlation(estimate: Tensor, target: Tensor, sample_rate: int) -> float:
    """How well single partials are kept: 1 when all are, 0 for noise of the same colour.

    Mel distance and the predicted opinions hardly tell notes from noise with the notes'
    envelope. This is the correlation of what stands out: log10 magnitudes under 5 kHz in windows of
    some 93 ms, less their mean over 190 Hz around, in frames within 60 dB of the loudest.

    Args:
        estimate, target: [C, T]; T is padded to a whole frame.
        sample_rate: samples a second.

    Returns:
        Pearson's correlation over all channels, NaN if nothing stands out.
    """
    size = 1 << round(math.log2(0.093 * sample_rate))
    hop = size // 4
    missing = -target.shape[-1] % hop
    spectra = [stft(F.pad(x, (0, missing)), size, hop).abs() for x in (estimate, target)]
    hertz = sample_rate / size
    heard = spectra[1].square().sum(dim=-2)
    loud = heard > 1e-6 * heard.max()
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

    BSS Eval version 4 (Stöter, Liutkus and Ito 2018) of images: of every whole window the power
    of the true stem over that of the error, in dB; the median over the windows. Its distortion
    filters split the error further and leave this ratio as it is, so that none are needed here.
    Windows in which a stem or an estimate is digital silence do not count, for any stem.

    Args:
        estimates: [C, T] each.
        targets: the true stems, [C, T] each.
        window: samples of a window, those after the last whole one being left out; a song
            that is shorter is one window.

    Returns:
        One median for each stem, NaN if no window counts.
    """
    made, true = (torch.stack(list(part)).double() for part in (estimates, targets))
    size = min(window, true.shape[-1])
    # [stems, C, windows, size]
    made, true = (part.unfold(-1, size, size) for part in (made, true))
    sounding = torch.cat([made, true]).sum(dim=1).ne(0).any(dim=-1).all(dim=0)
    power, error = (part.square().sum(dim=(1, 3)) for part in (true, true - made))
    ratios = 10 * (power / error).log10()
    # not torch's median, which of two middle values takes the lower
    return [float(np.median(row)) if len(row) else math.nan for row in ratios[:, sounding].numpy()]


def entropy(codes: Tensor) -> float:
    """Bits a token of the codes' own distribution."""
    counts = torch.bincount(codes.flatten()).double()
    share = counts[counts > 0] / counts.sum()
    return float(-(share * share.log2()).sum())


class Usage(NamedTuple):
    """How one level's codebook is used.

    Attributes:
        tokens: how many codes were counted.
        bits: entropy of a code.
        perplexity: how many codes used evenly would have that entropy.
        used: share of the codebook that occurs.
        dead: how many of its codes do not.
    """

    tokens: int
    bits: float
    perplexity: float
    used: float
    dead: int


def usage(counts: Tensor) -> Usage:
    """How a codebook is used.

    Args:
        counts: int64 [K], how often each code occurs; one of them at least.
    """
    share = counts[counts > 0].double() / counts.sum()
    bits = float(-(share * share.log2()).sum())
    dead = int((counts == 0).sum())
    return Usage(int(counts.sum()), bits, 2**bits, 1 - dead / len(counts), dead)
