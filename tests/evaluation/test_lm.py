"""The language model's evaluation: the same spans for every system, and what is counted."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from audiomask.engine import Engine
from audiomask.errors import CheckpointError, UsageError
from audiomask.evaluation import continuations
from audiomask.evaluation.lm import LMEvaluator
from audiomask.evaluation.options import EvaluateOptions, Split
from audiomask.evaluation.report import as_json
from audiomask.evaluation.run import Evaluation
from audiomask.evaluation.songs import Song

RATE = 44_100


def song(number: int = 0, seconds: float = 2.0) -> Song:
    draw = torch.Generator().manual_seed(number)
    sound = 0.1 * torch.randn(2, round(seconds * RATE), generator=draw)
    return Song(f"song {number}", sound, {}, RATE)


@pytest.fixture(scope="module")
def engine(continuing: Path) -> Engine:
    return Engine(continuing, "cpu")


def test_all_stages_code_the_same_songs(engine: Engine) -> None:
    evaluator = LMEvaluator(engine, shown=False)
    for number in range(2):
        assert evaluator.add(song(number)) is None
    report = evaluator.finish()
    found = json.loads(as_json(report.data))["systems"]
    means = {name: entry["bits"]["mean"] for name, entry in found.items()}
    assert list(means) == ["semantic + coarse", "acoustic", "coarse", "semantic", "fine"]
    assert means["semantic + coarse"] == pytest.approx(means["semantic"] + means["coarse"])
    # models that know nothing need at least the logarithm of the number of tokens, about
    frames = RATE / 512
    assert 0.9 * frames * 5 < means["acoustic"] < 1.5 * frames * 5
    assert 0 < means["semantic"] < 2 * RATE / 2048 * math.log2(6)
    assert found["semantic + coarse"]["interval"] is not None
    assert found["coarse"]["interval"] is None


def test_what_a_window_costs_is_what_its_model_says(engine: Engine) -> None:
    evaluator = LMEvaluator(engine, shown=False)
    model = evaluator.stages["coarse"]
    rows = torch.randint(32, (1, 1, 100))
    condition = torch.randint(6, (1, 1, 25))
    with torch.inference_mode():
        whole = model.nats(rows[..., 8:40], condition[..., 2:10])
        told = evaluator.bits("coarse", rows, condition, 24, 40)
        assert told == pytest.approx(float(whole[..., 16:].sum()) / math.log(2), rel=1e-5)
        # what comes later does not count
        changed = rows.clone()
        changed[..., 40:] = 0
        assert evaluator.bits("coarse", changed, condition, 24, 40) == told
        # steps that are not whole tokens of the condition, and more than half a window of them
        parts = [evaluator.bits("coarse", rows, condition, a, b) for a, b in ((24, 40), (40, 43))]
        assert evaluator.bits("coarse", rows, condition, 24, 43) == pytest.approx(sum(parts))


def test_baselines_are_counted_on_other_songs(
    engine: Engine, tmp_path: Path, sound: Callable[..., Path]
) -> None:
    for number in range(4):
        sound(tmp_path / f"music/{number}.wav", 1.5, level=0.2)
    options = EvaluateOptions("lm", (tmp_path / "music",), Split.all, quiet=True)
    evaluation = Evaluation(options, engine)
    assert len(evaluation.refs) == 2
    for ref in evaluation.refs:
        assert evaluation.measure(ref) is None
    report = evaluation.report()
    for stage in ("acoustic", "coarse", "semantic", "fine"):
        for name in ("unigram", "bigram"):
            assert report.data["systems"][f"{stage} {name}"]["bits"].mean > 0
    assert "unigram and bigram: counted on 2 songs" in " ".join(report.notes)


def test_pairs_are_of_the_bands_among_the_data(
    engine: Engine, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LMEvaluator, "span", 2.0)
    options = EvaluateOptions("lm", (bank,), Split.all, pairs=3, quiet=True)
    evaluator = LMEvaluator.open(engine, options)
    told: list[float] = []

    def code(tokens: object, starts: list[float]) -> dict[str, float]:
        # the true one comes first, and costs less in the last pair of each kind alone
        told.append(starts[0])
        cost = len(told) % 2 + (3 if len(told) % 6 == 0 else 0)
        return {"acoustic": float(cost), "semantic": 1.0}

    monkeypatch.setattr(evaluator, "_code_all", code)
    assert evaluator.bands is not None
    found = evaluator.by_pair(evaluator.bands)
    assert set(told) == {evaluator.span}
    for kind in ("note", "chord", "beat"):
        assert found[kind]["pairs"] == 3
        systems = found[kind]["systems"]
        assert systems["acoustic"]["share"] == pytest.approx(1 / 3)
        assert systems["semantic"]["share"] == 0.5


def test_a_whole_evaluation_of_a_note_bank(engine: Engine, bank: Path) -> None:
    options = EvaluateOptions("lm", (bank,), Split.all, 2, seconds=1.0, pairs=1, quiet=True)
    evaluation = Evaluation(options, engine)
    for ref in evaluation.refs:
        evaluation.measure(ref)
    report = evaluation.report()
    assert list(report.data["pairs"]) == ["note", "chord", "beat"]
    assert report.tables[1].headings[1] == "note, 1 pairs"
    assert [row[0] for row in report.tables[1].rows] == [
        *("acoustic", "semantic + coarse", "semantic"),
    ]


def test_pairs_take_single_notes(
    engine: Engine, tmp_path: Path, sound: Callable[..., Path]
) -> None:
    sound(tmp_path / "music/one.wav", 1.5, level=0.2)
    options = EvaluateOptions("lm", (tmp_path / "music",), Split.all, pairs=3)
    with pytest.raises(UsageError, match="--pairs are rendered from single notes"):
        LMEvaluator.open(engine, options)


def test_songs_are_continued(
    engine: Engine,
    tmp_path: Path,
    sound: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in (("PROMPT", 0.7), ("LEAST", 0.5), ("AFTER", 0.5)):
        monkeypatch.setattr(continuations, name, seconds)
    for number in range(4):
        sound(tmp_path / f"music/{number}.wav", 1.5, level=0.2)
    found = {}
    for asked in (None, 1, 0):
        folder = (tmp_path / "music",)
        options = EvaluateOptions("lm", folder, Split.all, continuations=asked, quiet=True)
        evaluation = Evaluation(options, engine)
        for ref in evaluation.refs:
            evaluation.measure(ref)
        found[asked] = evaluation.report()
    songs = {
        asked: report.data.get("continuations", {}).get("songs") for asked, report in found.items()
    }
    assert songs == {None: ["0", "2"], 1: ["0"], 0: None}
    assert [len(report.tables) for report in found.values()] == [3, 3, 1]
    assert "50 % by chance" in " ".join(found[1].notes)
    assert not any("no song is continued" in note for note in found[0].notes)


def test_why_no_song_is_continued_is_told(engine: Engine, continuing: Path, tmp_path: Path) -> None:
    def notes(engine: Engine, asked: int | None) -> str:
        options = EvaluateOptions("lm", (), continuations=asked, quiet=True)
        evaluator = LMEvaluator.open(engine, options)
        assert evaluator.add(song()) is None
        return " ".join(evaluator.finish().notes)

    assert "no song is continued: all are too short, or silent" in notes(engine, None)
    shutil.copytree(continuing, tmp_path / "some", ignore=shutil.ignore_patterns("lm-fine", "mlm"))
    lacking = Engine(tmp_path / "some", "cpu")
    assert "has neither lm-fine nor mlm" in notes(lacking, None)
    with pytest.raises(CheckpointError, match="has neither lm-fine nor mlm"):
        notes(lacking, 3)


def test_songs_that_are_too_short_or_silent_are_left_out(engine: Engine) -> None:
    evaluator = LMEvaluator(engine, shown=False)
    assert evaluator.add(song(seconds=0.3)) == "shorter than the 0.4 s that a window takes"
    assert evaluator.add(Song("quiet", torch.zeros(1, RATE), {}, RATE)) == "silent"


@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine", "acoustic"])
def test_a_stage_alone_is_measured(stage: str, continuing: Path, tmp_path: Path) -> None:
    for name in ("vqvae", "spectrogram", f"lm-{stage}"):
        shutil.copytree(continuing / name, tmp_path / name)
    evaluator = LMEvaluator(Engine(tmp_path, "cpu"), shown=False)
    assert evaluator.add(song()) is None
    assert list(evaluator.finish().data["systems"]) == [stage]


def test_without_a_stage_nothing_is_measured(tiny: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no stage of the language model"):
        LMEvaluator(Engine(tiny, "cpu"))
