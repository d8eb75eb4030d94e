"""The masked language model over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiomask.errors import ConfigError
from audiomask.networks.mlm.config import PAPER, MLMConfig
from audiomask.networks.mlm.model import MaskedLM

#: fields that the configurations of an MLM and its VQ-VAE must have in common
SHARED_FIELDS = ("codebook_size", "code_dim", "hop_length", "sample_rate")


def build_mlm(
    preset: str, settings: Mapping[str, Any], codebooks: Tensor | None = None
) -> MaskedLM:
    """A masked language model with random weights.

    Args:
        preset: "default" or "paper".
        settings: fields of MLMConfig; those of the VQ-VAE are required.
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
    """Check that an MLM reads the tokens of the VQ-VAE it requires.

    Args:
        config: the MLM's configuration.
        required: configurations of required checkpoints by kind; "vqvae" is among them.

    Raises:
        ConfigError: they differ.
    """
    vqvae = required["vqvae"]
    for name in SHARED_FIELDS:
        here, there = getattr(config, name), getattr(vqvae, name)
        if here != there:
            raise ConfigError(f"{name} is {here}, but {there} in its VQ-VAE")
    if config.levels > vqvae.levels:
        raise ConfigError(f"levels is {config.levels}; its VQ-VAE has {vqvae.levels}")
