"""Infill: where gaps are cut, and what fillings that are known score."""

import json
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.engine import Engine
from audiomask.evaluation.infill import (
    MARGIN,
    InfillEvaluator,
    Settings,
    places,
    scores,
)
from audiomask.evaluation.report import as_json
from audiomask.evaluation.songs import Song
from audiomask.infill.gaps import Gap
from audiomask.infill.settings import InfillSettings
from audiomask.infill.splice import Patch

RATE = 8000


def noise(channels: int = 1, seconds: float = 2.0, name: str = "noise") -> Song:
    generator = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(channels, round(seconds * RATE), generator=generator)
    return Song(name, audio, {}, RATE)


class Half:
    """An engine that knows the song, and fills gaps with half of it."""

    def __init__(self, song: Song) -> None:
        self.song = song
        self.asked: list[InfillSettings] = []
        self.opened: list[InfillSettings] = []

    def open_infiller(self, settings: InfillSettings) -> None:
        self.opened.append(settings)

    def infill(
        self, source: AudioSource, gaps: Sequence[Gap], settings: InfillSettings
    ) -> Iterator[Patch]:
        (gap,) = gaps
        self.asked.append(settings)
        there = source.read(gap.start - 5, gap.stop + 5)
        assert torch.equal(there[:, 5:-5], torch.zeros_like(there[:, 5:-5]))
        assert torch.equal(there[:, :5], self.song.mixture[:, gap.start - 5 : gap.start])
        yield Patch(gap.start, 0.5 * self.song.mixture[:, gap.start : gap.stop])


def test_places_keep_to_the_song_and_depend_on_nothing_else() -> None:
    song = noise()
    found = places(song, 100, 5, seed=0)
    assert len(found) == len(set(found)) == 5
    for gap in found:
        assert gap.length == 800
        # enough before it to repeat, and some sound on both sides
        assert gap.start >= 800 + MARGIN * RATE
        assert gap.stop <= 2 * RATE - MARGIN * RATE
    assert places(song, 100, 5, seed=0) == found
    assert places(song, 100, 2, seed=0) == found[:2]
    assert places(song, 100, 5, seed=1) != found
    assert places(noise(name="other"), 100, 5, seed=0) != found


def test_no_gaps_in_silence_nor_where_none_fits() -> None:
    audio = torch.zeros(1, 2 * RATE)
    audio[:, 9000:12_000] = 0.1
    for gap in places(Song("half", audio, {}, RATE), 50, 8, seed=0):
        assert gap.stop > 9000
        assert gap.start < 12_000
    assert places(Song("silent", 0 * audio, {}, RATE), 50, 2, seed=0) == []
    assert places(noise(seconds=0.3), 100, 2, seed=0) == []
    # the longest gap that fits has one place
    assert places(noise(seconds=0.4), 100, 3, seed=0) == [Gap(1600, 2400)]


def test_scores_by_hand() -> None:
    song = noise(channels=2)
    gap = Gap(8000, 8800)
    filled = song.mixture.clone()
    filled[:, gap.start : gap.stop] *= 0.5
    found = scores(filled, song.mixture, gap, RATE)
    assert found["snr"] == pytest.approx(10 * math.log10(4), abs=1e-4)
    # every mel band of the frames inside is half, those at its ends partly
    assert math.log10(2) * 0.6 < found["mel_distance"] < math.log10(2) * 1.1
    assert found["level_error"] == pytest.approx(-6.02, abs=0.01)
    perfect = {"snr": math.inf, "mel_distance": 0, "level_error": 0, "join_flux": 0, "clipped": 0}
    same = scores(song.mixture, song.mixture, gap, RATE)
    assert {key: same[key] for key in perfect} == perfect
    # what is elsewhere does not count
    filled = song.mixture.clone()
    filled[:, : gap.start - 5000] = 0
    same = scores(filled, song.mixture, gap, RATE)
    assert {key: same[key] for key in perfect} == perfect


def test_every_method_stands_beside_the_model() -> None:
    song = noise()
    engine = Half(song)
    filling = InfillSettings("tokens", steps=3, temperature=0.5, candidates=4, seed=7)
    settings = Settings((20.0, 50.0), number=2, seed=7, filling=filling)
    measurement = InfillEvaluator(engine, settings)  # type: ignore[arg-type]
    assert measurement.add(song) is None
    assert engine.asked == [filling] * 4
    report = measurement.finish()
    data = json.loads(as_json(report.data))
    assert list(data["gaps"]) == ["20", "50"]
    for entries in data["gaps"].values():
        assert list(entries) == ["audiomask", "repeat", "autoregressive", "silence"]
        assert entries["audiomask"]["snr"]["median"] == pytest.approx(10 * math.log10(4), abs=1e-4)
        assert entries["silence"]["snr"]["median"] == 0
        assert entries["silence"]["snr"]["number"] == 2
        # white noise cannot be foreseen; another stretch of it is as loud
        assert entries["repeat"]["snr"]["median"] == pytest.approx(-3, abs=1)
        assert entries["autoregressive"]["snr"]["median"] == pytest.approx(0, abs=1)
        distances = {name: entry["mel_distance"]["median"] for name, entry in entries.items()}
        assert max(distances, key=lambda name: distances[name]) == "silence"
    assert len(data["rows"]) == 2 * 2 * 4
    assert [row[0] for row in report.tables[0].rows[:2]] == ["20 ms, audiomask", "20 ms, repeat"]
    assert all(len(row) == len(s.headings) for s in report.tables for row in s.rows)


def test_a_length_that_no_song_takes_is_told() -> None:
    song = noise(seconds=0.5)
    measurement = InfillEvaluator(Half(song), Settings((20.0, 1000.0)))  # type: ignore[arg-type]
    assert measurement.add(song) is None
    report = measurement.finish()
    assert list(report.data["gaps"]) == ["20"]
    assert report.notes == ["no song takes gaps of 1000 ms"]
    assert measurement.add(Song("silent", torch.zeros(1, RATE), {}, RATE)) is not None


def test_the_engine_itself(engine: Engine) -> None:
    song = Song("tone", 0.1 * torch.sin(torch.arange(2 * 44_100) / 20).expand(2, -1), {}, 44_100)
    settings = Settings((50.0,), number=1, filling=InfillSettings(steps=2))
    measurement = InfillEvaluator(engine, settings)
    assert measurement.add(song) is None
    rows = {row["method"]: row for row in measurement.rows}
    assert rows["autoregressive"]["snr"] > 40
    assert math.isfinite(rows["audiomask"]["snr"])

    def filling() -> Tensor:
        gap = Gap(40_000, 42_000)
        return measurement.ours(song.mixture, gap, 44_100).samples

    assert torch.equal(filling(), filling())
