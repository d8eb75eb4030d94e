"""Band features: the input that networks take of a mixture's spectrum."""

import torch
from torch import Tensor

#: how many features there are of a mixture with so many channels
FEATURES = {1: 1, 2: 3}
#: power under the window's mean at which a band counts as silent
_SILENT_SHARE = 1e-6
#: a level difference of so many powers of ten is the largest that counts
_MOST_DIFFERENCE = 2.0


def band_features(power: Tensor) -> Tensor:
    """Log power of each band, relative to the window's mean power.

    Args:
        power: summed over each band, [B, bands, F].

    Returns:
        [B, bands, F], about zero mean and unit range.
    """
    level = power.mean(dim=(1, 2), keepdim=True).clamp_min(1e-10)
    return ((power / level).clamp_min(_SILENT_SHARE).log10() + 2) / 2


def stereo_features(power: Tensor, cross: Tensor) -> Tensor:
    """What two channels have in common and how they differ, where they come from.

    Args:
        power: of both channels in every band, [B, 2, bands, F].
        cross: Σ Re(L R*) in every band, [B, bands, F].

    Returns:
        [B, 3, bands, F]: log power of the mean; the logarithm of the channels' ratio, in [-1, 1],
        negated when they are swapped; the real part of their coherence, in [-1, 1].
    """
    mean = power.mean(dim=1)
    floor = _SILENT_SHARE * mean.mean(dim=(1, 2), keepdim=True).clamp_min(1e-10)
    first, second = power.unbind(dim=1)
    ratio = ((first + floor) / (second + floor)).log10()
    difference = ratio.clamp(-_MOST_DIFFERENCE, _MOST_DIFFERENCE) / _MOST_DIFFERENCE
    coherence = (cross + floor) / ((first + floor) * (second + floor)).sqrt()
    return torch.stack([band_features(mean), difference, coherence.clamp(-1, 1)], dim=1)
