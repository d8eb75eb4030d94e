"""Passages: the right place is found, and no gap, silence or chance likeness is taken for it."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from signals import noise
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill.choice import MethodChooser
from audiomask.infill.frame_features import BANDS, FrameFeatures
from audiomask.infill.gaps import Gap
from audiomask.infill.passages import Passage, PassageFinder, correlations
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.views import like, read_known

RATE = 44_100


def notes(seconds: float, seed: int, rate: int = RATE, channels: int = 1) -> Tensor:
    """Decaying notes of random pitch and onset over soft noise, [C, T]; no two seconds alike."""
    rng = np.random.default_rng(seed)
    length = round(seconds * rate)
    audio = 0.003 * rng.standard_normal((channels, length))
    for start in np.cumsum(rng.uniform(0.05, 0.3, round(6 * seconds))):
        at = round(start * rate)
        time = np.arange(min(rate, length - at)) / rate if at < length else np.zeros(0)
        tones = np.sin(2 * np.pi * rng.uniform(100, 3000) * time) * np.exp(-6 * time)
        audio[:, at : at + len(time)] += 0.15 * rng.uniform(0.5, 1, (channels, 1)) * tones
    return torch.from_numpy(audio).float()


def repeated(channels: int = 1, rate: int = RATE) -> tuple[Tensor, int]:
    """Forty seconds whose last ten are those from 5 to 15 s, and the samples between the two."""
    audio = notes(40, 1, rate, channels)
    audio[:, 30 * rate :] = audio[:, 5 * rate : 15 * rate]
    return audio, 25 * rate


def holed(audio: Tensor, *gaps: Gap, value: float = 0.0) -> Tensor:
    made = audio.clone()
    for gap in gaps:
        made[list(gap.channel_numbers(len(audio))), gap.start : gap.stop] = value
    return made


def find(
    audio: Tensor, gap: Gap, *others: Gap, rate: int = RATE, other: Tensor | None = None
) -> list[Passage]:
    gaps = sorted((gap, *others))
    source = MemorySource(holed(audio, *gaps, value=torch.nan), rate)
    foreign = None if other is None else like(MemorySource(other, rate), source)
    return PassageFinder(source, gaps, foreign).find(gap)


@pytest.mark.parametrize("rate", [RATE, 22_050, 48_000])
def test_the_repetition_of_a_gap_is_found(rate: int) -> None:
    audio, apart = repeated(rate=rate)
    gap = Gap(9 * rate + 123, 9 * rate + 123 + rate // 2)
    best, *rest = find(audio, gap, rate=rate)
    assert best.start == gap.start + apart
    assert best.distance < 0.2
    assert best.correlation > 0.99
    assert best.matches
    assert best.searched == pytest.approx(39, abs=1)
    assert len(rest) == 7
    assert not any(passage.matches for passage in rest)
    scores = [passage.score for passage in (best, *rest)]
    assert scores == sorted(scores, reverse=True)
    # and the other way round
    late = Gap(gap.start + apart, gap.stop + apart)
    assert find(audio, late, rate=rate)[0].start == gap.start


def test_no_gap_is_taken_for_sound() -> None:
    audio, apart = repeated()
    gap = Gap(9 * RATE, 9 * RATE + 20_000)
    # the repetition is broken too: nothing is left that matches
    broken = Gap(gap.start + apart + 5000, gap.start + apart + 6000)
    found = find(audio, gap, broken)
    assert not any(passage.matches for passage in found)
    for passage in found:
        assert passage.start >= broken.stop or passage.start + gap.length <= broken.start
        assert passage.start >= gap.stop or passage.start + gap.length <= gap.start
    # dropouts at a regular distance do not match each other
    dropouts = [Gap(s * RATE, s * RATE + 15_000) for s in range(3, 38, 3)]
    for passage in find(notes(40, 3), dropouts[4], *dropouts):
        assert not passage.matches


def test_a_gap_beside_the_surroundings_is_left_out() -> None:
    audio, apart = repeated()
    gap = Gap(9 * RATE, 9 * RATE + 20_000)
    near = Gap(gap.stop + 30_000, gap.stop + 36_000)
    assert find(audio, gap, near)[0].start == gap.start + apart


def test_stereo_has_one_place() -> None:
    audio, apart = repeated(channels=2)
    gap = Gap(8 * RATE, 9 * RATE)
    assert find(audio, gap)[0].start == gap.start + apart


def test_silence_and_short_recordings_give_nothing() -> None:
    gap = Gap(2000, 3000)
    assert find(torch.zeros(1, 300_000), Gap(100_000, 120_000)) == []
    for length in (3001, 4000, 8000, 30_000):
        assert not any(passage.matches for passage in find(0.1 * noise(1, length), gap))
    assert find(0.1 * noise(1, 10), Gap(3, 5)) == []
    assert find(0.1 * noise(1, 60_000), Gap(0, 50_000)) == []


def test_another_recording_is_searched_too() -> None:
    take = notes(30, 8)
    audio = notes(40, 2)
    gap = Gap(20 * RATE, 21 * RATE)
    # the other take plays the same three seconds earlier
    moved = 3 * RATE
    take = torch.roll(audio, -moved, dims=1)[:, : 30 * RATE]
    best = find(audio, gap, other=take)[0]
    assert (best.start, best.foreign) == (gap.start - moved, True)
    stereo = like(MemorySource(take.repeat(2, 1), RATE), MemorySource(audio, RATE))
    assert stereo.channels == 1
    assert torch.equal(stereo.read(5, 10), take[:, 5:10])
    assert like(MemorySource(take, RATE), MemorySource(audio, 22_050)).sample_rate == 22_050


class Counted:
    """Sound of hours, made as it is read; the most that was read at once, and how much in all."""

    sample_rate, channels = RATE, 1

    def __init__(self, hours: float) -> None:
        self.frames = round(hours * 3600) * RATE
        self.most = self.total = 0
        self.pieces = notes(20, 5)

    def read(self, start: int, stop: int) -> Tensor:
        self.most, self.total = max(self.most, stop - start), self.total + stop - start
        at = torch.arange(start, stop)
        audio = self.pieces[:, at % self.pieces.shape[1]]
        return torch.where((at >= 0) & (at < self.frames), audio, 0.0)


def test_hours_are_read_in_pieces_around_the_gap() -> None:
    source = Counted(3)
    gap = Gap(5000 * RATE, 5001 * RATE)
    found = PassageFinder(source, [gap]).find(gap)
    assert (found[0].start - gap.start) % (20 * RATE) == 0
    assert all(abs(passage.start - gap.start) <= 121 * RATE for passage in found)
    assert source.most < 15 * RATE
    assert source.total < 400 * RATE


def test_frames_equal_those_of_the_whole_wherever_reading_begins() -> None:
    source = MemorySource(notes(30, 4), RATE)
    features = FrameFeatures(source)
    whole = features.read(0, features.frames)
    assert whole.shape == (features.frames, 2 * BANDS)
    assert np.array_equal(FrameFeatures(source).read(1000, 1100), whole[1000:1100])
    outside = FrameFeatures(source).read(-5, 5)
    assert not outside[:5].any()
    assert np.array_equal(outside[5:], whole[:5])
    gap = Gap(20 * 512, 21 * 512)
    known = features.known(0, 60, [gap], RATE)
    # frames 19 to 22 and their windows' neighbours touch it
    assert known[5:17].all()
    assert not known[18:24].any()
    assert known[25:].all()


def test_correlation_by_hand() -> None:
    audio, near = noise(2, 500), 0.1 * noise(2, 700, seed=1)
    near[:, 80:580] = 0.3 * audio
    known = torch.ones(500, dtype=torch.bool)
    known[100:200] = False
    audio[:, ~known] = 0
    found = correlations(audio, known, near)
    assert len(found) == 201
    assert int(found.argmax()) == 80
    assert found[80] == pytest.approx(1)
    assert not correlations(audio, known, torch.zeros(2, 700)).any()


def test_known_samples() -> None:
    audio = noise(1, 100)
    audio[:, 60:70] = torch.nan
    read, known = read_known(MemorySource(audio, RATE), -10, 110, [Gap(60, 70)])
    assert known.nonzero()[:, 0].tolist() == [*range(10, 70), *range(80, 110)]
    assert torch.equal(read[:, 10:70], audio[:, :60])
    assert not read[:, ~known].any()


def chosen(audio: Tensor, gaps: Sequence[Gap], **options: object) -> list[object]:
    chooser = MethodChooser(
        MemorySource(holed(audio, *gaps), RATE),
        gaps,
        InfillSettings(**options),  # type: ignore[arg-type]
    )
    return [chooser.choose(gap) for gap in gaps]


def test_the_method_of_every_gap() -> None:
    audio, apart = repeated(channels=2)
    gaps = [
        Gap(7 * RATE, 7 * RATE + 4000),
        Gap(9 * RATE, 10 * RATE),
        Gap(13 * RATE, 13 * RATE + 20_000, (1,)),
        Gap(20 * RATE, 21 * RATE),
    ]
    auto, passages, tokens = (
        chosen(audio, gaps, method=method, candidates=3)
        for method in (InfillMethod.auto, InfillMethod.passage, InfillMethod.tokens)
    )
    assert [str(one.method) for one in auto] == ["ar", "passage", "passage", "tokens"]
    assert [one.passage.start - gap.start for one, gap in zip(auto[1:3], gaps[1:3], strict=True)] \
        == [apart, apart]  # fmt: skip
    assert {str(one.method) for one in passages} == {"passage"}
    assert [len(one.passages) for one in passages] == [3] * 4
    assert {str(one.method) for one in tokens} == {"tokens"}
    second = chosen(audio, gaps, method=InfillMethod.passage, choice=2)[3]
    assert second.passage == second.passages[1] == passages[3].passages[1]
    # beyond the last that was found, the last
    last = chosen(audio, gaps, method=InfillMethod.passage, choice=99)[3]
    assert last.passage == last.passages[-1]


def test_a_likeness_among_very_little_sound_says_nothing() -> None:
    assert Passage(0, 0.2, 0.9, False, 6.0).matches
    assert not Passage(0, 0.2, 0.9, False, 4.0).matches
    # the same sound in another take does, however little there is
    assert Passage(0, 0.2, 0.9, True, 4.0).matches
    assert not Passage(0, 0.2, 0.1, True, 60.0).matches
