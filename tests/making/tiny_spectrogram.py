"""Tiny spectrogram models: settings for every preset, and one that fills gaps."""

from functools import cache
from typing import Any

import torch

from audiomask.infill.spectrogram import SpectrogramFiller
from audiomask.networks.spectrogram import build_spectrogram

#: a model of a few frames and bands
SMALL: dict[str, Any] = {
    "sample_rate": 8000,
    "stft_size": 256,
    "hop_length": 128,
    "bands": 16,
    "window": 48,
    "dim": 16,
    "heads": 2,
    "layers": 2,
    "target_layer": 1,
    "clusters": 4,
    "semantic_clusters": 6,
    "shortest_span": 2,
    "longest_span": 6,
    "separator": 2,
    "blank": 2,
}
#: the default's rate and frames, and a window of half a second
GRID: dict[str, Any] = {
    "sample_rate": 44100,
    "stft_size": 4096,
    "hop_length": 1024,
    "window": 24,
}


@cache
def tiny_filler(bands: int = 64, window: int = 48) -> SpectrogramFiller:
    """Fills gaps with interpolated magnitudes: so the default begins, before it has learned."""
    torch.manual_seed(0)
    settings = SMALL | GRID | {"bands": bands, "window": window}
    return SpectrogramFiller(build_spectrogram("default", settings).eval(), torch.device("cpu"))
