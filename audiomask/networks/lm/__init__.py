"""The language model: a causal transformer over tokens, one for each stage of a continuation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.networks.lm.config import WINDOWS, LMConfig, decided_by
from audiomask.networks.lm.model import TokenLM


def build_lm(preset: str, settings: Mapping[str, Any]) -> TokenLM:
    """A stage of the language model with random weights.

    Args:
        preset: ``default``.
        settings: fields of LMConfig; the stage and what its tokenizers decide are required.

    Raises:
        ConfigError: an unknown preset or field, or an invalid value.
    """
    if preset != "default":
        raise ConfigError(f"no language model preset '{preset}' (there is: default)")
    stage = settings.get("stage")
    own = {"window": WINDOWS[stage]} if stage in WINDOWS else {}
    try:
        return TokenLM(LMConfig(**(own | dict(settings))))
    except TypeError as error:
        raise ConfigError(f"language model preset {preset}: {error}") from error


def check_required(config: LMConfig, required: Mapping[str, Any]) -> None:
    """Check that a stage reads the tokens of the checkpoints that it requires.

    Args:
        config: the stage's.
        required: configurations of these checkpoints, by kind.

    Raises:
        ConfigError: they differ.
    """
    for name, value in decided_by(required).items():
        own = getattr(config, name)
        if own != value:
            raise ConfigError(f"{name} is {own}, but {value} in what its tokens are made by")
