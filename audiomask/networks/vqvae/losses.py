"""Losses of the default VQ-VAE: distances between spectra, weighted as the ear resolves them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import mel_filters
from audiomask.networks.vqvae.spectrum import Spectrum
from audiomask.runtime import distributed

#: numbers of mel bands in which magnitudes are compared, beside single bins
MEL_BANDS = (20, 40, 80, 160)
FLOOR = 1e-4


@lru_cache(maxsize=8)
def bin_weights(bins: int, sample_rate: int, device: torch.device) -> Tensor:
    """Each bin's weight [bins], one on average: the slope of the mel scale plus a constant.

    Bins are spaced evenly in frequency: without weights, half the loss would lie above 11 kHz.
    """
    # a cached inference tensor could not be used in training later
    with torch.inference_mode(False):
        hertz = torch.linspace(0, sample_rate / 2, bins, device=device)
        slope = 1 / (700 + hertz)
        return 0.2 + 0.8 * slope / slope.mean()


def spectral_loss(target: Spectrum, estimate: Spectrum, sample_rate: int) -> dict[str, Tensor]:
    """Distances between a recording's spectrum and its reconstruction.

    Returns:
        ``bins``: weighted L1 of log10 magnitudes; ``mel``: mean L1 of log10 mel magnitudes over
        ``MEL_BANDS`` (Kumar et al. 2023, section 3.4, on one window); ``convergence``: L1 of the
        magnitudes' square roots over the target's mean, dominated by strong partials;
        ``advance``: squared distance of the phase advances, weighted by compressed
        magnitude.
    """
    weights = bin_weights(target.log_magnitude.shape[-1], sample_rate, target.log_magnitude.device)
    bins = (weights * (target.log_magnitude - estimate.log_magnitude).abs()).mean()
    magnitudes = [target.magnitude(), estimate.magnitude()]
    size = 2 * (len(weights) - 1)
    mel = target.log_magnitude.new_zeros(())
    for bands in MEL_BANDS:
        filters = mel_filters(size, bands, sample_rate).to(mel.device)
        a, b = ((x @ filters).clamp_min(FLOOR).log10() for x in magnitudes)
        mel = mel + (a - b).abs().mean()
    a, b = ((x + 1e-6).sqrt() for x in magnitudes)
    convergence = (weights * (a - b).abs()).mean() / (
        distributed.all_reduce_mean((weights * a).mean()) + 1e-3
    )
    tonal = target.advance.shape[-1]
    loudness = weights[:tonal] * magnitudes[0][..., :tonal].pow(0.3)
    distance = (target.advance - estimate.advance).square().sum(dim=0)
    advance = (loudness * distance).mean() / (distributed.all_reduce_mean(loudness.mean()) + 1e-3)
    return {
        "bins": bins,
        "mel": mel / len(MEL_BANDS),
        "convergence": convergence,
        "advance": advance,
    }
