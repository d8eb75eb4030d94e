"""``infill --method spectrogram``: on files, with the other options, and without a model."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_spectrogram import SMALL

from audiomask.checkpoint import save_checkpoint
from audiomask.networks.spectrogram import build_spectrogram

RATE = 44_100


@pytest.fixture
def song(tmp_path):
    """Two seconds of tones in noise, stereo."""
    time = np.arange(2 * RATE) / RATE
    tones = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 1237 * time)
    noise = np.random.default_rng(1).normal(0, 0.01, (len(time), 2))
    soundfile.write(tmp_path / "song.wav", tones[:, None] + noise, RATE, subtype="PCM_16")
    return tmp_path / "song.wav"


def test_gaps_are_filled_and_all_else_stays(call, tiny, song):
    spans = ((0.3, 0.36), (0.8, 1.0), (1.05, 1.1), (1.9, 2.0))
    gaps = [word for start, stop in spans for word in ("--gap", f"{start}:{stop}")]
    options = (*gaps, "--method", "spectrogram", "--model", tiny)
    made = []
    for name in ("x.wav", "y.wav"):
        done = call("infill", song, "-o", name, *options, "--report", "told.jsonl", "--overwrite")
        assert done.status == 0, done.err
        made.append(Path(name).read_bytes())
    assert made[0] == made[1]
    entries = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert [entry["method"] for entry in entries] == ["spectrogram"] * 4
    before, after = (soundfile.read(name, dtype="int16")[0] for name in (song, "x.wav"))
    outside = np.ones(len(before), bool)
    for start, stop in spans:
        inside = slice(round(start * RATE), round(stop * RATE))
        outside[inside] = False
        levels = [np.std(audio[inside].astype(float)) for audio in (before, after)]
        assert 0.5 < levels[1] / levels[0] < 2
        assert not np.array_equal(before[inside], after[inside])
    assert np.array_equal(before[outside], after[outside])


def test_with_one_channel_folders_dry_run_and_what_is_added(call, tiny, song, tmp_path):
    method = ("--method", "spectrogram", "--model", tiny)
    done = call("infill", song, "--gap", "0.5:0.7", "--channel", "left", "-o", "left.wav", *method)
    assert done.status == 0, done.err
    before, after = (soundfile.read(name, dtype="int16")[0] for name in (song, "left.wav"))
    assert np.array_equal(before[:, 1], after[:, 1])
    assert not np.array_equal(before[:, 0], after[:, 0])
    (tmp_path / "in").mkdir()
    for name in ("a.flac", "b.wav"):
        soundfile.write(tmp_path / "in" / name, before, RATE)
    done = call("infill", "in", "--middle", "0.1", "-o", "out", *method)
    assert done.status == 0, done.err
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "a.infilled.flac",
        "b.infilled.wav",
    ]
    # which needs no model
    done = call("infill", song, "--gap", "0.5:0.7", "--dry-run", *method[:2])
    assert done.status == 0, done.err
    assert " spectrogram" in done.err
    done = call("infill", song, "--after", "0.5", "-o", "long.wav", *method)
    assert done.status == 0, done.err
    assert soundfile.info("long.wav").frames == round(2.5 * RATE)
    done = call("infill", song, "--gap", "0.5:0.7", "--by-stem", "-o", "stems.wav", *method)
    assert done.status == 0, done.err


def test_it_needs_a_model_that_predicts_magnitudes(call, tiny, song, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("spectrogram"))
    options = ("--gap", "0.5:0.7", "--method", "spectrogram", "--model", folder, "-o", "x.wav")
    done = call("infill", song, *options)
    assert done.status == 1
    assert done.error_line() == (
        f"audiomask: error: {folder}: has no spectrogram model, which this method needs: train one "
        "(audiomask train spectrogram --out DIR/spectrogram) and name its folder (--model DIR)"
    )
    model = build_spectrogram("hubert", SMALL | {"window": 24})
    save_checkpoint(
        folder / "spectrogram", "spectrogram", "hubert", asdict(model.config), model.state_dict()
    )
    done = call("infill", song, *options)
    assert done.status == 1
    assert "predicts no magnitudes (magnitude_weight is 0)" in done.error_line()
    assert not Path("x.wav").exists()


def test_it_is_measured(call, tiny, tmp_path, song):
    (tmp_path / "album" / "test").mkdir(parents=True)
    song.rename(tmp_path / "album" / "test" / "song.wav")
    options = ("--gap-length", 100, "--gaps-per-file", 1, "--method", "spectrogram", "--json")
    done = call("evaluate", "infill", "--data", "album", "--model", tiny / "spectrogram", *options)
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["method"] == "spectrogram"
    assert report["gaps"]["100"]["audiomask"]["mel_distance"]["mean"] < 1


def test_it_chooses_among_drawn_fillings(call, tiny, song, tmp_path):
    drawn = ("--gap", "0.8:1.0", "--method", "tokens", "--temperature", 1, "--steps", 2)
    folder = tmp_path / "models"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("spectrogram"))
    made = {}
    for name, model, number in (
        ("ranked", tiny, 4), ("again", tiny, 4), ("likeliest", folder, 4), ("first", folder, 1),
    ):  # fmt: skip
        options = ("--model", model, "--candidates", number, "-o", f"{name}.wav")
        done = call("infill", song, *drawn, *options)
        assert done.status == 0, done.err
        made[name] = soundfile.read(f"{name}.wav", dtype="int16")[0]
    assert np.array_equal(made["ranked"], made["again"])
    outside = np.ones(len(made["first"]), bool)
    outside[round(0.78 * RATE) : round(1.02 * RATE)] = False
    before = soundfile.read(song, dtype="int16")[0]
    for audio in made.values():
        assert np.array_equal(audio[outside], before[outside])
