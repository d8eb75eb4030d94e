"""The spectrogram model: predicts hidden parts of a spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.spectrogram.presets import PRESETS


def build_spectrogram(preset: str, settings: Mapping[str, Any]) -> SpectrogramModel:
    """A spectrogram model with random weights.

    Args:
        preset: a name in ``PRESETS``.
        settings: fields of SpectrogramConfig, over those of the preset.

    Raises:
        ConfigError: an unknown preset or field, or an invalid value.
    """
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise ConfigError(f"no spectrogram preset '{preset}' (there are: {known})")
    try:
        return SpectrogramModel(SpectrogramConfig(**(PRESETS[preset] | dict(settings))))
    except TypeError as error:
        raise ConfigError(f"spectrogram preset {preset}: {error}") from error
