"""Tiny mask U-Nets."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiomask.networks.masks import MaskUNet, build_masks

SIZE = {
    "sample_rate": 8000,
    "stft_size": 256,
    "hop_length": 64,
    "bands": 16,
    "window": 24,
    "channels": (4, 6),
    "dim": 16,
    "heads": 2,
    "layers": 1,
    "kernel": 3,
}


@pytest.fixture(scope="session")
def make() -> Callable[..., MaskUNet]:
    """``make(bands=8)``: a tiny model of two stems, in evaluation mode, its weights random.

    They are always the same.
    """

    def build(**settings: Any) -> MaskUNet:
        torch.manual_seed(0)
        return build_masks("default", SIZE | {"stems": ("low", "high")} | settings).eval()

    return build
