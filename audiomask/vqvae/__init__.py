"""The VQ-VAE: audio to codes and back, in two presets behind one interface.

Both presets have ``config`` (with ``sample_rate``, ``hop_length``, ``levels``,
``codebook_size``, ``context``), ``encode``, ``decode``, ``codebooks`` and a training ``forward``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.vqvae.config import VQVAEConfig
from audiomask.vqvae.model import VQVAE
from audiomask.vqvae.paper import PaperConfig, PaperVQVAE

AnyVQVAE = VQVAE | PaperVQVAE


def build_vqvae(preset: str, settings: Mapping[str, Any] | None = None) -> AnyVQVAE:
    """A VQ-VAE with random weights.

    Args:
        preset: "default" or "paper".
        settings: fields of the preset's configuration that differ from it.

    Raises:
        ConfigError: an unknown preset or field.
    """
    try:
        if preset == "default":
            return VQVAE(VQVAEConfig(**(settings or {})))
        if preset == "paper":
            return PaperVQVAE(PaperConfig(**(settings or {})))
    except TypeError as error:
        raise ConfigError(f"VQ-VAE preset {preset}: {error}") from error
    raise ConfigError(f"no VQ-VAE preset '{preset}' (there are: default, paper)")
