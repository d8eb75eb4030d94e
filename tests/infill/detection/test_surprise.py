"""Damage found by surprise: scores by hand, dropouts in one piece, and what is left alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.evaluation.sample_codes import linear_costs
from audiomask.infill.detection import surprise as module
from audiomask.infill.detection.surprise import Surprise, find_surprises

RATE = 16_000


class LinearCosts:
    """What samples cost by linear prediction: a model that needs no training."""

    sample_rate, unit = RATE, 128

    def costs(self, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
        bits, expected = linear_costs(levels[None], len(levels) - first)
        return bits[0], expected[0]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short blocks and contexts, so that a second has several."""
    monkeypatch.setattr(module, "BLOCK", 6_000)
    monkeypatch.setattr(module, "CONTEXT", 4_096)


def music(seconds: float = 1.5, channels: int = 1, rate: int = RATE) -> Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    rows = []
    for channel in range(channels):
        partials = [
            torch.sin(2 * math.pi * (190 + 37 * channel) * n * time + n) / n for n in range(1, 9)
        ]
        rows.append(0.2 * sum(partials))
    draw = torch.Generator().manual_seed(0)
    audio = torch.stack(rows)
    return audio + 0.002 * torch.randn(audio.shape, generator=draw)


def find(audio: Tensor, rate: int = RATE, **more: object) -> list[Surprise]:
    return find_surprises(MemorySource(audio, rate), LinearCosts(), **more)


def spans(found: list[Surprise]) -> list[tuple[int, int]]:
    return [(one.gap.start, one.gap.stop) for one in found]


def test_sound_without_damage_is_left_alone() -> None:
    assert find(music()) == []
    assert find(torch.zeros(1, RATE)) == []
    assert find(torch.zeros(1, 0)) == []


@pytest.mark.parametrize("place", [3_000, 5_998, 6_001, 12_345, 20_000])
def test_a_click_is_found_wherever_it_is(place: int) -> None:
    audio = music()
    audio[0, place : place + 4] += torch.tensor([0.5, -0.4, 0.6, -0.3])
    (one,) = find(audio)
    assert one.gap.start <= place
    assert one.gap.stop >= place + 4
    assert one.gap.length < 60
    assert one.bits > 20


def test_a_splice_is_a_short_span() -> None:
    audio = music(2)
    cut = torch.cat([audio[:, :12_000], audio[:, 15_037:]], dim=1)
    (one,) = find(cut)
    assert one.gap.start <= 12_000 <= one.gap.stop
    assert one.gap.length < 80


@pytest.mark.parametrize("value", [0.0, None])
def test_a_dropout_or_stuck_span_is_one_gap(value: float | None) -> None:
    audio = music()
    audio[0, 9_000:9_800] = audio[0, 9_000] if value is None else value
    (one,) = find(audio)
    assert abs(one.gap.start - 9_000) < 40
    assert abs(one.gap.stop - 9_800) < 40


def test_an_attack_is_no_damage() -> None:
    audio = music()
    time = torch.arange(RATE) / RATE
    decay = torch.exp(-time / 0.15)
    hit = 0.5 * decay * torch.sin(2 * math.pi * 523 * time)
    audio[0, 8_000:] += hit[: audio.shape[1] - 8_000]
    assert find(audio) == []


def test_channels_are_searched_one_by_one_at_any_rate() -> None:
    audio = music(1, channels=2, rate=44_100)
    audio[1, 30_000:30_006] += torch.tensor([0.4, -0.5, 0.6, -0.5, 0.5, -0.4])
    (one,) = find(audio, 44_100)
    assert one.gap.channels == (1,)
    assert one.gap.start <= 30_000
    assert one.gap.stop >= 30_006
    assert find(audio, 44_100, channels=(0,)) == []


def test_what_is_not_finite_is_silent() -> None:
    audio = music()
    audio[0, 4_000] = math.nan
    audio[0, 15_000] = math.inf
    assert all(
        abs(start - 4_000) < 40 or abs(start - 15_000) < 40 for start, _ in spans(find(audio))
    )


def test_scores_are_the_smaller_sum_of_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN", 128)

    class Table:
        """Two samples cost 15 bits more forwards, and one 27 more backwards, five samples on."""

        sample_rate, unit = RATE, 128

        def __init__(self) -> None:
            self.asked = 0

        def costs(self, levels: Tensor, first: int) -> tuple[Tensor, Tensor]:
            expected = torch.full((len(levels) - first,), 2.0)
            bits = expected.clone()
            # a block's beginning lies 128 samples after that of its margin
            forwards, self.asked = self.asked % 2 == 0, self.asked + 1
            if forwards:
                bits[[1_128, 1_130]] += 15
            else:
                bits[len(bits) - 1 - 1_133] += 27
            return bits, expected

    (one,) = find_surprises(MemorySource(music(0.2), RATE), Table())
    # of each sample two bits are spared: 13 and 13 less two of the sample between, and 25
    assert one.bits == pytest.approx(24, abs=0.01)
    assert (one.gap.start, one.gap.stop) == (1_000 - 2, 1_006 + 2 + 1)
    assert find_surprises(MemorySource(music(0.2), RATE), Table(), threshold=25) == []


def test_a_lower_threshold_finds_more() -> None:
    audio = music()
    audio[0, 9_000] += 0.3
    least = [len(find(audio, threshold=bits)) for bits in (20.0, 200.0)]
    assert least[0] > least[1] == 0


def test_what_a_recording_does_often_is_its_sound() -> None:
    event = module.Event(0, 1, 5.0)
    few = [event._replace(bits=50.0)] * 19
    assert module.usual_bits(few, 10.0) == 0
    # of 1,000 scores in 100 seconds, 1 in 10 is above 15 bits, and so 1 in 100 above 25
    scores = 5 - 10 * torch.rand(1_000, generator=torch.Generator().manual_seed(0)).log10()
    found = module.usual_bits([event._replace(bits=float(bits)) for bits in scores], 100.0)
    assert found == pytest.approx(25, abs=2)
