"""The mask U-Net: soft masks of stems, from the band powers of a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.masks.unet import MaskUNet

__all__ = ["MaskUNet", "MasksConfig", "build_masks"]


def build_masks(preset: str, settings: Mapping[str, Any]) -> MaskUNet:
    """A mask U-Net with random weights.

    Args:
        preset: "default".
        settings: fields of MasksConfig.

    Raises:
        ConfigError: an unknown preset or field, or an invalid value.
    """
    if preset != "default":
        raise ConfigError(f"no masks preset '{preset}' (there is: default)")
    try:
        return MaskUNet(MasksConfig(**settings))
    except TypeError as error:
        raise ConfigError(f"masks preset {preset}: {error}") from error
