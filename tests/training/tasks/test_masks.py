"""A step of the mask U-Net: its batches, its loss, and that it learns whose each band is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy_songs import FRAMES, HOP, Songs, batch_of, excerpts, learn, masks_task

from audiomask.audio.spectra import band_weights, stft
from audiomask.checkpoint import load_checkpoint, restore
from audiomask.errors import UsageError
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.masks.losses import active, mask_loss
from audiomask.separation.band_power import BandPower
from audiomask.training.tasks import masks as module
from audiomask.training.tasks.masks import BandSums, MasksTask

# Batches


@pytest.mark.parametrize("channels", [1, 2])
def test_band_sums_are_those_of_the_spectra(channels: int) -> None:
    mixture, stems, _ = Songs(channels)[3]
    power, between, stem_power, cross = BandSums(masks_task().model.config).band_sums(stems)
    weights = band_weights(129, 4_000.0, 12, 4_000.0)
    x, s = stft(mixture, 256, HOP), stft(stems, 256, HOP)
    assert torch.allclose(power, weights.T @ x.abs().square(), atol=1e-5)
    assert torch.allclose(stem_power, weights.T @ s.abs().square(), atol=1e-5)
    assert torch.allclose(cross, weights.T @ (s * x.conj()).real, atol=1e-5)
    assert torch.allclose(between, weights.T @ (x[0] * x[-1].conj()).real, atol=1e-5)
    # each song is the sum of its stems: so are the cross-powers
    assert torch.allclose(cross.sum(dim=0), power, atol=1e-4)
    assert power.shape == (channels, 12, FRAMES)
    assert between.shape == (12, FRAMES)
    assert stem_power.shape == cross.shape == (3, channels, 12, FRAMES)


def test_silent_stems_and_silent_songs_have_no_power() -> None:
    sums, stems = BandSums(masks_task().model.config), Songs(2)[3].stems
    stems[0] = 0
    found = sums.band_sums(stems)
    assert not found.stem_power[[0, 2]].any()
    assert not found.cross_power[[0, 2]].any()
    assert torch.allclose(found.stem_power[1], found.mixture_power, atol=1e-5)
    for part in sums.band_sums(torch.zeros_like(stems)):
        assert not part.any()


def test_swapped_channels_have_swapped_sums() -> None:
    sums, stems = BandSums(masks_task().model.config), Songs(2)[3].stems
    plain, swapped = sums.band_sums(stems), sums.band_sums(stems.flip(1))
    assert torch.equal(swapped.mixture_power, plain.mixture_power.flip(0))
    assert torch.equal(swapped.channel_cross, plain.channel_cross)
    assert torch.equal(swapped.stem_power, plain.stem_power.flip(1))
    assert torch.equal(swapped.cross_power, plain.cross_power.flip(1))


def test_training_hears_what_separation_hears() -> None:
    config = masks_task().model.config
    mixture, stems, _ = Songs(2)[3]
    batch = BandSums(config).band_sums(stems)
    heard = BandPower(config.sample_rate, 12, 256, HOP, torch.device("cpu")).stereo(mixture)
    assert torch.allclose(batch.mixture_power, heard[0], atol=1e-4)
    assert torch.allclose(batch.channel_cross, heard[1], atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_batch_is_of_each_song_by_itself(channels: int) -> None:
    task = masks_task(audio_channels=channels)
    batch, songs = batch_of(task, 0, 5), excerpts(0, 5, channels)
    assert batch.mixture_power.shape == (5, channels, 12, FRAMES)
    assert batch.channel_cross.shape == (5, 12, FRAMES)
    assert batch.stem_power.shape == batch.cross_power.shape == (5, 3, channels, 12, FRAMES)
    sums = BandSums(task.model.config)
    for index in range(5):
        alone = sums.band_sums(songs.stems[index], float(sums.sample(index)))
        assert all(torch.equal(part[index], own) for part, own in zip(batch, alone, strict=True))


def test_some_excerpts_lose_their_highest_frequencies() -> None:
    sums = BandSums(masks_task().model.config, seed=3)
    sampled = torch.stack([sums.sample(index) for index in range(400)])
    assert torch.equal(sampled[7], sums.sample(7))
    assert not torch.equal(
        sampled, torch.stack([BandSums(sums.config, 4).sample(n) for n in range(400)])
    )
    cut = sampled[sampled < 1]
    assert len(cut) == pytest.approx(400 * module.LOWPASSED, abs=30)
    assert module.CUTOFFS[0] <= cut.min() < cut.max() <= module.CUTOFFS[1]
    noise = 0.1 * torch.randn(2, 2, FRAMES * HOP)
    whole, low = sums.band_sums(noise), sums.band_sums(noise, 0.5)
    edge = 8  # of twelve mel-spaced bands up to 4 kHz, those from here on lie above 2 kHz
    for full, kept in zip(whole, low, strict=True):
        assert not kept[..., edge + 1 :, :].any()
        assert torch.equal(kept[..., : edge - 1, :], full[..., : edge - 1, :])


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
    assert terms.keys() == module.WEIGHTS.keys() == {"amplitude", "ratio", "entropy", "activity"}
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
    batch = batch_of(task, 0, 4)
    batch.stem_power[0, 0] = 0  # a stem that does not play
    shares, activity = task.model(batch.mixture_power, batch.channel_cross)
    assert shares.shape[1] == batch.stem_power.shape[1] == 3
    expected = mask_loss(shares, batch.mixture_power, batch.stem_power, batch.cross_power)
    plays = active(batch.mixture_power, batch.stem_power[:, :2])
    expected["activity"] = -torch.where(plays, activity, -activity).sigmoid().log().mean()
    assert plays.any()
    assert not plays.all()
    terms = task.loss(batch)[1]
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


# Learning


@pytest.mark.slow
@torch.no_grad()
def test_it_gives_each_stem_its_bands() -> None:
    task = masks_task(dim=16, heads=2)
    with torch.enable_grad():
        learn(task, 120, 8e-3)
    batch = batch_of(task, 5_000, 64)  # songs that it never saw
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
    batch = batch_of(task, 0, 1)
    with torch.no_grad():
        found_masks = again(batch.mixture_power, batch.channel_cross)
        expected = task.model.eval()(batch.mixture_power, batch.channel_cross)
    for part, own in zip(found_masks, expected, strict=True):
        assert torch.allclose(part, own, atol=2e-2)
