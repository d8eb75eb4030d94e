"""A step of the spectrogram model: its windows and pairs, its loss, and that it learns to fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_spectrogram import SMALL
from torch import nn
from turning_songs import HOP, WINDOW, config_of, songs

from audiomask.checkpoint import load_checkpoint, restore
from audiomask.networks.spectrogram import PRESETS, build_spectrogram
from audiomask.networks.spectrogram.features import mfcc
from audiomask.training.masked_windows import SpectrogramBatch
from audiomask.training.tasks.spectrogram import SpectrogramTask


def task_of(preset: str = "default", **settings: Any) -> SpectrogramTask:
    torch.manual_seed(0)
    task = SpectrogramTask(build_spectrogram(preset, SMALL | settings), preset)
    if task.model.target_clusters is not None:
        target = batch_of(task, 6).target
        task.model.target_clusters.find(mfcc(target).flatten(0, 1))
    return task


def batch_of(task: SpectrogramTask, number: int, seed: int = 0) -> SpectrogramBatch:
    work = task.batches(seed)
    sampled = torch.stack([work.sample(index) for index in range(number)])
    return work(songs(number, seed), sampled)


def test_an_excerpt_is_two_windows_and_half_a_window_from_far_away() -> None:
    # the spectrum's window reaches a frame beyond its own
    config = config_of(far_distance=2.5)
    far = SpectrogramTask.elsewhere(config)
    assert far == ((WINDOW // 2 + 2) * HOP, 20_000)
    assert SpectrogramTask.samples(config) == (2 * WINDOW + 1) * HOP + far.samples
    without = ({"far_passage": 0.0}, {"other_song": 1.0}, {"continuation_prob": 0.0})
    for settings in without:
        config = config_of(**settings)
        assert SpectrogramTask.elsewhere(config) is None
        assert SpectrogramTask.samples(config) == (2 * WINDOW + 1) * HOP


def test_it_learns_of_any_sound() -> None:
    config = config_of()
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


def test_codes_of_a_vqvae_are_predicted_in_hidden_frames() -> None:
    task = task_of("hubert", targets="vqvae", clusters=7)
    batch = batch_of(task, 4)
    codes = torch.randint(7, batch.target.shape[:2], generator=torch.Generator().manual_seed(0))
    _, terms = task.loss(batch._replace(codes=codes))
    with torch.no_grad():
        logits = task.model.predict_clusters(task.model.hidden(batch.inputs))
    frames = batch.hidden.all(dim=-1)
    nats = torch.nn.functional.cross_entropy(logits.mT, codes, reduction="none")
    each = [float(row[where].mean()) for row, where in zip(nats, frames, strict=True)]
    assert float(terms["cluster"]) == pytest.approx(sum(each) / len(each), rel=1e-4)


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
