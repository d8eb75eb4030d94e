"""Loss of masks: how far the stems that they make are from the true ones."""

from __future__ import annotations

import torch
from torch import Tensor


def band_errors(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> Tensor:
    """Energy of ``stem - share * mixture`` in every band, from sums over the band's bins.

    With one real share M a band, Σ|S − M X|² = Σ|S|² − 2 M Σ Re(S X*) + M² Σ|X|²: the loss
    needs no spectrum, only these sums.

    Args:
        shares: [B, S, bands, F].
        mixture_power: Σ|X|² [B, bands, F].
        stem_power: Σ|S|² [B, S, bands, F].
        cross_power: Σ Re(S X*) [B, S, bands, F].

    Returns:
        [B, S, bands, F], never negative.
    """
    error = stem_power - 2 * shares * cross_power + shares.square() * mixture_power[:, None]
    return error.clamp_min(0)


def mask_loss(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> dict[str, Tensor]:
    """How far stems made of shares of the mixture are from the true ones, in two measures.

    Arguments as in ``band_errors``.

    Returns:
        ``amplitude``: sum of the error's band amplitudes over the mixture's, so that quiet
        bands count; ``ratio``: the signal-to-distortion ratio in dB, negated and limited to
        30 dB, so that quiet stems count. Both are means over rows and stems.
    """
    error = band_errors(shares, mixture_power, stem_power, cross_power)
    total = mixture_power.sum(dim=(-1, -2))[:, None].clamp_min(1e-9)
    tiny = 1e-7 * total[..., None, None]
    amplitude = (error + tiny).sqrt().sum(dim=(-1, -2)) / (
        (mixture_power[:, None] + tiny).sqrt().sum(dim=(-1, -2))
    )
    wanted = stem_power.sum(dim=(-1, -2))
    # stems 30 dB under the mixture, or absent, ask only for silence
    floor = 1e-3 * total
    ratio = 10 * torch.log10((error.sum(dim=(-1, -2)) + floor) / (wanted + floor))
    return {"amplitude": amplitude.mean(), "ratio": ratio.mean()}
