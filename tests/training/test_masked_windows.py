"""Masked windows and pairs of halves, decided by seed and index."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from turning_songs import HOP, WINDOW, config_of, songs

from audiomask.data.excerpt import Excerpt
from audiomask.networks.spectrogram.beats import off_beat
from audiomask.networks.spectrogram.continuation import join, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.training import masked_windows as module
from audiomask.training.masked_windows import Windows, far_frames, first_frames


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


def numbered(batch: int, far: float = 0.5) -> Excerpt:
    """Song n is constantly n, and its far passage n + ``far``."""
    config = config_of()
    first, rest = (HOP * frames for frames in (first_frames(config), far_frames(config)))
    numbers = torch.arange(batch).float()[:, None, None]
    windows, passages = numbers.expand(batch, 1, first), (numbers + far).expand(batch, 1, rest)
    mixture = torch.cat([windows, passages if far else torch.zeros_like(passages)], dim=-1)
    return Excerpt(mixture, torch.zeros(batch, 1, 1, 1), torch.zeros(batch) > 0)


class Pairs:
    """Keeps what is joined, and by how much passages are moved."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.joined: list[tuple[Tensor, Tensor]] = []
        self.moves: dict[int, int] = {}
        patch.setattr(module, "BandSpectrum", lambda config: Ramp())
        patch.setattr(module, "join", self.join)
        patch.setattr(module, "off_beat", self.off_beat)

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        self.joined.append((first, second))
        return join(first, second)

    def off_beat(self, *given: Any) -> int | None:
        move = off_beat(*given)
        assert move is not None
        self.moves[len(self.joined)] = move
        return move

    def kinds(self, truth: Tensor) -> list[str]:
        """The kind of each pair, whose halves are checked."""
        found = []
        for number, ((first, second), true) in enumerate(
            zip(self.joined, truth.tolist(), strict=True)
        ):
            at, half = number % 2, WINDOW // 2
            song, other = (int(part[0, 3]) - 1 for part in (first, second))
            frames = [(part[:, 3] - part[:, 3].floor()) * 1_000 for part in (first, second)]
            assert len(first) == len(second) == half
            assert song == number // 2
            assert float(frames[0][0]) == pytest.approx(at * WINDOW, abs=0.1)
            begin = round(float(frames[1][0]))
            steps = frames[1].diff()
            assert torch.allclose(steps, torch.ones_like(steps), atol=0.1)
            continued = at * WINDOW + half
            if true:
                found.append("true")
                assert (other, begin) == (song, continued)
            elif other != song:
                found.append("other")
                assert other == (song + 1) % (len(self.joined) // 2)
                assert begin + half <= 2 * WINDOW
            elif begin >= 500:
                found.append("far")
                # without the frame that reaches into what is before it
                assert begin == 500 + 1
            elif number in self.moves:
                found.append("moved")
                assert begin == continued + self.moves[number]
                assert 0 <= begin <= 2 * WINDOW - half
                assert begin != continued
                assert (begin > continued) == (at == 0)
            else:
                found.append("beside")
                assert (begin < WINDOW) == (at == 1)
                assert (begin + half <= WINDOW) == (at == 1)
        return found


def test_false_halves_are_of_each_kind_as_often_as_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = Pairs(monkeypatch)
    shares = {"other_song": 0.4, "far_passage": 0.5, "beat_shift": 0.3}
    work = Windows(config_of(continuation_prob=1.0, **shares), 0)
    sampled = torch.stack([work.sample(index) for index in range(400)])
    kinds = pairs.kinds(work(numbered(400), sampled).truth)
    false = 800 - kinds.count("true")
    assert false == pytest.approx(400, abs=50)
    for kind, share in (("other", 0.4), ("far", 0.3), ("moved", 0.18), ("beside", 0.12)):
        assert kinds.count(kind) / false == pytest.approx(share, abs=0.06), kind


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"other_song": 1.0}, "other"),
        ({"other_song": 0.0, "far_passage": 1.0, "beat_shift": 0.0}, "far"),
        ({"other_song": 0.0, "far_passage": 0.0, "beat_shift": 1.0}, "moved"),
        ({"other_song": 0.0, "far_passage": 0.0, "beat_shift": 0.0}, "beside"),
    ],
)
def test_one_kind_alone(
    shares: dict[str, float], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Pairs(monkeypatch)
    work = Windows(config_of(continuation_prob=1.0, **shares), 0)
    sampled = torch.stack([work.sample(index) for index in range(20)])
    assert set(pairs.kinds(work(numbered(20), sampled).truth)) == {"true", expected}


def test_a_song_that_is_too_short_has_false_halves_from_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = Pairs(monkeypatch)
    monkeypatch.setattr(Ramp, "__call__", silent_where_zero(Ramp.__call__))
    shares = {"other_song": 0.0, "far_passage": 1.0, "beat_shift": 0.0}
    work = Windows(config_of(continuation_prob=1.0, **shares), 0)
    sampled = torch.stack([work.sample(index) for index in range(1, 20)])
    excerpts = Excerpt(*(part[1:] for part in numbered(20, far=0)))
    truth = work(excerpts, sampled).truth
    pairs.joined = [(first - 1, second - 1) for first, second in pairs.joined]
    assert set(pairs.kinds(truth)) == {"true", "beside"}


def silent_where_zero(ramp: Any) -> Any:
    return lambda self, audio: ramp(self, audio) * (audio.abs().amax() > 0)


def test_level_and_tone_of_every_kind_are_the_first_halfs() -> None:
    config = config_of(continuation_prob=1.0, other_song=0.25, far_passage=0.4, beat_shift=0.4)
    work = Windows(config, 3)
    excerpts = songs(12)
    # far passages and other songs are louder
    loud = excerpts.mixture * torch.linspace(1, 5, 12)[:, None, None]
    loud[..., first_frames(config) * HOP :] *= 7
    made: list[Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "join", lambda *halves: made.append(join(*halves)) or made[-1])
        truth = work(
            excerpts._replace(mixture=loud), torch.stack([work.sample(n) for n in range(12)])
        ).truth
    assert len(made) == len(truth) == 24
    assert 4 < int(truth.sum()) < 20
    for power in made:
        first, second = power.split(WINDOW // 2)
        assert float(second.mean()) == pytest.approx(float(first.mean()), rel=1e-4)


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
