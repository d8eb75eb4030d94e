"""Band features: the input that networks take of a mixture's spectrum."""

from torch import Tensor


def band_features(power: Tensor) -> Tensor:
    """Log power of each band, relative to the window's mean power.

    Args:
        power: summed over each band, [B, bands, F].

    Returns:
        [B, bands, F], about zero mean and unit range.
    """
    level = power.mean(dim=(1, 2), keepdim=True).clamp_min(1e-10)
    return ((power / level).clamp_min(1e-6).log10() + 2) / 2
