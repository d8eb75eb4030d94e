"""Loss of masks: how far the stems that they make are from the true ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: shares of the mixture's power that count as silence, of stems that play and of those that do not
_FLOOR, _ABSENT_FLOOR = 1e-3, 1e-2
#: frames over which it is judged whether a stem plays
ACTIVITY_FRAMES = 43
#: share of the mixture's power from which a stem plays, and a power under which nothing does
ACTIVE_SHARE, _INAUDIBLE = 10**-3.5, 1e-7


def band_errors(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> Tensor:
    """Energy of ``stem - share * mixture`` in every band, from sums over the band's bins.

    With one real share M a band, Σ|S − M X|² = Σ|S|² − 2 M Σ Re(S X*) + M² Σ|X|²: the loss
    needs no spectrum, only these sums.

    Args:
        shares: [B, S, C, bands, F].
        mixture_power: Σ|X|² [B, C, bands, F].
        stem_power: Σ|S|² [B, S, C, bands, F].
        cross_power: Σ Re(S X*) [B, S, C, bands, F].

    Returns:
        [B, S, C, bands, F], never negative.
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
        30 dB, so that quiet stems count; of an absent one, what it has over 20 dB under the
        mixture. Both are means over rows and stems. ``entropy``: cross-entropy of the stems' true
        shares of the power, each band weighted by its amplitude. The other two hardly change a
        share that is near zero; this one does, so that no stem is lost for good.
    """
    error = band_errors(shares, mixture_power, stem_power, cross_power)
    total = mixture_power.sum(dim=(1, 2, 3))[:, None].clamp_min(1e-9)
    tiny = 1e-7 * total[..., None, None, None]
    amplitude = (error + tiny).sqrt().sum(dim=(2, 3, 4)) / (
        (mixture_power[:, None] + tiny).sqrt().sum(dim=(2, 3, 4))
    )
    wanted = stem_power.sum(dim=(2, 3, 4))
    floor = torch.where(wanted > _ABSENT_FLOOR * total, _FLOOR, _ABSENT_FLOOR) * total
    ratio = 10 * torch.log10((error.sum(dim=(2, 3, 4)) + floor) / (wanted + floor))
    true = stem_power / stem_power.sum(dim=1, keepdim=True).clamp_min(1e-12)
    missed = -(true * shares.clamp_min(1e-8).log()).sum(dim=1)
    weight = mixture_power.sqrt()
    entropy = (weight * missed).sum() / weight.sum().clamp_min(1e-9)
    return {"amplitude": amplitude.mean(), "ratio": ratio.mean(), "entropy": entropy}


def active(mixture_power: Tensor, stem_power: Tensor) -> Tensor:
    """Whether stems play: from 35 dB under the mixture on, about a second around each frame.

    Args:
        mixture_power: [B, C, bands, F].
        stem_power: [B, S, C, bands, F].

    Returns:
        bool [B, S, F].
    """
    mixture = _smooth(mixture_power.sum(dim=(1, 2))[:, None])
    return _smooth(stem_power.sum(dim=(2, 3))) > ACTIVE_SHARE * mixture + _INAUDIBLE


def _smooth(power: Tensor) -> Tensor:
    """Means over ``ACTIVITY_FRAMES`` around each frame of [B, S, F]."""
    half = ACTIVITY_FRAMES // 2
    return F.avg_pool1d(power, ACTIVITY_FRAMES, 1, padding=half, count_include_pad=False)
