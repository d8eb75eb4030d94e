"""The spectrogram model's evaluation: distances by hand, pairs, and probes."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from signals import note
from tiny_spectrogram import GRID, SMALL

from audiomask.checkpoint import save_checkpoint
from audiomask.engine import Engine
from audiomask.evaluation import abx
from audiomask.evaluation import probes as module
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import as_json
from audiomask.evaluation.run import Evaluation
from audiomask.evaluation.songs import Song
from audiomask.evaluation.spectrogram import SpectrogramEvaluator
from audiomask.networks.spectrogram import PRESETS, build_spectrogram
from audiomask.networks.spectrogram.features import compress, reference
from models import save

RATE = SMALL["sample_rate"]


def engine_of(folder: Path, preset: str = "default", **settings: Any) -> Engine:
    torch.manual_seed(0)
    model = build_spectrogram(preset, SMALL | settings)
    save_checkpoint(folder, "spectrogram", preset, asdict(model.config), model.state_dict())
    return Engine(folder, "cpu")


def song(number: int = 0, seconds: float = 3.2, channels: int = 1) -> Song:
    draw = torch.Generator().manual_seed(number)
    noise = 0.1 * torch.randn(channels, round(seconds * RATE), generator=draw)
    return Song(f"song {number}", noise, {}, RATE)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_measured(preset: str, tmp_path: Path) -> None:
    evaluator = SpectrogramEvaluator(engine_of(tmp_path, preset))
    for number in range(3):
        assert evaluator.add(song(number, channels=1 + number % 2)) is None
    report = evaluator.finish()
    found = json.loads(as_json(report.data))
    assert ("spans" in found) == (preset != "hubert")
    assert ("continuation" in found) == (preset in ("default", "frame-transformer"))
    titles = " ".join(table.title for table in report.tables)
    assert ("Hidden spans" in titles) == (preset != "hubert")
    if "spans" in found:
        # a span of 32 frames is more than a third of a window of 48
        assert list(found["spans"]) == ["4", "8", "16"]
        assert all(entry["model"]["number"] == 3 for entry in found["spans"].values())
    if "continuation" in found:
        # four windows in every song
        pairs = {name: row["pairs"] for name, row in found["continuation"].items()}
        moved = pairs.pop("the same song, off the beat")
        assert pairs == {"another song": 12, "the same song": 12, "both": 24}
        assert 9 <= moved <= 12, "of some windows at the ends there is no room"
        assert all(0 <= row["model"] <= 1 for row in found["continuation"].values())


def test_distances_are_those_of_hidden_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = SpectrogramEvaluator(engine_of(tmp_path))
    (found_window,) = evaluator.windows(song(seconds=1.0))
    window = found_window.power
    assert window.shape == (48, 16)
    hidden = torch.zeros(48, dtype=torch.bool)
    hidden[20:24] = True
    monkeypatch.setattr(
        "audiomask.evaluation.spectrogram.sample_spans", lambda *given: hidden.clone()
    )
    found = evaluator.fill([found_window], 4)
    exponent = evaluator.config.exponent
    true = compress(window, reference(window, ~hidden), exponent)
    with torch.no_grad():
        filled = evaluator.model.fill(true[None], hidden[None])[0]
    assert found["model"] == pytest.approx(float((filled - true)[20:24].abs().mean()), rel=1e-5)
    held = (true[19] - true[20:24]).abs().mean()
    assert found["last frame held"] == pytest.approx(float(held), rel=1e-5)
    share = torch.tensor([0.2, 0.4, 0.6, 0.8])[:, None]
    line = (torch.lerp(true[19], true[24], share) - true[20:24]).abs().mean()
    assert found["interpolated"] == pytest.approx(float(line), rel=1e-5)
    levels = 20 * (true / true[19]).log10()[20:24] / exponent
    assert found["last frame held_db"] == pytest.approx(float(levels.abs().mean()), rel=1e-3)


def test_songs_that_cannot_be_measured_are_left_out(tmp_path: Path) -> None:
    evaluator = SpectrogramEvaluator(engine_of(tmp_path))
    assert evaluator.add(Song("none", torch.zeros(1, RATE), {}, RATE)) == "silent"
    reason = evaluator.add(song(seconds=0.5))
    assert reason == "shorter than the model's window of 48 frames"
    # silent windows of a song do not count
    half = song(seconds=3.2)
    half.mixture[:, 12_800:] = 0
    assert len(evaluator.windows(half)) == 2


def test_one_song_has_no_other_song(tmp_path: Path) -> None:
    evaluator = SpectrogramEvaluator(engine_of(tmp_path))
    evaluator.add(song())
    found = evaluator.finish().data["continuation"]
    assert found["another song"]["pairs"] == 0
    assert math.isnan(found["another song"]["model"])
    assert found["the same song"]["pairs"] == 4
    assert found["both"]["pairs"] == 4


def test_moved_halves_are_the_songs_own_of_a_little_later_or_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = SpectrogramEvaluator(engine_of(tmp_path))
    config, longer = evaluator.config, song(seconds=4.0)
    rooms = []

    def moved_by(power: torch.Tensor, _: Any, low: int, high: int, draw: Any) -> int | None:
        rooms.append((low, high))
        return None if len(rooms) == 1 else 7 if high >= 7 else -7

    monkeypatch.setattr("audiomask.evaluation.spectrogram.off_beat", moved_by)
    windows = evaluator.windows(longer)
    hop, size, half = config.hop_length, config.window, config.window // 2
    step = round(4.0 * RATE) // len(windows)
    assert windows[0].moved is None
    for number, window in enumerate(windows[1:], 1):
        low, high = rooms[number]
        start = number * step
        assert low == 1 - half
        assert start + (high + size) * hop <= 4 * RATE < start + (high + size + 1) * hop
        first = start + (half + (7 if high >= 7 else -7)) * hop
        audio = longer.mixture[0, first - 4 * hop : first + half * hop]
        assert window.moved is not None
        assert torch.allclose(window.moved, evaluator.spectrum(audio)[4:], rtol=1e-4, atol=1e-9)
    # spans are hidden as if nothing was moved
    assert torch.equal(evaluator.draw.get_state(), torch.Generator().manual_seed(0).get_state())


def test_false_halves_of_other_songs_are_told_by_their_tone_where_that_is_fine(
    tmp_path: Path,
) -> None:
    """The baseline tells songs of other notes apart, so it is no straw man."""
    evaluator = SpectrogramEvaluator(engine_of(tmp_path, bands=64))
    for number, pitch in enumerate((400.0, 700.0, 1_300.0)):
        time = torch.arange(round(3.2 * RATE)) / RATE
        sound = 0.1 * torch.sin(2 * torch.pi * pitch * time)[None]
        evaluator.add(Song(f"{number}", sound, {}, RATE))
    found = evaluator.finish().data["continuation"]
    assert found["another song"]["cosine"] > 0.95
    assert found["the same song"]["cosine"] == pytest.approx(0.5, abs=0.35)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for number, stem in enumerate(["guitar", "piano", "other"] * 4):
        library = folder / stem / f"lib{number}"
        library.mkdir(parents=True)
        for pitch in range(36, 88, 4):
            soundfile.write(library / f"{pitch}_v100.wav", 0.5 * note(pitch, 9_000), 44_100)
    return folder


def test_probes_of_held_out_libraries(
    notes: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEARNED", 120)
    monkeypatch.setattr(module, "MEASURED", 30)
    torch.manual_seed(7)
    save(tmp_path, "spectrogram", build_spectrogram("default", SMALL | GRID | {"bands": 64}))
    (tmp_path / "vqvae").symlink_to(tiny / "vqvae")
    evaluator = SpectrogramEvaluator(Engine(tmp_path, "cpu"), notes=notes, shown=False)
    found = module.Probes(evaluator.engine, evaluator.model, 0, False).measure(notes)
    assert found["notes"] == str(notes)
    assert found["classes"] == {"pitch": 48, "family": 3, "chord": 24}
    systems = ["mel", "MFCC", "VQ-VAE", "random weights", "layer 1", "layer 2"]
    for rows in found["accuracy"].values():
        assert list(rows) == systems
        for row in rows.values():
            assert list(row) == ["0.1%", "1.0%", "10.0%", "100.0%"]
    # notes of a pure pitch are read from their bands
    mel = found["accuracy"]["pitch"]["mel"]
    assert mel["100.0%"] > 0.3 > mel["0.1%"]
    # the model's own layer is not that of its random twin
    pitch = found["accuracy"]["pitch"]
    assert pitch["layer 1"] != pitch["random weights"]


def test_hidden_spans_are_also_filled_by_tokens(tiny: Path, tmp_path: Path) -> None:
    engine_of(tmp_path / "spectrogram", **GRID)
    for kind in ("vqvae", "mlm"):
        (tmp_path / kind).symlink_to(tiny / kind)
    evaluator = SpectrogramEvaluator(Engine(tmp_path, "cpu"))
    draw = torch.Generator().manual_seed(0)
    noise = Song("noise", 0.1 * torch.randn(2, 60_000, generator=draw), {}, 44_100)
    assert evaluator.add(noise) is None
    report = evaluator.finish()
    assert report.tables[0].headings[1:-1] == ("model", "interpolated", "last frame held", "tokens")
    row = report.data["spans"]["4"]
    assert 0 < row["tokens"].mean < 1
    assert row["tokens"].mean != row["model"].mean


def test_triples_of_notes_are_judged(
    notes: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abx, "TRIPLES", 30)
    monkeypatch.setattr(module, "LEARNED", 30)
    monkeypatch.setattr(module, "MEASURED", 10)
    torch.manual_seed(7)
    model = build_spectrogram("default", SMALL | GRID | {"bands": 64})
    model.semantic_clusters.centers.normal_()
    save(tmp_path, "spectrogram", model)
    (tmp_path / "vqvae").symlink_to(tiny / "vqvae")
    evaluator = SpectrogramEvaluator(Engine(tmp_path, "cpu"), notes=notes, shown=False)
    evaluator.add(Song("noise", 0.1 * torch.randn(1, 60_000), {}, 44_100))
    report = evaluator.finish()
    found = report.data["abx"]
    tokens = ["VQ-VAE, tokens of level 1", "semantic tokens"]
    systems = ["mel", "MFCC", "VQ-VAE", "random weights", "layer 1", "layer 2", *tokens]
    assert list(found) == ["family", "chord"]
    assert all(list(scores) == systems for scores in found.values())
    # all instruments of this bank are alike, so that families are guessed and chords are heard
    assert found["chord"]["mel"] > 0.9
    assert 0.2 < found["family"]["mel"] < 0.8
    assert report.tables[-1].title.startswith("ABX")


def test_the_command_measures_and_knows_notes(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        recording(f"data/test/{name}.wav", seconds=2)
    engine = engine_of(tmp_path / "model", sample_rate=44_100, stft_size=2048, hop_length=1024)
    options = EvaluateOptions("spectrogram", (tmp_path / "data",))
    evaluation = Evaluation(options, engine)
    for ref in evaluation.refs:
        assert evaluation.measure(ref) is None
    found = json.loads(as_json(evaluation.report().data))
    assert found["job"] == "spectrogram"
    assert found["songs"] == ["test/a", "test/b"]
    assert "probes" not in found
    assert found["checkpoints"] == engine.fingerprints
