"""The raw-audio model: predicts each sample of 8 bits from up to half a million before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.networks.wave.config import PaperConfig, WaveConfig
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.paper import PaperWave

AnyWave = WaveModel | PaperWave


def build_wave(preset: str, settings: Mapping[str, Any]) -> AnyWave:
    """A raw-audio model with random weights.

    Args:
        preset: ``default`` or ``paper``.
        settings: fields of the preset's configuration.

    Raises:
        ConfigError: an unknown preset or field, or an invalid value.
    """
    try:
        if preset == "default":
            return WaveModel(WaveConfig(**settings))
        if preset == "paper":
            return PaperWave(PaperConfig(**settings))
    except TypeError as error:
        raise ConfigError(f"wave preset {preset}: {error}") from error
    raise ConfigError(f"no wave preset '{preset}' (there are: default, paper)")
