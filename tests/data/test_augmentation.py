"""Augmentation: every setting, alone, does what it says to the excerpts of tracks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from signals import tone, uniform_noise

from audiomask.data import mixing
from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.data.mastering import Master
from audiomask.data.songs import TrackDataset
from audiomask.data.tracks import Track
from audiomask.errors import ConfigError

RATE = 44_100
STEMS = ("guitar", "bass")
#: excerpts that statistics are taken of
MANY = 400

Audio = npt.NDArray[np.float64]
Write = Callable[..., Track]


def only(**settings: float) -> Augmentation:
    return replace(NONE, **settings)


def items(
    tracks: Sequence[Track], augmentation: Augmentation, samples: int = 50, count: int = MANY
) -> list[Excerpt]:
    data = TrackDataset(tracks, STEMS, samples, 0, augmentation)
    return [only_channel(data[index]) for index in range(count)]


def only_channel(item: Excerpt) -> Excerpt:
    """A mono excerpt without its channel dimension."""
    mixture, stems, has_stems = item
    return Excerpt(mixture.squeeze(0), stems.squeeze(1), has_stems)


def levels(excerpts: Sequence[Excerpt]) -> torch.Tensor:
    """[I, S + 1]: the first sample of every stem."""
    return torch.stack([item.stems[:, 0] for item in excerpts])


def noise(seed: int) -> Audio:
    return uniform_noise(RATE, 1, level=0.3, seed=seed)


def sine(hertz: float) -> Audio:
    return 0.3 * tone(hertz, 3 * RATE, dtype=torch.float64).numpy()[:, None]


def peak_hertz(audio: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio)), n=1 << 18).abs()
    return int(spectrum.argmax()) * RATE / (1 << 18)


@pytest.fixture(autouse=True)
def as_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Excerpts keep the level that their stems add up to, so that constants can be compared."""

    def keep(stems: torch.Tensor, rms_db: object) -> Excerpt:
        return Excerpt(stems.sum(dim=1), stems, torch.tensor([True]))

    monkeypatch.setattr(mixing, "scale_to_rms", keep)


def test_random_mixing(write: Write) -> None:
    ramp = np.arange(1, RATE + 1)[:, None] / RATE
    tracks = [
        write("one", guitar=0.25 * ramp, bass=0.25 * ramp, drums=0.25 * ramp),
        write("two", guitar=ramp),
        write("three", bass=0.0, voice=ramp),
    ]
    apart = 0
    for item in items(tracks, only(random_mixing=0.5), samples=2):
        steps = (item.stems[:, 1] - item.stems[:, 0]).tolist()
        song = min(steps[0], steps[2]) > 0 and item.stems[0, 0] == item.stems[2, 0]
        shuffled = steps[0] > 0 and steps[2] > 0 and not song
        apart += shuffled
    # two thirds of the songs lack a stem, yet a mixed one has all that anyone has
    assert apart / MANY == pytest.approx(0.5, abs=0.08)
    always = levels(items(tracks, only(random_mixing=1.0)))
    assert (always[:, [0, 2]] > 0).all()
    assert not (always[:, 0] == always[:, 2]).any()
    # a stem that nobody has is silent
    found = levels(items(tracks[1:2], only(random_mixing=1.0), count=10))
    assert not found[:, 1:].any()


def test_stems_are_left_out_but_never_all(write: Write) -> None:
    track = write("song", guitar=0.1, bass=0.1, drums=0.1)
    present = levels(items([track], only(stem_dropout=0.3))) > 0
    assert present.any(dim=1).all()
    # 0.3, less the excerpts of nothing
    assert float((~present).float().mean()) == pytest.approx(0.3 - 0.3**3 / 3, abs=0.04)
    assert (levels(items([track], only(stem_dropout=1.0))) > 0).sum(dim=1).eq(1).all()


def test_gain(write: Write) -> None:
    found = levels(items([write("song", guitar=0.1, bass=0.1)], only(gain=6.0)))[:, :2]
    decibels = 20 * torch.log10(found / 0.1)
    assert -6.01 < float(decibels.min()) < -5.8
    assert 5.8 < float(decibels.max()) < 6.01
    assert float(decibels.std()) == pytest.approx(12 / math.sqrt(12), rel=0.1)
    assert abs(float(torch.corrcoef(decibels.T)[0, 1])) < 0.15  # each by itself


def test_polarity(write: Write) -> None:
    found = levels(items([write("song", guitar=0.1, bass=0.2, drums=0.4)], only(polarity_prob=0.3)))
    assert torch.allclose(found.abs(), torch.tensor([0.1, 0.2, 0.4]))
    inverted = (found < 0).float()
    assert float(inverted.mean()) == pytest.approx(0.3, abs=0.04)
    assert float(torch.corrcoef(inverted.T)[0, 1:].abs().max()) < 0.15


def test_panning(write: Write) -> None:
    found = levels(items([write("song", guitar=0.1, bass=0.1)], only(pan_prob=0.5)))[:, :2] / 0.1
    same = torch.isclose(found, torch.tensor(1.0))
    assert float(same.float().mean()) == pytest.approx(0.5, abs=0.06)
    moved = found[~same]
    # of constant power: at most 3 dB louder from one side, silent from the other
    assert 0 <= float(moved.min()) < 0.05
    assert 1.4 < float(moved.max()) < 1.4143


def test_a_panned_stem_keeps_its_power(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    track = write("song", guitar=0.1)
    sides = []
    for downmix in (((1.0, 0.0),), ((0.0, 1.0),)):
        monkeypatch.setattr(mixing, "DOWNMIXES", (downmix,))
        sides.append(levels(items([track], only(pan_prob=1.0), count=50))[:, 0] / 0.1)
    left, right = sides
    assert torch.allclose(left**2 + right**2, torch.full((50,), 2.0))
    assert float((left / right).max()) > 1
    assert float((left / right).min()) < 1


def test_all_stems_are_heard_from_the_same_place(write: Write) -> None:
    sides = np.full((RATE, 2), [0.1, 0.3])
    found = levels(items([write("song", guitar=sides, bass=sides[:, ::-1])], only(gain=1e-9)))
    ratio = found[:, 0] / found[:, 1]
    places = [(ratio - expected).abs() < 1e-3 for expected in (1 / 3, 1.0, 3.0)]
    assert torch.stack(places).any(dim=0).all()
    for place in places:
        assert float(place.float().mean()) == pytest.approx(1 / 3, abs=0.07)


def test_pitch_and_tempo_change(write: Write) -> None:
    parts = {"guitar": sine(440), "bass": sine(220)}
    tracks = [write("song", **parts), write("plain", mixture=sine(440))]
    found = items(
        tracks, only(pitch_tempo_prob=0.5, pitch=2.0, tempo=0.12), samples=16_384, count=60
    )
    steps = []
    for item in found:
        pitches = [12 * math.log2(peak_hertz(item.stems[0 if item.has_stems else -1]) / 440)]
        if item.has_stems:
            pitches.append(12 * math.log2(peak_hertz(item.stems[1]) / 220))
            assert pitches[0] == pytest.approx(pitches[1], abs=0.05)  # in tune
        steps.append((bool(item.has_stems), pitches[0]))
    for has_stems in (True, False):
        moved = [abs(pitch) for kind, pitch in steps if kind == has_stems and abs(pitch) > 0.01]
        share = len(moved) / sum(kind == has_stems for kind, _ in steps)
        assert share == pytest.approx(0.5, abs=0.25)
        assert 0.8 < max(moved) < 2.02


def test_tempo_is_that_of_all_stems_of_a_song(write: Write) -> None:
    clicks = np.zeros((4 * RATE, 1))
    clicks[::4_410] = 0.5
    track = write("song", guitar=clicks, bass=clicks)
    settings = only(pitch_tempo_prob=1.0, tempo=0.12)
    spacings = []
    for item in items([track], settings, samples=30_000, count=12):
        assert torch.allclose(item.stems[0], item.stems[1], atol=1e-5)
        loud = item.stems[0].abs()
        spectrum = torch.fft.rfft(loud - loud.mean(), n=1 << 20).abs()
        first = int(6 * (1 << 20) / RATE)  # from 6 Hz, below 10 Hz and its multiples
        last = int(14 * (1 << 20) / RATE)
        spacings.append((first + int(spectrum[first:last].argmax())) * RATE / (1 << 20))
    assert 8.7 < min(spacings) < 9.7
    assert 10.3 < max(spacings) < 11.3
    # songs that are mixed at random are moved each in its own way
    tracks = [write("one", guitar=sine(440)), write("two", bass=sine(440))]
    found = items(tracks, only(pitch_tempo_prob=1.0, pitch=2.0, random_mixing=1.0), 8_192, count=10)
    apart = [abs(peak_hertz(item.stems[0]) - peak_hertz(item.stems[1])) for item in found]
    assert sorted(apart)[5] > 10


def test_effects(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = [
        write("song", guitar=noise(0), bass=noise(1), drums=noise(2)),
        write("plain", mixture=noise(3)),
    ]
    chances, names = [], []
    draw = mixing.sample_effects

    def spy(stems: Sequence[str], *given: object) -> object:
        names.append(tuple(stems))
        chances.append(given[-1])
        return draw(stems, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(mixing, "sample_effects", spy)
    # mastering changes the levels of all, those that are loud together most
    monkeypatch.setattr(mixing, "sample_master", lambda rng: Master(math.inf, 1.0, 0.0))
    as_it_was = items(tracks, only(gain=1e-9), 4_096, count=60)
    assert not chances
    treated = items(tracks, only(gain=1e-9, effects_prob=0.5), 4_096, count=60)
    assert set(chances) == {0.5}
    assert set(names) == {("guitar", "bass", "other"), ("other",)}
    changed = {True: [], False: []}  # type: ignore[var-annotated]
    for before, after in zip(as_it_was, treated, strict=True):
        assert before.has_stems == after.has_stems
        has_stems = bool(after.has_stems)
        rows = slice(None) if has_stems else slice(-1, None)
        for one, two in zip(before.stems[rows], after.stems[rows], strict=True):
            changed[has_stems].append(float(torch.corrcoef(torch.stack([one, two]))[0, 1]) < 0.9999)
        if has_stems:  # each as loud as it was
            loud = [item.stems.square().mean(dim=1) for item in (before, after)]
            assert torch.allclose(loud[0] / loud[0].sum(), loud[1] / loud[1].sum(), rtol=1e-3)
    # half are treated; some of the treatments are none
    for found in changed.values():
        assert 0.2 < sum(found) / len(found) < 0.65


@pytest.mark.parametrize(
    ("setting", "value"),
    [("random_mixing", 1.1), ("tempo", 1.0), ("gain", -1.0), ("pitch", float("nan"))],
)
def test_what_cannot_be_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{setting} is .*; it must be from 0 to"):
        Augmentation(**{setting: value})
