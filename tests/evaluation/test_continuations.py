"""Continuations: what is right agrees with its own prompt, and the models' own are measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from music import RATE, clicks, phrase

from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.errors import CheckpointError
from audiomask.evaluation import continuations as module
from audiomask.evaluation.continuations import (
    LAST_BAR,
    TRUE,
    WITH_PLAN,
    WITHOUT_PLAN,
    Continuations,
    remarks,
    repeat_bar,
    tables,
)
from audiomask.evaluation.key_and_tempo import agreement, key_strengths, tempo_strengths
from audiomask.evaluation.metrics import level
from audiomask.evaluation.report import as_json
from audiomask.evaluation.songs import Song
from audiomask.infill.extension import Extension
from audiomask.infill.settings import InfillSettings


def song(tonic: int, tempo: float, seconds: float = 13.0) -> Song:
    """A phrase with clicks, stereo."""
    notes, beats = phrase(tonic, seconds), clicks(tempo, seconds)
    return Song(f"key {tonic}", (0.3 * notes + beats).repeat(2, 1), {}, RATE)


SONGS = [song(0, 100), song(6, 140)]


@pytest.fixture
def engine(continuing: Path) -> Engine:
    return Engine(continuing, "cpu")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of a second and continuations of half a second, for models to make."""
    for name, seconds in (("PROMPT", 1.0), ("LEAST", 0.5), ("AFTER", 0.5)):
        monkeypatch.setattr(module, name, seconds)


def test_what_goes_on_alike_is_told_from_what_does_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, InfillSettings]] = []

    def extend(
        source: MemorySource, extension: Extension, settings: InfillSettings
    ) -> Iterator[SimpleNamespace]:
        asked.append((source.frames, extension.after, settings))
        own = next(n for n, one in enumerate(SONGS) if torch.equal(one.mixture[:, :99],
                                                                   source.read(0, 99)))  # fmt: skip
        # with a plan the song itself comes, without the other one: too loud, and dying away
        made = SONGS[own if settings.plan else 1 - own].mixture[:, -extension.after :]
        if not settings.plan:
            made = 4 * made / made.abs().max() * torch.linspace(1, 0, extension.after)
        half = extension.after // 2
        yield from (SimpleNamespace(samples=part) for part in (made[:, :half], made[:, half:]))

    monkeypatch.setattr(engine, "extend", extend)
    continuations = Continuations(engine, 2, seed=3)
    for one in (*SONGS, song(3, 90)):
        continuations.add(one)
    found = continuations.measured()
    assert found["songs"] == ["key 0", "key 6"]
    assert [(frames, after) for frames, after, _ in asked] == 4 * [(5 * RATE, 8 * RATE)]
    assert [settings.plan for *_, settings in asked] == 2 * [True, False]
    assert {(s.method, s.temperature, s.seed) for *_, s in asked} == {("lm", 1.0, 3)}
    systems = found["systems"]
    assert list(systems) == [WITH_PLAN, WITHOUT_PLAN, LAST_BAR, TRUE]
    for name in (WITH_PLAN, LAST_BAR, TRUE):
        for trait in ("key", "tempo"):
            assert systems[name][trait].mean > 0.6
            assert systems[name][f"{trait} others"].mean < 0.4
            assert systems[name][f"{trait} ahead"].mean == 1
            assert systems[name][f"{trait} ahead interval"] == (1, 1)
        assert systems[name]["as loud"].mean == 1
        assert abs(systems[name]["fade"].median) < 2
        assert systems[name]["clipped"].most == 0
    other = systems[WITHOUT_PLAN]
    assert other["key ahead"].mean == other["tempo ahead"].mean == 0
    assert other["level"].least > 6
    assert other["as loud"].mean == 0
    assert other["clipped"].least > 0
    assert other["fade"].most < -10
    for trait, change in found["change"].items():
        rows = [row[WITH_PLAN][trait] - row[WITHOUT_PLAN][trait] for row in found["rows"]]
        assert change["mean"] == pytest.approx(sum(rows) / 2)
        assert 0 < change["interval"][0] <= change["mean"] <= change["interval"][1]
    assert remarks(found)[0].startswith("with a plan less without, song by song (95 %): key +")
    assert len(json.loads(as_json(found))["rows"]) == 2
    agreeing, loud = tables(found)
    assert [row[3] for row in agreeing.rows][:2] == ["100% (100% … 100%)", "0% (0% … 0%)"]
    assert [row[1] for row in loud.rows] == ["100%", "0%", "100%", "100%"]
    assert all(len(row) == len(table.headings) for table in (agreeing, loud) for row in table.rows)


@pytest.mark.usefixtures("short")
def test_the_models_make_what_infill_makes(engine: Engine) -> None:
    continuations = Continuations(engine, 1, seed=2)
    continuations.add(SONGS[0])
    found = continuations.measured()
    prompt, true = SONGS[0].mixture[:, :RATE], SONGS[0].mixture[:, RATE : RATE + RATE // 2]
    made = {TRUE: true, LAST_BAR: repeat_bar(prompt, RATE, RATE // 2)}
    for name in (WITH_PLAN, WITHOUT_PLAN):
        settings = InfillSettings("lm", temperature=1.0, seed=2, plan=name == WITH_PLAN)
        extension = Extension(after=RATE // 2)
        (filling,) = engine.extend(MemorySource(prompt, RATE), extension, settings)
        made[name] = filling.samples
    (row,) = found["rows"]
    assert set(row) == set(made)
    for name, sound in made.items():
        for trait, strengths in (("key", key_strengths), ("tempo", tempo_strengths)):
            agreed = agreement(strengths(sound, RATE), strengths(prompt, RATE))
            assert row[name][trait] == pytest.approx(agreed, abs=1e-5)
        assert row[name]["level"] == pytest.approx(level(sound) - level(prompt), abs=1e-5)
    assert row[WITH_PLAN]["key"] != row[WITHOUT_PLAN]["key"]
    # there is no other song to compare with
    assert "key others" not in found["systems"][WITH_PLAN]
    assert tables(found)[0].rows[0][2:4] == ["", ""]


@pytest.mark.usefixtures("short")
def test_what_cannot_be_continued_is_left_out(engine: Engine) -> None:
    continuations = Continuations(engine, 3)
    brief = SONGS[0].mixture[:, : round(0.9 * RATE)]
    continuations.add(Song("brief", brief, {}, RATE))
    continuations.add(Song("silent", torch.zeros(1, 2 * RATE), {}, RATE))
    ending = torch.cat([SONGS[0].mixture[:, :RATE], torch.zeros(2, RATE)], dim=1)
    continuations.add(Song("ending", ending, {}, RATE))
    assert continuations.songs == []


def test_the_last_bar_is_four_beats_again_and_again() -> None:
    sound = clicks(120, 5.3)
    made = repeat_bar(sound, RATE, 5 * RATE)
    assert made.shape == (1, 5 * RATE)
    bar = 2 * RATE
    assert torch.equal(made[:, :bar], sound[:, -bar:])
    assert torch.equal(made[:, bar : 2 * bar], sound[:, -bar:])
    assert torch.equal(made[:, 2 * bar :], sound[:, -bar:-RATE])
    # a prompt that is shorter than a bar is all repeated
    assert torch.equal(repeat_bar(sound[:, :RATE], RATE, 2 * RATE), sound[:, :RATE].repeat(1, 2))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("without", "left"),
    [
        (("lm-acoustic",), [WITH_PLAN]),
        (("lm-semantic",), [WITHOUT_PLAN]),
        (("lm-semantic", "lm-acoustic"), None),
    ],
)
def test_what_is_there_is_measured(
    without: tuple[str, ...], left: list[str] | None, continuing: Path, tmp_path: Path
) -> None:
    ignore = shutil.ignore_patterns(*without)
    shutil.copytree(continuing, tmp_path / "some", ignore=ignore)
    engine = Engine(tmp_path / "some", "cpu")
    if left is None:
        with pytest.raises(CheckpointError, match="which --method lm needs"):
            Continuations(engine, 1)
    else:
        continuations = Continuations(engine, 1)
        assert list(continuations.systems) == left
        continuations.add(SONGS[0])
        found = continuations.measured()
        assert list(found["systems"]) == [*left, LAST_BAR, TRUE]
        # there is nothing to compare a plan with
        assert len(remarks(found)) == 1
