"""What networks read of a mixture's spectrum."""

from torch import Tensor


def band_features(power: Tensor) -> Tensor:
    """What the model reads of a mixture's spectrum: log power, relative to the window's level.

    Args:
        power: sum over each band, [B, bands, F].

    Returns:
        [B, bands, F], about zero mean and unit range.
    """
    level = power.mean(dim=(1, 2), keepdim=True).clamp_min(1e-10)
    return ((power / level).clamp_min(1e-6).log10() + 2) / 2
