"""Masked language model: tables that add up, and baselines from other songs."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audiomask.data.layouts import recognize
from audiomask.engine import Engine
from audiomask.evaluation.masked_prediction import MaskedPredictions
from audiomask.evaluation.mlm import MLMEvaluator
from audiomask.evaluation.report import as_json
from audiomask.evaluation.songs import Choice, Song, SongRef, find_songs

RATE = 44_100


def song(name: str, channels: int = 1, seconds: float = 1.0) -> Song:
    generator = torch.Generator().manual_seed(len(name))
    audio = 0.1 * torch.randn(channels, round(seconds * RATE), generator=generator)
    return Song(name, audio, {}, RATE)


@pytest.fixture
def others(recording: Callable[..., Path], tmp_path: Path) -> list[SongRef]:
    for seed in range(3):
        recording(f"fit/{seed}.wav", seed=seed)
    return find_songs([recognize(tmp_path / "fit")], Choice("all"))


def test_bits_of_random_weights_are_about_those_of_chance(
    engine: Engine, others: list[SongRef]
) -> None:
    measurement = MLMEvaluator(engine, rounds=2)
    measurement.fit(others, "elsewhere")
    for name in ("a", "bb"):
        assert measurement.add(song(name, channels=2)) is None
    report = measurement.finish()
    data = json.loads(as_json(report.data))
    assert list(data["maskings"]) == ["bert", "bert, MASK only", "frames"]
    for found in data["maskings"].values():
        rows = found["levels"]
        assert list(rows) == ["level 1", "level 2", "all levels"]
        whole, parts = rows["all levels"], [rows["level 1"], rows["level 2"]]
        assert whole["tokens"] == sum(part["tokens"] for part in parts)
        for key in ("nll", "entropy", "short", "unigram", "bigram", "right"):
            mean = sum(part[key] * part["tokens"] for part in parts) / whole["tokens"]
            assert whole[key] == pytest.approx(mean)
        # nothing was learned: every one of 32 codes is about as likely
        assert whole["nll"] == pytest.approx(5, abs=1.5)
        assert whole["entropy"] <= 5
        assert whole["under_bigram"] == pytest.approx(1 - whole["nll"] / whole["bigram"])
        assert list(found["songs"]) == ["a", "bb"]
    frames = data["maskings"]["frames"]["levels"]
    assert frames["level 1"]["tokens"] == frames["level 2"]["tokens"]
    assert data["fit"]["songs"] == 3
    assert data["fit"]["from"] == "elsewhere"
    assert data["fit"]["tokens_a_level"] == 3 * 130
    assert any("counted on 3 songs, elsewhere" in note for note in report.notes)
    assert all(len(row) == len(s.headings) for s in report.tables for row in s.rows)


def test_a_table_by_hand(engine: Engine) -> None:
    measurement = MLMEvaluator(engine)
    measurement.names = ["one", "one", "two"]
    predictions = MaskedPredictions(
        code=torch.tensor([0, 1, 7, 7]),
        level=torch.tensor([0, 0, 1, 1]),
        clip=torch.tensor([0, 1, 2, 2]),
        values=torch.tensor(
            [[1.0, 1, 5, 4, 2], [3.0, 0, 5, 4, 4], [5.0, 0, 8, 6, 6], [7.0, 0, 8, 6, 6]],
            dtype=torch.double,
        ),
        masked=torch.ones(4, dtype=torch.bool),
    )
    found = measurement.by_level(predictions)
    first, second = found["levels"]["level 1"], found["levels"]["level 2"]
    assert (first["nll"], first["right"], first["unigram"], first["bigram"]) == (2, 0.5, 4, 3)
    assert (first["entropy"], second["entropy"]) == (1, 0)
    assert (first["short"], first["under_short"]) == (5, 1 - 2 / 5)
    assert first["under_unigram"] == pytest.approx(0.5)
    assert first["under_entropy"] == pytest.approx(-1)
    # a level without entropy has nothing to be under
    assert math.isnan(second["under_entropy"])
    assert found["levels"]["all levels"]["nll"] == 4
    assert found["songs"] == {"one": 2, "two": 6}
    assert found["by_song"].median == 4


def test_the_same_seed_masks_the_same(engine: Engine) -> None:
    def bits(seed: int) -> float:
        measurement = MLMEvaluator(engine, rounds=1, seed=seed)
        measurement.add(song("a"))
        return float(measurement.finish().data["maskings"]["bert"]["levels"]["all levels"]["nll"])

    assert bits(3) == bits(3)
    assert bits(3) != bits(4)


def test_one_song_is_too_little_to_count_on(
    engine: Engine, others: list[SongRef], caplog: pytest.LogCaptureFixture
) -> None:
    measurement = MLMEvaluator(engine, rounds=1)
    with caplog.at_level(logging.WARNING, "audiomask"):
        measurement.fit(others[:1], "one song")
    assert "both are left out" in caplog.text
    measurement.add(song("a"))
    report = measurement.finish()
    whole = json.loads(as_json(report.data))["maskings"]["bert"]["levels"]["all levels"]
    assert (whole["unigram"], whole["bigram"], whole["under_bigram"]) == (None, None, None)
    assert whole["entropy"] > 0
    row = report.tables[0].rows[-1]
    assert (row[4], row[5]) == ("", "")


def test_what_cannot_be_read_is_not_counted(
    engine: Engine, others: list[SongRef], caplog: pytest.LogCaptureFixture
) -> None:
    broken = others[1].place.with_suffix(".wav")
    broken.unlink()
    measurement = MLMEvaluator(engine)
    with caplog.at_level(logging.WARNING, "audiomask"):
        measurement.fit(others, "elsewhere")
    assert measurement.fitted["songs"] == 2
    assert f"{broken.name}" in caplog.text


def test_what_is_too_short_or_silent_is_left_out(engine: Engine) -> None:
    measurement = MLMEvaluator(engine)
    assert "window of 48 frames" in str(measurement.add(song("a", seconds=0.3)))
    assert measurement.add(Song("s", torch.zeros(1, RATE), {}, RATE)) == "silent"
    assert not measurement.clips
