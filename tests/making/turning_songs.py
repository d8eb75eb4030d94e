"""Excerpts and settings of tiny spectrogram models."""

from __future__ import annotations

from typing import Any

import torch
from tiny_spectrogram import SMALL

from audiomask.data.excerpt import Excerpt
from audiomask.networks.spectrogram import PRESETS, SpectrogramConfig
from audiomask.training.tasks.spectrogram import SpectrogramTask

HOP, WINDOW = SMALL["hop_length"], SMALL["window"]


def config_of(preset: str = "default", **settings: Any) -> SpectrogramConfig:
    return SpectrogramConfig(**(PRESETS[preset] | SMALL | settings))


def songs(number: int, seed: int = 0) -> Excerpt:
    """Excerpts that get louder and softer in turns of six frames, each in two bands of its own.

    Their far passage goes on as they do.
    """
    draw = torch.Generator().manual_seed(seed)
    samples = SpectrogramTask.samples(config_of())
    time = torch.arange(samples) / 8_000
    mixtures = []
    for pitch in torch.rand(number, 2, generator=draw) * 2_500 + 200:
        loud = 0.5 + 0.45 * torch.cos(2 * torch.pi * time * 8_000 / HOP / 6)
        mixtures.append(0.2 * (loud * torch.sin(2 * torch.pi * pitch[:, None] * time)).sum(dim=0))
    mixture = torch.stack(mixtures)[:, None]
    noise = 0.002 * torch.randn(mixture.shape, generator=draw)
    stems = torch.zeros(number, 3, 1, samples)
    return Excerpt(mixture + noise, stems, torch.zeros(number, dtype=torch.bool))
