"""A step of the spectrogram model: its windows and pairs, its loss, and that it learns to fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_spectrogram import SMALL
from torch import Tensor, nn

from audiomask.checkpoint import load_checkpoint, restore
from audiomask.data.excerpt import Excerpt
from audiomask.networks.spectrogram import PRESETS, SpectrogramConfig, build_spectrogram
from audiomask.networks.spectrogram.continuation import join, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, mfcc, reference
from audiomask.training.tasks import spectrogram as module
from audiomask.training.tasks.spectrogram import SpectrogramBatch, SpectrogramTask, Windows

HOP, WINDOW = SMALL["hop_length"], SMALL["window"]


def config_of(preset: str = "default", **settings: Any) -> SpectrogramConfig:
    return SpectrogramConfig(**(PRESETS[preset] | SMALL | settings))


def songs(number: int, seed: int = 0) -> Excerpt:
    """Excerpts that get louder and softer in turns of six frames, each in two bands of its own."""
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


def task_of(preset: str = "default", **settings: Any) -> SpectrogramTask:
    torch.manual_seed(0)
    task = SpectrogramTask(build_spectrogram(preset, SMALL | settings), preset)
    if task.model.config.targets != "none":
        target = batch_of(task, 6).target
        task.model.target_clusters.find(mfcc(target).flatten(0, 1))
    return task


def batch_of(task: SpectrogramTask, number: int, seed: int = 0) -> SpectrogramBatch:
    work = task.batches(seed)
    sampled = torch.stack([work.sample(index) for index in range(number)])
    return work(songs(number, seed), sampled)


# Windows


def test_windows_are_compressed_powers_with_what_is_hidden() -> None:
    config = config_of(continuation_prob=0.0)
    work, excerpts = Windows(config, 1), songs(3)
    batch = work(excerpts, torch.stack([work.sample(index) for index in range(3)]))
    assert batch.inputs.shape == batch.target.shape == batch.hidden.shape == (6, WINDOW, 16)
    assert batch.truth.tolist() == [-1] * 6
    power = BandSpectrum(config)(excerpts.mixture[1, 0])
    for at, row in enumerate((2, 3)):
        own = power[at * WINDOW : (at + 1) * WINDOW]
        visible = ~batch.hidden[row].all(dim=1)
        expected = compress(own, reference(own, visible), config.exponent)
        assert torch.equal(batch.target[row], expected)
        assert torch.equal(batch.inputs[row][visible], expected[visible])
        assert not torch.equal(batch.inputs[row], expected)


def test_items_are_their_seed_and_index() -> None:
    work, excerpts = Windows(config_of(), 1), songs(2)
    sampled = torch.stack([work.sample(3), work.sample(4)])
    first, again = work(excerpts, sampled), Windows(work.config, 1)(excerpts, sampled)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(work.sample(3), work.sample(4))
    assert not torch.equal(work.sample(3), Windows(work.config, 2).sample(3))


class Ramp:
    """Stands for the spectrum: the power of a frame tells which song and frame it is."""

    def __call__(self, audio: Tensor) -> Tensor:
        frames = audio.shape[0] // HOP
        power = torch.ones(frames, 16)
        power[:, 3] += audio[0] + torch.arange(frames) / 1_000
        return power


def numbered(batch: int) -> Excerpt:
    samples = SpectrogramTask.samples(config_of())
    mixture = torch.arange(batch).float()[:, None, None].expand(batch, 1, samples)
    return Excerpt(mixture, torch.zeros(batch, 1, 1, 1), torch.zeros(batch) > 0)


def test_false_halves_are_of_other_songs_or_of_other_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BandSpectrum", lambda config: Ramp())
    joined: list[tuple[Tensor, Tensor]] = []

    def spy(first: Tensor, second: Tensor) -> Tensor:
        joined.append((first, second))
        return join(first, second)

    monkeypatch.setattr(module, "join", spy)
    work = Windows(config_of(continuation_prob=1.0), 0)
    sampled = torch.stack([work.sample(index) for index in range(40)])
    truth = work(numbered(40), sampled).truth
    kinds = []
    for number, ((first, second), true) in enumerate(zip(joined, truth.tolist(), strict=True)):
        song, other = (int(part[0, 3]) - 1 for part in (first, second))
        frames = [(part[:, 3] - part[:, 3].floor()) * 1_000 for part in (first, second)]
        assert song == number // 2
        assert float(frames[0][0]) == pytest.approx(number % 2 * WINDOW, abs=0.1)
        begin = float(frames[1][0])
        if true:
            kinds.append("true")
            assert other == song
            assert begin == pytest.approx(float(frames[0][-1]) + 1, abs=0.1)
        elif other == song:
            kinds.append("same")
            assert (begin < WINDOW) == (number % 2 == 1)
        else:
            kinds.append("other")
            assert other == (song + 1) % 40
        steps = frames[1].diff()
        assert torch.allclose(steps, torch.ones_like(steps), atol=0.1)
    assert 25 < kinds.count("true") < 55
    assert kinds.count("same") > 8
    assert kinds.count("other") > 8


def test_the_middle_of_a_pair_is_the_separator_and_is_not_predicted() -> None:
    config = config_of(continuation_prob=1.0)
    work = Windows(config, 0)
    batch = work(songs(4), torch.stack([work.sample(index) for index in range(4)]))
    span = middle(config)
    assert torch.equal(batch.inputs[:, span], separator(config).expand(8, -1, -1))
    assert not batch.hidden[:, span].any()
    assert batch.hidden.any(dim=(1, 2)).all()
    assert set(batch.truth.tolist()) == {0, 1}


def test_an_excerpt_is_two_windows_of_any_sound() -> None:
    config = config_of()
    assert SpectrogramTask.samples(config) == 2 * WINDOW * HOP
    assert SpectrogramTask.stems(config, {"flute", "bass"}) == ("bass", "flute")
    assert len(SpectrogramTask.stems(config, ())) > 1
    assert not SpectrogramTask.needs_stems


# The loss


TERMS = {
    "default": {"magnitude", "cluster", "continuation"},
    "frame-transformer": {"magnitude", "cluster", "continuation"},
    "mockingjay": {"magnitude"},
    "audio-albert": {"magnitude"},
    "tera": {"magnitude"},
    "hubert": {"cluster"},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_loss_is_the_weighted_sum_and_trains_every_part(preset: str) -> None:
    task = task_of(preset)
    loss, terms = task.loss(batch_of(task, 6))
    assert terms.keys() == TERMS[preset]
    assert not any(value.requires_grad for value in terms.values())
    weights = vars(task.model.config)
    expected = sum(weights[f"{name}_weight"] * float(value) for name, value in terms.items())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    torch.autograd.backward(loss)
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert len(list(task.repeated_blocks())) == (1 if preset == "audio-albert" else 2)


def test_the_adversary_sees_predictions_in_hidden_frames_only() -> None:
    task = task_of(adversary_weight=0.5)
    batch = batch_of(task, 4)
    seen = []
    critic = task.model.adversary
    assert critic is not None
    critic.register_forward_pre_hook(lambda _, given: seen.append(given))
    _, terms = task.loss(batch)
    assert terms.keys() == TERMS["default"] | {"adversary"}
    ((filled, target, where),) = seen
    assert torch.equal(where, batch.hidden.all(dim=-1))
    assert torch.equal(filled[~where], target[~where])
    assert not torch.equal(filled[where], target[where])


def test_the_loss_may_be_on_everything() -> None:
    task, everywhere = task_of("mockingjay"), task_of("mockingjay", loss_on="all")
    batch = batch_of(task, 3)
    inputs = batch.inputs
    with torch.no_grad():
        predicted = task.model.predict_magnitudes(task.model.hidden(inputs), inputs)
        distance = (predicted - batch.target).abs()
        own = float(task.loss(batch)[1]["magnitude"])
        whole = float(everywhere.loss(batch)[1]["magnitude"])
    assert whole == pytest.approx(float(distance.mean()), rel=1e-4)
    each = [float(d[h].mean()) for d, h in zip(distance, batch.hidden, strict=True)]
    assert own == pytest.approx(sum(each) / len(each), rel=1e-4)


# Learning


@pytest.mark.slow
def test_it_fills_hidden_frames_and_knows_continuations() -> None:
    # in turns of six frames, an interpolation is worse than nothing
    task = task_of(dim=48, continuation_prob=0.5, other_song=1.0, base="none")
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=4e-3, betas=(0.9, 0.98))
    batches = [batch_of(task, 8, seed) for seed in range(20)]
    for step in range(240):
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1, (step + 1) / 20, 2 * (1 - step / 240))
        loss, _ = task.loss(batches[step % 20])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
    task.model.eval()
    batch = batch_of(task, 32, 99)  # songs that it never saw
    blanked = batch.hidden.all(dim=-1) & batch.inputs.eq(1).all(dim=-1)
    with torch.no_grad():
        hidden = task.model.hidden(batch.inputs)
        found = task.model.predict_magnitudes(hidden, batch.inputs)
        answers = task.model.predict_continuation(hidden)
    mean = batch.target.mean(dim=1, keepdim=True).expand_as(found)
    errors = [float((x - batch.target).abs()[blanked].mean()) for x in (found, mean)]
    assert errors[0] < 0.6 * errors[1]
    pairs = batch.truth >= 0
    assert float(((answers > 0) == (batch.truth == 1))[pairs].float().mean()) > 0.8


# Its checkpoint


def test_the_checkpoint_makes_the_same_model(tmp_path: Path) -> None:
    task = task_of("frame-transformer")
    task.save(tmp_path, task.model.state_dict(), {"step": 3})
    found = load_checkpoint(tmp_path, "spectrogram")
    assert (found.preset, found.notes, found.requires) == ("frame-transformer", {"step": 3}, {})
    again = restore(found).eval()
    assert again.config == task.model.config
    features = torch.rand(1, WINDOW, 16)
    hidden, expected = again.hidden(features), task.model.eval().hidden(features)
    assert torch.allclose(hidden, expected, atol=2e-2)
    own = task.model.target_clusters
    assert own is not None
    assert torch.allclose(again.target_clusters.centers, own.centers, atol=1e-2)
