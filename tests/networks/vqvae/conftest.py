"""Tiny VQ-VAEs, the same in every test."""

import pytest
import torch
from toy_paper import TINY

from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE
from audiomask.networks.vqvae.paper import PaperVQVAE


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tiny() -> VQVAEConfig:
    """All parts of the default preset at a size that trains in a second."""
    return VQVAEConfig(
        hop_length=64,
        stft_size=256,
        encoder_dim=16,
        encoder_blocks=2,
        decoder_dim=16,
        decoder_blocks=2,
        levels=3,
        codebook_size=16,
        code_dim=4,
    )


@pytest.fixture
def vqvae(seed: None, tiny: VQVAEConfig) -> VQVAE:
    """A model whose codebooks have seen a batch, ready for inference."""
    model = VQVAE(tiny)
    model(0.1 * torch.randn(4, 64 * 64))
    return model.eval()


@pytest.fixture
def paper(seed: None) -> PaperVQVAE:
    """A model of the paper preset, its weights as they are drawn."""
    return PaperVQVAE(TINY)
