"""Tiny checkpoints: models of a few numbers, whose files are small enough to rewrite."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from audiomask.checkpoint import save_checkpoint
from audiomask.networks.masks import build_masks
from audiomask.networks.mlm import build_mlm
from audiomask.networks.vqvae import build_vqvae

RATE, HOP, CODES = 8000, 32, 8
_SHAPE = {"codebook_size": CODES, "code_dim": 2}
_VQVAE = {
    "default": {"levels": 2, "hop_length": HOP, "stft_size": 2 * HOP}
    | dict.fromkeys(("encoder_dim", "decoder_dim"), 4)
    | dict.fromkeys(("encoder_blocks", "decoder_blocks"), 1),
    "paper": {"blocks": 2, "channels": 2, "stft_size": 16},
}
_MLM = {"dim": 8, "heads": 2, "layers": 1, "window": 48, "kernel": 3, "stems": ("guitar", "bass")}
_ALIGNED = {"bands": 4, "band_stft": 64, "head_rank": 2}
_MASKS = {"bands": 4, "stft_size": 128, "hop_length": 2 * HOP, "channels": (2, 3), "window": 24}


def save_tiny(folder: Path, preset: str = "default") -> None:
    """Write ``vqvae`` and ``mlm`` of a preset, and ``masks``, with random weights.

    They are always the same.
    """
    torch.manual_seed(0)
    vqvae = build_vqvae(preset, _VQVAE[preset] | _SHAPE | {"sample_rate": RATE})
    fingerprint = _save(folder, "vqvae", preset, vqvae)
    config = vqvae.config
    same = {"levels": config.levels, "hop_length": config.hop_length, "sample_rate": RATE}
    more = _ALIGNED if preset == "default" else {}
    mlm = build_mlm(preset, _SHAPE | same | _MLM | more, vqvae.codebooks())
    _save(folder, "mlm", preset, mlm, vqvae=fingerprint)
    masks = build_masks("default", _MLM | _MASKS | {"sample_rate": RATE})
    _save(folder, "masks", "default", masks)


def _save(folder: Path, kind: str, preset: str, model: Any, **requires: str) -> str:
    config, weights = asdict(model.config), model.state_dict()
    return save_checkpoint(folder / kind, kind, preset, config, weights, requires=requires)
