"""A step of the raw-audio model: its windows, what is predicted of them, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_wave import PAPER, SMALL
from torch import Tensor, nn

from audiomask.data.excerpt import Excerpt
from audiomask.networks.wave import build_wave
from audiomask.networks.wave.config import PaperConfig, WaveConfig
from audiomask.networks.wave.mulaw import SILENCE, decode, encode
from audiomask.training.tasks.wave import WaveBatch, WaveTask, Windows

WINDOW = SMALL["window"]


def excerpts(audio: Tensor) -> Excerpt:
    """Excerpts [B, …] of mixtures [B, T]."""
    number, samples = audio.shape
    stems = torch.zeros(number, 1, 1, samples)
    return Excerpt(audio[:, None], stems, torch.zeros(number, dtype=torch.bool))


def noise(number: int, samples: int = WINDOW, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(number, samples, generator=draw)


def batch_of(work: Windows, audio: Tensor) -> WaveBatch:
    sampled = torch.stack([work.sample(index) for index in range(len(audio))])
    return work(excerpts(audio), sampled)


def test_a_window_is_its_excerpt_with_the_peak_at_full_scale_or_up_to_12_db_lower() -> None:
    work, audio = Windows(WaveConfig(**SMALL), 1), noise(40)
    batch = batch_of(work, audio)
    assert batch.levels.shape == (40, WINDOW)
    assert batch.first.shape == (40, 2)
    lowest = []
    for row, levels in zip(audio, batch.levels, strict=True):
        place = int(row.abs().argmax())
        peak = abs(int(levels[place]) - 127.5)
        lowest.append(peak)
        gain = float((decode(levels) * row).sum() / row.square().sum())
        assert int((encode(gain * row) - levels).abs().max()) <= 1
    # 12 dB are 31 of 128 levels there
    assert max(lowest) > 125
    assert 95 < min(lowest) < 110


def test_items_are_their_seed_and_index() -> None:
    work, audio = Windows(WaveConfig(**SMALL), 1), noise(2)
    first, again = batch_of(work, audio), batch_of(Windows(work.config, 1), audio)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = batch_of(Windows(work.config, 2), audio)
    assert not torch.equal(first.levels, other.levels)


def test_contexts_of_all_lengths_are_learned_and_silence_after_the_end_is_not() -> None:
    config = WaveConfig(**(SMALL | {"targets": 800, "window": 64 * 512}))
    audio = noise(1, config.window)
    audio[:, 40 * 512 + 100 :] = 0
    (first,) = batch_of(Windows(config), audio).first
    # runs of two of the 40 patches
    assert set(first.tolist()) <= set(range(39))
    # half are uniform, and a fifth of the others begin in the first patch: log 2 of log 40
    shares = first.bincount(minlength=40) / len(first)
    assert 0.06 < float(shares[0]) < 0.16
    assert float(shares[20:].sum()) > 0.25
    (silent,) = batch_of(Windows(config), torch.zeros(1, config.window)).levels
    assert silent.unique().tolist() == [SILENCE]


def test_the_papers_window_ends_with_the_sample_to_predict() -> None:
    config = PaperConfig(**PAPER)
    assert WaveTask.samples(config) == 801
    audio = noise(1, 801)
    audio[:, 700:] = 0
    batch = batch_of(Windows(config), audio)
    assert batch.first.shape == (1, 0)
    # a recording that is too short begins with silence
    assert batch.levels[0, :101].tolist() == [SILENCE] * 101
    assert int(batch.levels[0, 101]) != SILENCE


@pytest.mark.parametrize(("preset", "small"), [("default", SMALL), ("paper", PAPER)])
def test_the_loss_is_the_mean_of_the_models_bits(preset: str, small: dict[str, Any]) -> None:
    torch.manual_seed(0)
    task = WaveTask(build_wave(preset, small).eval(), preset)
    audio = noise(3, WaveTask.samples(task.model.config))
    batch = batch_of(task.batches(0), audio)
    loss, terms = task.loss(batch)
    assert terms == {}
    given = (batch.levels,) if preset == "paper" else (batch.levels, batch.first, 2)
    assert float(loss.detach()) == pytest.approx(float(task.model.bits(*given).detach().mean()))
    assert len(list(task.repeated_blocks())) == (2 if preset == "paper" else 4)


def learned(task: WaveTask, steps: int, audio: Tensor) -> list[float]:
    """The losses of steps on the same excerpts, with new windows each."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=5e-3)
    losses = []
    for step in range(steps):
        loss, _ = task.loss(batch_of(task.batches(step), audio))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_it_learns_what_linear_predictors_cannot() -> None:
    # a chaos in which every sample follows from the one before, without correlation
    audio = torch.linspace(-0.9, 0.95, 6)[:, None].repeat(1, WINDOW)
    for t in range(1, WINDOW):
        audio[:, t] = 1 - 1.9 * audio[:, t - 1].square()
    torch.manual_seed(0)
    task = WaveTask(build_wave("default", SMALL), "default")
    losses = learned(task, 60, audio)
    assert sum(losses[-5:]) / 5 < losses[0] - 1


def test_the_papers_model_learns() -> None:
    torch.manual_seed(0)
    task = WaveTask(build_wave("paper", PAPER), "paper")
    time = torch.arange(801) / 8_000
    audio = torch.sin(2 * torch.pi * torch.linspace(100, 900, 32)[:, None] * time)
    losses = learned(task, 60, audio)
    assert losses[0] > 7.5
    assert sum(losses[-5:]) / 5 < 7.3
