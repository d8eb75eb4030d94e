"""The raw-audio model's evaluation: the same samples for every system and context."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tiny_wave import PAPER, SMALL
from torch import Tensor

from audiomask.checkpoint import save_checkpoint
from audiomask.engine import Engine
from audiomask.evaluation import wave as module
from audiomask.evaluation.options import EvaluateOptions, Split
from audiomask.evaluation.report import as_json
from audiomask.evaluation.run import Evaluation
from audiomask.evaluation.songs import Song
from audiomask.evaluation.wave import WaveEvaluator
from audiomask.networks.wave import build_wave

RATE = SMALL["sample_rate"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two windows of a song, and a cascade that adapts to little."""
    monkeypatch.setattr(module, "WINDOWS", 2)
    monkeypatch.setattr(module, "CASCADE_PAST", 512)


def engine_of(folder: Path, preset: str = "default") -> Engine:
    torch.manual_seed(0)
    model = build_wave(preset, PAPER if preset == "paper" else SMALL)
    save_checkpoint(folder, "wave", preset, asdict(model.config), model.state_dict())
    return Engine(folder, "cpu")


def song(number: int = 0, samples: int = 8_000) -> Song:
    draw = torch.Generator().manual_seed(number)
    return Song(f"song {number}", 0.1 * torch.randn(1, samples, generator=draw), {}, RATE)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_every_preset_is_measured(preset: str, tmp_path: Path) -> None:
    evaluator = WaveEvaluator(engine_of(tmp_path, preset))
    for number in range(2):
        assert evaluator.add(song(number)) is None
    report = evaluator.finish()
    found = json.loads(as_json(report.data))
    assert found["systems"]["uniform"]["bits"]["mean"] == 8
    assert all(0 < entry["bits"]["mean"] < 12 for entry in found["systems"].values())
    titles = [table.title for table in report.tables]
    assert ("less of their past" in " ".join(titles)) == (preset == "default")
    assert list(found["contexts"]) == (["800"] if preset == "paper" else ["1024", "4096"])


def test_all_contexts_are_asked_about_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = WaveEvaluator(engine_of(tmp_path))
    asked: list[Tensor] = []

    def bits(levels: Tensor, first: Tensor, number: int) -> Tensor:
        assert (first.tolist(), number) == ([[levels.shape[1] // 512 - 2]], 2)
        asked.append(levels[0])
        return torch.full((1, 2, 512), math.log2(levels.shape[1]))

    monkeypatch.setattr(evaluator.model, "bits", bits)
    assert evaluator.add(song()) is None
    assert [len(one) for one in asked] == [2048, 2048, 5120, 5120]
    for few, many in zip(asked[:2], asked[2:], strict=True):
        assert torch.equal(few, many[-2048:])
    assert not torch.equal(asked[0], asked[1])
    (row,) = evaluator.rows
    assert row["contexts"] == pytest.approx({1024: 11, 4096: math.log2(5120)})
    assert row["model"] == row["contexts"][4096]
    entry = evaluator.by_context()["1024"]
    assert entry["compared_with"] == 4096
    assert entry["change"].mean == pytest.approx(11 - math.log2(5120))


def test_short_songs_are_measured_with_the_contexts_that_they_have(tmp_path: Path) -> None:
    evaluator = WaveEvaluator(engine_of(tmp_path))
    assert evaluator.add(song(samples=4_000)) is None
    assert list(evaluator.rows[0]["contexts"]) == [1024]
    told = evaluator.add(song(samples=2_000))
    assert told == "shorter than 0.1 s, which a context takes"
    assert evaluator.add(Song("quiet", torch.zeros(1, 8_000), {}, RATE)) == "silent"
    assert list(evaluator.by_context()) == ["1024"]


def test_the_peak_of_a_song_decides_its_levels(tmp_path: Path) -> None:
    evaluator = WaveEvaluator(engine_of(tmp_path))
    loud = song()
    quiet = Song("quiet", loud.mixture * 0.1, {}, RATE)
    assert evaluator.add(loud) is None
    assert evaluator.add(quiet) is None
    first, second = (row["model"] for row in evaluator.rows)
    assert first == pytest.approx(second, abs=1e-3)


def test_an_evaluation_runs_it(tmp_path: Path, sound: Callable[..., Path]) -> None:
    sound(tmp_path / "music/one.wav", 1.5, level=0.2)
    engine = engine_of(tmp_path / "model")
    options = EvaluateOptions("wave", (tmp_path / "music",), Split.all)
    evaluation = Evaluation(options, engine)
    for ref in evaluation.refs:
        assert evaluation.measure(ref) is None
    assert evaluation.report().data["unit"] == "bits a sample"
