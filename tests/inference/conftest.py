"""Tiny models with random weights: inference must be right whatever a model has learned."""

import pytest
import torch

from audiomask.mlm import MaskedLM, build_mlm
from audiomask.vqvae import AnyVQVAE, build_vqvae

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
