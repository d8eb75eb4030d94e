"""Tiny masked language models."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.model import MaskedLM

#: of a VQ-VAE with two levels of 12 codes in 4 dimensions
VQVAE = {"levels": 2, "codebook_size": 12, "code_dim": 4, "hop_length": 64, "sample_rate": 8000}
SIZE = {
    "dim": 16,
    "heads": 2,
    "layers": 2,
    "bands": 8,
    "band_stft": 256,
    "window": 24,
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def make(seed: None) -> Callable[..., MaskedLM]:
    """``make(kernel=0)``: a tiny model of the default preset with random weights."""

    def build(preset: str = "default", **settings: Any) -> MaskedLM:
        codebooks = torch.nn.functional.normalize(torch.randn(2, 12, 4), dim=-1)
        size = SIZE if preset == "default" else {"dim": 16, "heads": 2, "layers": 2, "window": 25}
        return build_mlm(preset, VQVAE | size | settings, codebooks).eval()

    return build
