"""Batches of the masks: sums over bands, what lossy codecs do, recordings without stems."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from toy_songs import FRAMES, HOP, Songs, batch_of, excerpts, masks_task

from audiomask.audio.spectra import band_weights, stft
from audiomask.separation.band_power import BandPower
from audiomask.training import band_sums as module
from audiomask.training.band_sums import BandSums


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
    (batch, gram), songs = batch_of(task, 0, 5), excerpts(0, 5, channels)
    assert gram.shape == (0, channels, 0, channels, 12, FRAMES)
    assert batch.mixture_power.shape == (5, channels, 12, FRAMES)
    assert batch.channel_cross.shape == (5, 12, FRAMES)
    assert batch.stem_power.shape == batch.cross_power.shape == (5, 3, channels, 12, FRAMES)
    sums = BandSums(task.model.config)
    for index in range(5):
        alone = sums.band_sums(songs.stems[index], *sums.sample(index).tolist())
        assert all(torch.equal(part[index], own) for part, own in zip(batch, alone, strict=True))


def test_some_excerpts_lose_their_highest_frequencies() -> None:
    sums = BandSums(masks_task().model.config, seed=3)
    sampled = torch.stack([sums.sample(index) for index in range(400)])
    assert torch.equal(sampled[7], sums.sample(7))
    assert not torch.equal(
        sampled, torch.stack([BandSums(sums.config, 4).sample(n) for n in range(400)])
    )
    cut = sampled[:, 0][sampled[:, 0] < 1]
    assert len(cut) == pytest.approx(400 * module.LOWPASSED, abs=30)
    assert module.CUTOFFS[0] <= cut.min() < cut.max() <= module.CUTOFFS[1]
    noise = 0.1 * torch.randn(2, 2, FRAMES * HOP)
    whole, low = sums.band_sums(noise), sums.band_sums(noise, 0.5)
    edge = 8  # of twelve mel-spaced bands up to 4 kHz, those from here on lie above 2 kHz
    for full, kept in zip(whole, low, strict=True):
        assert not kept[..., edge + 1 :, :].any()
        assert torch.equal(kept[..., : edge - 1, :], full[..., : edge - 1, :])


def test_some_mixtures_go_through_mp3() -> None:
    config = dataclasses.replace(masks_task().model.config, sample_rate=44_100)
    sums = BandSums(config, seed=3)
    cutoff, compression = torch.stack([sums.sample(index) for index in range(2000)]).unbind(dim=1)
    coded = compression >= 0
    assert int(coded.sum()) == pytest.approx(2000 * 0.8 * module.MP3_PROB, abs=45)
    assert (compression[~coded] == -1).all()
    assert (cutoff[coded] == 1).all()
    assert float(compression.max()) <= module.STRONGEST
    assert float(compression[coded].min()) < 0.2
    assert (BandSums(masks_task().model.config, seed=3).sample(5)[1] == -1).all()
    # most of it below the frequencies that codecs remove
    stems = torch.nn.functional.avg_pool1d(torch.randn(2, 2, FRAMES * HOP), 9, 1, 4)
    plain, lossy = sums.band_sums(stems), sums.band_sums(stems, 1.0, 0.2)
    # the stems are those of before, the mixture is not quite their sum
    assert torch.equal(plain.stem_power, lossy.stem_power)
    share = lossy.cross_power.sum() / plain.cross_power.sum()
    assert 0.9 < float(share) < 1.02
    assert not torch.allclose(plain.mixture_power, lossy.mixture_power, rtol=1e-3)


def test_recordings_without_stems_are_their_products_with_each_other() -> None:
    sums, songs = BandSums(masks_task().model.config), excerpts(0, 5, 2)
    songs = songs._replace(has_stems=torch.tensor([True, False, True, False, False]))
    sampled = torch.stack([sums.sample(index) for index in range(5)])
    batch = sums(songs, sampled)
    plain = sums(songs._replace(has_stems=torch.ones(5, dtype=torch.bool)), sampled).sums
    for found, every in zip(batch.sums, plain, strict=True):
        assert torch.equal(found, every[[0, 2]])
    assert batch.gram.shape == (3, 2, 3, 2, 12, FRAMES)
    weights = band_weights(129, 4_000.0, 12, 4_000.0)
    x = stft(songs.mixture[[1, 3, 4]], 256, HOP)
    for k, left, m, right in ((0, 0, 0, 0), (0, 1, 2, 0), (2, 0, 1, 1)):
        expected = weights.T @ (x[k, left] * x[m, right].conj()).real
        assert torch.allclose(batch.gram[k, left, m, right], expected, atol=1e-5)
    alone = sums(songs._replace(has_stems=torch.zeros(5, dtype=torch.bool)), sampled)
    assert [part.shape[0] for part in alone.sums] == [0] * 4
    assert alone.sums.stem_power.shape[1:] == batch.sums.stem_power.shape[1:]
