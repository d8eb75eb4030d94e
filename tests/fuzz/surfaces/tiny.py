"""Tiny checkpoints: models of a few numbers, whose files are small enough to rewrite."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from audiomask.checkpoint import save_checkpoint
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
_FOLDED = {"bands": 4, "mask_channels": (2, 3), "mask_layers": 1, "band_stft": 64, "head_rank": 2}


def save_tiny(folder: Path, preset: str = "default") -> None:
    """Write ``vqvae`` and ``mlm`` of a preset, with random weights, always the same."""
    torch.manual_seed(0)
    vqvae = build_vqvae(preset, _VQVAE[preset] | _SHAPE | {"sample_rate": RATE})
    belongs = save_checkpoint(
        folder / "vqvae", "vqvae", preset, asdict(vqvae.config), vqvae.state_dict()
    )
    config = vqvae.config
    same = {"levels": config.levels, "hop_length": config.hop_length, "sample_rate": RATE}
    more = _FOLDED if preset == "default" else {}
    mlm = build_mlm(preset, _SHAPE | same | _MLM | more, vqvae.codebooks())
    note = {"vqvae": belongs}
    save_checkpoint(folder / "mlm", "mlm", preset, asdict(mlm.config), mlm.state_dict(), note)
