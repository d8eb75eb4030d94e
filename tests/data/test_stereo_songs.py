"""Songs in stereo: left and right stay, stems add up on both, and places are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from signals import uniform_noise

from audiomask.data import mixing
from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.data.songs import TrackDataset
from audiomask.data.tracks import Track

RATE = 44_100
STEMS = ("guitar", "bass")

Write = Callable[..., Track]


def items(
    tracks: Sequence[Track], augmentation: Augmentation = NONE, samples: int = 50, count: int = 200
) -> list[Excerpt]:
    data = TrackDataset(tracks, STEMS, samples, 0, augmentation, channels=2)
    return [data[index] for index in range(count)]


def only(**settings: float) -> Augmentation:
    return replace(NONE, **settings)


def constant(left: float, right: float, samples: int = RATE) -> np.ndarray:
    return np.full((samples, 2), [left, right])


@pytest.fixture
def as_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Excerpts keep the level that their stems add up to, so that constants can be compared."""

    def keep(stems: torch.Tensor, rms_db: object) -> Excerpt:
        return Excerpt(stems.sum(dim=1), stems, torch.tensor([True]))

    monkeypatch.setattr(mixing, "scale_to_rms", keep)


def test_as_recorded_left_and_right_stay(write: Write) -> None:
    song = write("song", guitar=constant(0.1, 0.4), bass=0.25, drums=constant(0.0, 0.5))
    plain = write("plain", mixture=constant(0.125, 0.25))
    seen = set()
    for mixture, stems, has_stems in items([song, plain], count=20):
        expected = (
            [[0.1, 0.4], [0.25, 0.25], [0.0, 0.5]] if has_stems else [[0, 0], [0, 0], [0.125, 0.25]]
        )
        assert torch.allclose(stems[..., 0], torch.tensor(expected))
        assert torch.equal(mixture, stems.sum(dim=0))
        seen.add(bool(has_stems))
    assert seen == {True, False}


def test_of_many_channels_every_other_is_left(write: Write) -> None:
    surround = np.full((RATE, 6), [0.0, 0.2, 0.1, 0.4, 0.2, 0.6])
    (found,) = items([write("song", guitar=surround)], count=1)
    assert torch.allclose(found.stems[0, :, 0], torch.tensor([0.1, 0.4]))


@pytest.mark.usefixtures("as_mixed")
def test_sides_are_swapped_and_folded_at_times_in_all_stems_alike(write: Write) -> None:
    song = write("song", guitar=constant(0.1, 0.4), bass=constant(0.3, 0.1))
    shapes = []
    for item in items([song], only(gain=1e-9)):
        guitar, bass = (stem[:, 0].tolist() for stem in item.stems[:2])
        kinds = {
            "plain": ([0.1, 0.4], [0.3, 0.1]),
            "swapped": ([0.4, 0.1], [0.1, 0.3]),
            "mono": ([0.25, 0.25], [0.2, 0.2]),
        }
        (kind,) = [
            name
            for name, (one, other) in kinds.items()
            if guitar == pytest.approx(one, abs=1e-5) and bass == pytest.approx(other, abs=1e-5)
        ]
        shapes.append(kind)
    assert shapes.count("mono") / 200 == pytest.approx(mixing.MONO_PROB, abs=0.06)
    assert shapes.count("swapped") / 200 == pytest.approx(0.45, abs=0.1)


@pytest.mark.usefixtures("as_mixed")
def test_stems_are_panned_each_by_itself_at_constant_power(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing, "MONO_PROB", 0.0)
    song = write("song", guitar=0.1, bass=0.1)
    found = torch.stack([item.stems[:2, :, 0] for item in items([song], only(pan_prob=1.0))]) / 0.1
    assert torch.allclose(found.square().sum(dim=2), torch.tensor(2.0), atol=1e-3)
    places = found[..., 1] - found[..., 0]
    assert float(places.min()) < -1.2
    assert float(places.max()) > 1.2
    assert abs(float(torch.corrcoef(places.T)[0, 1])) < 0.2


def test_everything_at_once_adds_up_and_does_not_clip(write: Write) -> None:
    def noise(samples: int, seed: int) -> np.ndarray:
        return uniform_noise(samples, 2, level=0.3, seed=seed)

    tracks = [
        write("one", guitar=noise(RATE, 1), bass=noise(RATE, 2), drums=noise(RATE, 3)),
        write("two", rate=48_000, guitar=noise(60_000, 4), voice=noise(60_000, 5)),
        write("plain", mixture=noise(RATE, 6)),
    ]
    everything = Augmentation(**{field.name: 0.5 for field in fields(Augmentation)})
    wide = 0
    for mixture, stems, _ in items(tracks, everything, samples=4_000, count=20):
        assert mixture.shape == (2, 4_000)
        assert stems.shape == (3, 2, 4_000)
        assert torch.allclose(mixture, stems.sum(dim=0), atol=1e-6)
        assert float(mixture.abs().max()) < 0.991
        wide += not torch.allclose(mixture[0], mixture[1], atol=1e-3)
    assert wide >= 15
