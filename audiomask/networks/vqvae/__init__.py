"""The VQ-VAE: audio to codes and back, in presets behind one interface.

Each has ``config`` (with ``sample_rate``, ``hop_length``, ``levels``, ``codebook_size``,
``context``), ``encode``, ``decode``, ``codebooks``, for infill ``vectors`` and ``inpaint``, and a
training ``forward``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiomask.errors import ConfigError
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE
from audiomask.networks.vqvae.paper import PaperConfig, PaperVQVAE

AnyVQVAE = VQVAE | PaperVQVAE

#: each preset's changes to its model's default configuration; "paper" is a model of its own
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # one token a frame: a larger codebook in place of finer levels, hence no level dropout
    "one-level": {"levels": 1, "codebook_size": 4096, "level_dropout": 0.0},
    # for long contexts: 43 frames a second and two levels, 0.86 kbit/s
    "coarse": {"hop_length": 1024, "stft_size": 4096, "levels": 2},
    "paper": {},
}


def build_vqvae(preset: str, settings: Mapping[str, Any] | None = None) -> AnyVQVAE:
    """A VQ-VAE with random weights.

    Args:
        preset: one of ``PRESETS``.
        settings: fields of the configuration that differ from the preset.

    Raises:
        ConfigError: an unknown preset or field.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no VQ-VAE preset '{preset}' (there are: {', '.join(PRESETS)})")
    fields = PRESETS[preset] | dict(settings or {})
    try:
        if preset == "paper":
            return PaperVQVAE(PaperConfig(**fields))
        return VQVAE(VQVAEConfig(**fields))
    except TypeError as error:
        raise ConfigError(f"VQ-VAE preset {preset}: {error}") from error
