"""A step of the mask U-Net: its batches, its loss, and that it learns whose each band is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_songs import FRAMES, HOP, batch_of, excerpts, learn, masks_task

from audiomask.checkpoint import load_checkpoint, restore
from audiomask.errors import UsageError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.losses import active, mask_loss
from audiomask.training.tasks import masks as module
from audiomask.training.tasks.masks import MasksTask


def test_an_excerpt_is_a_window_of_the_model() -> None:
    task = masks_task()
    assert MasksTask.samples(task.model.config) == FRAMES * HOP
    assert MasksTask.stems(task.model.config, {"flute"}) == ("low", "high")
    assert MasksTask.needs_stems
    assert [MasksTask.channels(masks_task(audio_channels=n).model.config) for n in (1, 2)] == [1, 2]
    # places and mixes of several songs
    assert MasksTask.augmentation.mashup > 0
    assert MasksTask.augmentation.incoherent > 0


def test_it_keeps_no_tokens() -> None:
    task = masks_task()
    with pytest.raises(UsageError, match="--keep-tokens is not for 'train masks'"):
        task.token_encoder(0)


# The loss


def test_the_loss_is_the_weighted_sum_and_trains_every_part() -> None:
    task = masks_task()
    loss, terms = task.loss(batch_of(task, 0, 4))
    assert terms.keys() == {"amplitude", "ratio", "entropy", "activity"}
    assert not any(value.requires_grad for value in terms.values())
    expected = float(sum(module.WEIGHTS[name] * value for name, value in terms.items()))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    torch.autograd.backward(loss)
    assert list(task.unused_parameters()) == []
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_the_loss_is_that_of_the_shares_of_every_stem_and_the_rest() -> None:
    task = masks_task()
    task.model.eval()
    whole = batch_of(task, 0, 4)
    batch = whole.sums
    batch.stem_power[0, 0] = 0  # a stem that does not play
    shares, activity = task.model(batch.mixture_power, batch.channel_cross)
    assert shares.shape[1] == batch.stem_power.shape[1] == 3
    expected = mask_loss(shares, batch.mixture_power, batch.stem_power, batch.cross_power)
    plays = active(batch.mixture_power, batch.stem_power[:, :2])
    expected["activity"] = -torch.where(plays, activity, -activity).sigmoid().log().mean()
    assert plays.any()
    assert not plays.all()
    terms = task.loss(whole)[1]
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(float(value), rel=1e-4)


def test_the_loss_is_of_full_precision_when_training_is_not() -> None:
    task = masks_task()
    batch = batch_of(task, 0, 2)
    seen = []

    def spy(shares: Tensor, *sums: Tensor) -> dict[str, Tensor]:
        seen.append((shares.dtype, torch.is_autocast_enabled("cpu")))
        return mask_loss(shares, *sums)

    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        patch.setattr(module, "mask_loss", spy)
        loss, _ = task.loss(batch)
    assert seen == [(torch.float32, False)]
    assert loss.dtype == torch.float32


def test_its_repeated_parts_are_the_transformers_layers() -> None:
    blocks = list(masks_task(layers=3).repeated_blocks())
    assert len(blocks) == 3
    assert all(isinstance(block, TransformerLayer) for block in blocks)


# Recordings without stems


def without_stems(number: int, known: int = 0) -> Any:
    """A batch of songs, of which only the first ``known`` have stems."""
    songs = excerpts(0, number, 2)
    songs = songs._replace(has_stems=torch.arange(number) < known)
    work = masks_task().batches(0)
    return work(songs, torch.stack([work.sample(index) for index in range(number)]))


def test_recordings_are_learned_from_with_a_teacher() -> None:
    task = masks_task()
    task.teacher = masks_task().model.eval()
    terms = task.loss(without_stems(5, 2))[1]
    assert terms.keys() == module.WEIGHTS.keys()
    alone, of_recordings = task.loss(without_stems(3))
    assert of_recordings.keys() == {"remix"}
    torch.autograd.backward(alone)
    trained = [p for p in task.model.parameters() if p.grad is not None and p.grad.any()]
    assert len(trained) > len(list(task.model.parameters())) / 2
    assert all(parameter.grad is None for parameter in task.teacher.parameters())


def test_a_recording_alone_teaches_nothing_and_breaks_nothing() -> None:
    task = masks_task()
    task.teacher = masks_task().model.eval()
    loss, terms = task.loss(without_stems(1))
    assert terms.keys() == {"remix"}
    # it is put together by any masks: at the floor of 30 dB, in tenths
    assert float(loss.detach()) == pytest.approx(-3, abs=0.02)
    torch.autograd.backward(loss)
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) < 1e-2, name


@pytest.mark.parametrize(("number", "known"), [(4, 4), (4, 2), (4, 1), (4, 0)])
def test_the_model_runs_once_a_step_whatever_a_batch_holds(number: int, known: int) -> None:
    # processes whose batches differ would wait for each other's normalizations forever
    task = masks_task()
    task.teacher = masks_task().model.eval()
    rows: list[int] = []
    task.model.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    task.loss(without_stems(number, known))
    assert rows == [number]


# Learning


@pytest.mark.slow
@torch.no_grad()
def test_it_gives_each_stem_its_bands() -> None:
    task = masks_task(dim=16, heads=2)
    with torch.enable_grad():
        learn(task, 120, 8e-3)
    batch = batch_of(task, 5_000, 64).sums  # songs that it never saw
    shares, activity = task.model(batch.mixture_power, batch.channel_cross)
    # of each band's energy, most is given to the stem whose it is
    for stem in range(2):
        own = batch.stem_power[:, stem] > 0.9 * batch.mixture_power
        loud = batch.mixture_power > 0.1
        power = batch.mixture_power[own & loud]
        assert len(power) > 100
        assert float((shares[:, stem][own & loud] * power).sum() / power.sum()) > 0.9
    # and it says that they play
    plays = active(batch.mixture_power, batch.stem_power[:, :2])
    assert float(((activity > 0) == plays).float().mean()) > 0.9


# Its checkpoint


def test_the_checkpoint_makes_the_same_model_and_requires_nothing(tmp_path: Path) -> None:
    task = masks_task()
    for _ in range(2):
        task.loss(batch_of(task, 0, 4))  # statistics of its own
    task.save(tmp_path, task.model.state_dict(), {"step": 3})
    found = load_checkpoint(tmp_path, "masks")
    assert (found.notes, found.requires) == ({"step": 3}, {})
    again = restore(found).eval()
    assert again.config == task.model.config
    batch = batch_of(task, 0, 1).sums
    with torch.no_grad():
        found_masks = again(batch.mixture_power, batch.channel_cross)
        expected = task.model.eval()(batch.mixture_power, batch.channel_cross)
    for part, own in zip(found_masks, expected, strict=True):
        assert torch.allclose(part, own, atol=2e-2)
