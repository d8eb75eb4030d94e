"""Toy songs and tiny models that learn them in seconds: tasks of every kind that needs stems."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.data.excerpt import Excerpt
from audiomask.networks.masks import build_masks
from audiomask.networks.mlm import build_mlm
from audiomask.training.task import Required, Task
from audiomask.training.tasks.masks import MasksTask
from audiomask.training.tasks.mlm import MLMTask

RATE, HOP, FRAMES = 8_000, 64, 33
#: bins of a frame's spectrum where the stems of the songs have their only partial
LOW, HIGH = 4, 24
LEVELS = (0.0, 0.1, 0.2, 0.3)
VQVAE = "f" * 16


class Meter(nn.Module):
    """Stands for a VQ-VAE: a frame's code tells the amplitudes of its low and its high partial."""

    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        spectrum = torch.fft.rfft(audio.unfold(-1, HOP, HOP)).abs() / (HOP / 2)
        low, high = ((spectrum[..., k] / 0.1).round().long().clamp(0, 3) for k in (LOW, HIGH))
        return (4 * low + high)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        low, high = codes[:, 0] // 4, codes[:, 0] % 4
        return sum(
            tone(0.1 * loudness, partial) for loudness, partial in ((low, LOW), (high, HIGH))
        )


def tone(loudness: Tensor, partial: int) -> Tensor:
    """A partial of so many amplitudes [..., F]: [..., F * HOP]."""
    time = torch.arange(loudness.shape[-1] * HOP)
    wave = torch.sin(2 * math.pi * partial / HOP * time)
    return loudness.repeat_interleave(HOP, dim=-1) * wave


class Songs:
    """A low and a high tone each, the loudness of each a random pattern of four frames.

    On two channels the low one is louder on the left, and the high one on the right.
    """

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels

    def __getitem__(self, index: int) -> Excerpt:
        random = torch.Generator().manual_seed(index)
        stems = torch.zeros(3, self.channels, FRAMES * HOP)
        for stem, partial in enumerate((LOW, HIGH)):
            pattern = torch.tensor(LEVELS)[torch.randint(4, (4,), generator=random)]
            stems[stem] = tone(pattern.repeat(FRAMES // 4 + 1)[:FRAMES], partial)
            if self.channels == 2:
                stems[stem, 1 - stem] *= 0.5
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(True))


def excerpts(first: int, number: int, channels: int = 1) -> Excerpt:
    """A batch of consecutive songs."""
    songs = [Songs(channels)[index] for index in range(first, first + number)]
    return Excerpt(*map(torch.stack, zip(*songs, strict=True)))


def mlm_task(preset: str = "default", **settings: Any) -> MLMTask:
    """A tiny language model of the songs' codes, its weights always the same."""
    torch.manual_seed(0)
    belongs = {"levels": 1, "codebook_size": 16, "code_dim": 8, "hop_length": HOP}
    size = {"sample_rate": RATE, "stems": ["low", "high"], "dim": 48, "heads": 4, "layers": 2}
    if preset == "default":
        size |= {"bands": 12, "band_stft": 256, "window": FRAMES, "band_frames": 1}
        size |= {"separated": 1.0, "draft": False}
    codebooks = F.normalize(torch.randn(1, 16, 8), dim=-1)
    model = build_mlm(preset, belongs | size | settings, codebooks)
    return MLMTask(model, preset, required={"vqvae": Required(VQVAE, Meter())})


def masks_task(**settings: Any) -> MasksTask:
    """A tiny mask U-Net for the songs, its weights always the same."""
    torch.manual_seed(0)
    grid = {"sample_rate": RATE, "stft_size": 256, "hop_length": HOP, "bands": 12}
    size = {"stems": ("low", "high"), "window": FRAMES, "channels": (4, 6)}
    size |= {"dim": 48, "heads": 4, "layers": 1}
    return MasksTask(build_masks("default", grid | size | settings), "default")


def batch_of(task: Task, first: int, number: int, seed: int = 0) -> Any:
    """A task's batch of consecutive songs, of as many channels as it takes."""
    work, channels = task.batches(seed), task.channels(task.model.config)
    sampled = torch.stack([work.sample(index) for index in range(first, first + number)])
    return work(excerpts(first, number, channels), sampled)


def learn(task: Task, steps: int, rate: float = 4e-3) -> None:
    """Train a task on some hundred songs, and leave its model in evaluation mode."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=rate, betas=(0.9, 0.98))
    batches = [batch_of(task, 12 * number, 12) for number in range(40)]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 20, 2 * (1 - step / steps))
        loss, _ = task.loss(batches[step % 40])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
    task.model.eval()
