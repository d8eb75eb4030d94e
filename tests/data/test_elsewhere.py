"""A second passage of the same recording at the end of excerpts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from signals import tone

from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import Elsewhere
from audiomask.data.passages import sample_passage
from audiomask.data.songs import TrackDataset
from audiomask.data.tracks import Track

RATE = 44_100
STEMS = ("guitar", "bass")
FIRST, SECOND, DISTANCE = 600, 200, 2_000
ELSEWHERE = Elsewhere(SECOND, DISTANCE)

Write = Callable[..., Track]


def data_of(track: Track, augmentation: Augmentation = NONE) -> TrackDataset:
    return TrackDataset([track], STEMS, FIRST + SECOND, 0, augmentation, RATE, elsewhere=ELSEWHERE)


def ramp(samples: int) -> np.ndarray:
    """A recording whose samples tell where they are."""
    return np.arange(samples, dtype=np.float64)[:, None] / 2**15


def places(line: torch.Tensor) -> list[int]:
    """Where the first and the second passage of a ramp begin."""
    found = (line * 2**15).round().long()
    for passage in (found[:FIRST], found[FIRST:]):
        assert (passage.diff() == 1).all()
    return [int(found[0]), int(found[FIRST])]


def test_it_is_far_from_the_first_before_it_or_after(write: Write) -> None:
    track = write("song", guitar=ramp(8_000))
    data = data_of(track)
    gaps = []
    for index in range(200):
        mixture, stems, _ = data[index]
        assert torch.equal(mixture, stems.sum(dim=0))
        first, second = places(stems[0, 0])
        assert second + SECOND <= 8_000
        gaps.append(second - (first + FIRST) if second > first else first - (second + SECOND))
    assert min(gaps) >= DISTANCE
    assert min(gaps) < DISTANCE + 200
    assert max(gaps) > 4_500
    starts = [places(data[index].stems[0, 0]) for index in range(200)]
    assert 40 < sum(second < first for first, second in starts) < 160


def test_the_first_passage_is_that_of_excerpts_without(write: Write) -> None:
    track = write("song", guitar=ramp(8_000))
    alone, data = TrackDataset([track], STEMS, FIRST, 0, NONE), data_of(track)
    for index in range(20):
        assert torch.equal(data[index].stems[..., :FIRST], alone[index].stems)
        again = data_of(track)[index]
        assert torch.equal(data[index].mixture, again.mixture)


@pytest.mark.parametrize(("samples", "room"), [(2_799, False), (2_900, True), (300, False)])
def test_it_is_silence_in_a_recording_that_is_too_short(samples: int, room: bool) -> None:
    drawn = [
        sample_passage(samples, FIRST, ELSEWHERE, NONE, False, np.random.default_rng(seed))
        for seed in range(200)
    ]
    found = [passage for passage in drawn if passage.second is not None]
    assert bool(found) == room
    assert all(len(passage.parts(ELSEWHERE)) == 2 for passage in found)
    for passage in found:
        assert passage.second is not None
        assert abs(passage.second - passage.start) >= DISTANCE + SECOND


def test_short_songs_end_in_silence(write: Write) -> None:
    stems = data_of(write("song", guitar=ramp(1_000)))[0].stems
    assert stems[0, 0, :FIRST].any()
    assert not stems[..., FIRST:].any()


def test_both_passages_change_alike(write: Write) -> None:
    seconds, hertz = 2.0, 440.0
    track = write("song", guitar=tone(hertz, round(seconds * RATE), RATE).numpy()[:, None] * 0.5)
    augmentation = replace(NONE, pitch_tempo_prob=1.0, pitch=6.0, tempo=0.2)
    elsewhere = Elsewhere(8_192, 1_000)
    data = TrackDataset([track], STEMS, 16_384, 0, augmentation, RATE, elsewhere=elsewhere)
    changed = 0
    for index in range(8):
        line = data[index].stems[0, 0]
        peaks = [int(part.mul(torch.hann_window(8_192)).diff().stft(
            8_191, 8_191, window=torch.ones(8_191), center=False, return_complex=True
        ).abs()[:, 0].argmax()) for part in line.split(8_192)]  # fmt: skip
        assert abs(peaks[0] - peaks[1]) <= 1
        changed += abs(peaks[0] - round(hertz * 8_191 / RATE)) > 4
    assert changed > 3


def test_effects_of_the_first_do_not_ring_into_it(write: Write) -> None:
    sound = np.zeros((60_000, 1))
    sound[:30_000] = np.random.default_rng(0).uniform(-0.5, 0.5, (30_000, 1))
    track = write("song", guitar=sound)
    elsewhere = Elsewhere(4_000, 2_000)
    augmentation = replace(NONE, effects_prob=1.0)
    data = TrackDataset([track], STEMS, 12_000, 0, augmentation, RATE, elsewhere=elsewhere)
    silent = 0
    for index in range(24):
        line = data[index].stems[0, 0]
        silent += bool(line[:8_000].any()) and not bool(line[8_000:].any())
    assert silent > 3
