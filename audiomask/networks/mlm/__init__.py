"""The masked language model over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiomask.errors import ConfigError
from audiomask.networks.mlm.config import PAPER, MLMConfig
from audiomask.networks.mlm.model import MaskedLM

#: what an MLM's configuration and its VQ-VAE's both tell, and no tensor's shape holds to account
SHARED = ("codebook_size", "code_dim", "hop_length", "sample_rate")


def build_mlm(
    preset: str, settings: Mapping[str, Any], codebooks: Tensor | None = None
) -> MaskedLM:
    """A masked language model with random weights.

    Args:
        preset: "default" or "paper".
        settings: fields of MLMConfig; those of the VQ-VAE have no default.
        codebooks: the VQ-VAE's code vectors [levels, K, D].

    Raises:
        ConfigError: an unknown preset or field.
    """
    if preset not in ("default", "paper"):
        raise ConfigError(f"no MLM preset '{preset}' (there are: default, paper)")
    base: dict[str, Any] = dict(PAPER) if preset == "paper" else {}
    try:
        return MaskedLM(MLMConfig(**(base | dict(settings))), codebooks)
    except TypeError as error:
        raise ConfigError(f"MLM preset {preset}: {error}") from error


def check_required(config: MLMConfig, required: Mapping[str, Any]) -> None:
    """Check an MLM's configuration against that of the VQ-VAE whose tokens it reads.

    Args:
        config: the MLM's.
        required: configurations by kind; "vqvae" is in it.

    Raises:
        ConfigError: they differ.
    """
    vqvae = required["vqvae"]
    for name in SHARED:
        here, there = getattr(config, name), getattr(vqvae, name)
        if here != there:
            raise ConfigError(f"{name} is {here}, but {there} in its VQ-VAE")
    if config.levels > vqvae.levels:
        raise ConfigError(f"levels is {config.levels}; its VQ-VAE has {vqvae.levels}")
