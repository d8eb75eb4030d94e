"""Pairing: whether what an MLM's configuration tells is that of its VQ-VAE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomask.errors import CheckpointError
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig

#: what both configurations tell, and what no tensor's shape holds to account
SAME = ("codebook_size", "code_dim", "hop_length", "sample_rate")
#: names of stems that would be no names of files, or are taken
_NO_STEMS = ("", ".", "..", "all", "residual")


def check_pair(folder: Path, mlm: MLMConfig, vqvae: VQVAEConfig | PaperConfig) -> None:
    """Check an MLM's configuration against that of the VQ-VAE whose tokens it reads.

    What decides the shape of a tensor is held to account by the tensors; this is about the rest.

    Args:
        folder: of the MLM, for messages.
        mlm: its configuration.
        vqvae: the other.

    Raises:
        CheckpointError: they differ.
    """
    for name in SAME:
        here, there = getattr(mlm, name), getattr(vqvae, name)
        if here != there:
            raise CheckpointError(f"{folder}: {name} is {here}, but {there} in its VQ-VAE")
    if mlm.levels > vqvae.levels:
        raise CheckpointError(f"{folder}: levels is {mlm.levels}; its VQ-VAE has {vqvae.levels}")


def stem_names(folder: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The stems that an MLM's configuration names, each of which can name a file.

    Raises:
        CheckpointError: they are no list of names, or lead to another folder.
    """
    stems = config.get("stems")
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise CheckpointError(f"{folder}: 'stems' is no list of names")
    for stem in stems:
        if not stem.isprintable() or set(stem) & set("/\\:") or stem in _NO_STEMS:
            raise CheckpointError(f"{folder}: stem {stem!r:.40} cannot name a file")
    return tuple(stems)
