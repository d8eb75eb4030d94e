"""Tiny models with random weights: inference must be right whatever a model has learned."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from audiomask.checkpoint import save_checkpoint
from audiomask.networks.mlm import MaskedLM, build_mlm
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def vqvae() -> AnyVQVAE:
    torch.manual_seed(0)
    settings = {
        "encoder_dim": 16,
        "encoder_blocks": 2,
        "decoder_dim": 16,
        "decoder_blocks": 2,
        "levels": 2,
        "codebook_size": 32,
        "code_dim": 4,
    }
    return build_vqvae("default", settings).eval()


@pytest.fixture(scope="session")
def mlm(vqvae: AnyVQVAE) -> MaskedLM:
    torch.manual_seed(1)
    settings = {
        "levels": 2,
        "codebook_size": 32,
        "code_dim": 4,
        "hop_length": 512,
        "sample_rate": 44100,
        "dim": 32,
        "heads": 2,
        "layers": 1,
        "window": 128,
        "bands": 64,
        "mask_channels": (4, 6),
    }
    return build_mlm("default", settings, vqvae.codebooks()).eval()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints, ``vqvae`` and ``mlm``, that know nothing and run fast.

    Two levels of 32 codes, 86 frames a second, stems guitar and bass, a window of 48 frames.
    """
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    size = {"encoder_dim": 16, "encoder_blocks": 1, "decoder_dim": 16, "decoder_blocks": 1}
    codes = {"levels": 2, "codebook_size": 32, "code_dim": 4}
    vqvae = build_vqvae("default", size | codes)
    weights = vqvae.state_dict()
    fingerprint = save_checkpoint(
        folder / "vqvae", "vqvae", "default", asdict(vqvae.config), weights
    )
    size = {"dim": 16, "heads": 2, "layers": 1, "window": 48, "bands": 16, "mask_channels": (4, 6)}
    same = {"hop_length": 512, "sample_rate": 44100, "stems": ("guitar", "bass")}
    mlm = build_mlm("default", codes | size | same, vqvae.codebooks())
    notes = {"vqvae": fingerprint}
    save_checkpoint(folder / "mlm", "mlm", "default", asdict(mlm.config), mlm.state_dict(), notes)
    return folder
