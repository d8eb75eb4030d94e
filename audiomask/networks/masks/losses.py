"""Losses of masks, from sums over bands, and targets of activity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: lowest power of a present stem, as a share of the mixture's
_PRESENT = 1e-4
#: floors of the distortion ratio, as shares of the mixture's power, for present and absent stems
_FLOOR, _ABSENT_FLOOR = 1e-3, 1e-2
#: frames that the power is averaged over for activity
ACTIVITY_FRAMES = 43
#: lowest power of an active stem, as a share of the mixture's, and in all mixtures
ACTIVE_SHARE, _INAUDIBLE = 10**-3.5, 1e-7


def band_errors(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> Tensor:
    """Energy of ``stem - share * mixture`` in every band.

    With one real share M a band, Σ|S − M X|² = Σ|S|² − 2 M Σ Re(S X*) + M² Σ|X|², so sums over the
    band's bins suffice.

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
    """The terms of the loss, means over mixtures and stems.

    Arguments as in ``band_errors``.

    Returns:
        ``amplitude``: the error's amplitudes over the mixture's, both summed over bands, in which
        quiet bands count. ``ratio``: the negative signal-to-distortion ratio in dB, down to about
        -30, in which quiet stems count; for an absent stem, the error in dB above -20 dB of the
        mixture. ``entropy``: the cross-entropy of the true shares of the power, in nats, bands
        weighted by amplitude. Unlike those of the other terms, its gradient does not vanish where
        a mask is near 0, so that stems which are often absent are learned.
    """
    error = band_errors(shares, mixture_power, stem_power, cross_power)
    amplitude = amplitude_term(error, mixture_power)
    ratio = ratio_term(error, stem_power, mixture_power)
    true_shares = stem_power / stem_power.sum(dim=1, keepdim=True).clamp_min(1e-12)
    nats = -(true_shares * shares.clamp_min(1e-8).log()).sum(dim=1)
    weight = mixture_power.sqrt()
    # row by row, so that the mean over several processes is that of one
    entropy = (weight * nats).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp_min(1e-9)
    return {"amplitude": amplitude.mean(), "ratio": ratio.mean(), "entropy": entropy.mean()}


def amplitude_term(error: Tensor, mixture_power: Tensor) -> Tensor:
    """The amplitudes of errors [B, S, C, bands, F] over the mixture's, [B, S].

    Args:
        error: energies of errors.
        mixture_power: [B, C, bands, F].
    """
    tiny = 1e-7 * _total(mixture_power)[..., None, None, None]
    whole = (mixture_power[:, None] + tiny).sqrt().sum(dim=(2, 3, 4))
    return (error + tiny).sqrt().sum(dim=(2, 3, 4)) / whole


def ratio_term(error: Tensor, stem_power: Tensor, mixture_power: Tensor) -> Tensor:
    """The negative signal-to-distortion ratios in dB, with their floors, [B, S].

    Args:
        error: energies of errors [B, S, C, bands, F].
        stem_power: [B, S, C, bands, F].
        mixture_power: [B, C, bands, F].
    """
    total, target = _total(mixture_power), stem_power.sum(dim=(2, 3, 4))
    floor = torch.where(target > _PRESENT * total, _FLOOR, _ABSENT_FLOOR) * total
    return 10 * torch.log10((error.sum(dim=(2, 3, 4)) + floor) / (target + floor))


def _total(mixture_power: Tensor) -> Tensor:
    """The energies of mixtures [B, C, bands, F], [B, 1]."""
    return mixture_power.sum(dim=(1, 2, 3))[:, None].clamp_min(1e-9)


def active(mixture_power: Tensor, stem_power: Tensor) -> Tensor:
    """Whether stems are active: above -35 dB of the mixture in a second around each frame.

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
