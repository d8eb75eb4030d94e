"""Losses of the default VQ-VAE: how far the reconstruction is in what the ear resolves."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask import parallel
from audiomask.audio.spectra import mel_filters, stft

#: window -> mel bands; short windows hear onsets, long ones pitch. Hops are half a window:
#: a quarter costs twice the time of a training step and measured no better.
MEL_SCALES = {256: 20, 512: 40, 1024: 80, 2048: 128, 4096: 160}
FLOOR = 1e-4


def spectral_loss(target: Tensor, estimate: Tensor, sample_rate: int) -> dict[str, Tensor]:
    """Multi-resolution distances between audio [B, T] and its estimate [B, T].

    Returns:
        ``mel``: mean L1 of log10 mel magnitudes over the scales of ``MEL_SCALES``
        (Kumar et al. 2023, section 3.4); ``convergence``: mean L1 of linear magnitudes over
        the target's mean magnitude, which holds the strong partials (Yamamoto et al. 2020,
        eq. 3, with L1).
    """
    mel = target.new_zeros(())
    convergence = target.new_zeros(())
    for size, bands in MEL_SCALES.items():
        length = target.shape[-1] // size * size  # whole frames of every scale
        a = stft(target[..., :length], size, size // 2).abs()
        spectrum = stft(estimate[..., :length], size, size // 2)
        # the gradient of a complex magnitude at zero is undefined
        b = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
        filters = mel_filters(size, bands, sample_rate).to(a.device)
        logs = [torch.einsum("bkf,km->bmf", x, filters).clamp_min(FLOOR).log10() for x in (a, b)]
        mel = mel + (logs[0] - logs[1]).abs().mean()
        convergence = convergence + (a - b).abs().mean() / (parallel.mean(a.mean()) + 1e-3)
    number = len(MEL_SCALES)
    return {"mel": mel / number, "convergence": convergence / number}
