"""Masked windows and pairs of halves, decided by seed and index."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from turning_songs import HOP, WINDOW, config_of, songs

from audiomask.data.excerpt import Excerpt
from audiomask.networks.spectrogram.continuation import join, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.training import masked_windows as module
from audiomask.training.masked_windows import WINDOWS, Windows


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
    samples = WINDOWS * WINDOW * HOP
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


class Counter:
    """Stands for the VQ-VAE: the code of a frame tells which song and frame it is."""

    class config:
        hop_length = HOP // 2

    def encode(self, audio: Tensor, levels: int) -> Tensor:
        assert levels == 1
        frames = torch.arange(2 * audio.shape[1] // HOP)
        return (1_000 * audio[0, 0].round().long() + frames)[None, None]


def test_codes_are_cut_as_the_sound_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BandSpectrum", lambda config: Ramp())
    work = Windows(config_of(continuation_prob=1.0), 0)
    sampled = torch.stack([work.sample(index) for index in range(20)])
    assert work(numbered(20), sampled).codes.shape == (40, 0)
    work.vqvae = Counter()  # type: ignore[assignment]
    batch = work(numbered(20), sampled)
    assert batch.codes.shape == (40, WINDOW)
    half = WINDOW // 2
    for number, (codes, true) in enumerate(zip(batch.codes, batch.truth.tolist(), strict=True)):
        first, second = (codes[:half], codes[half:])
        begin = 1_000 * (number // 2) + 2 * WINDOW * (number % 2)
        assert torch.equal(first, begin + 2 * torch.arange(half))
        assert torch.equal(second, second[0] + 2 * torch.arange(half))
        assert (int(second[0]) == begin + WINDOW) == bool(true)
