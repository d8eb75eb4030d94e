"""``infill --detect-kind surprise``: what a raw-audio model finds, its score, and what it needs."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_wave import PAPER

from audiomask.checkpoint import save_checkpoint
from audiomask.networks.wave import build_wave

#: the model's own, as a resampler spreads clicks
RATE = 16_000
#: samples of the click
CLICK = slice(8_000, 8_008)


@pytest.fixture
def clicked(tmp_path):
    """A tone in noise with a click at half a second, on the right of two channels."""
    time = np.arange(RATE) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 220 * time) + 0.1 * np.sin(2 * np.pi * 671 * time)
    noise = np.random.default_rng(0).normal(0, 0.001, (RATE, 2))
    audio = tone[:, None] + noise
    audio[CLICK, 1] += (0.4, -0.5, 0.3, -0.3, 0.5, -0.2, -0.4, 0.5)
    soundfile.write(tmp_path / "a.wav", audio, RATE)
    return tmp_path / "a.wav"


def told(call, *arguments):
    done = call("infill", *arguments, "--dry-run", "--report", "told.jsonl", "--overwrite")
    assert done.status == 0, done.err
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()], done


@pytest.mark.parametrize("named", ["--model", "--wave"])
def test_a_click_is_found_and_scored_in_bits(call, tiny, clicked, named):
    folder = tiny if named == "--model" else tiny / "wave"
    (entry,), done = told(call, clicked, "--detect-kind", "surprise", named, folder)
    assert (entry["kind"], entry["channels"]) == ("surprise", "right")
    assert entry["start"] <= CLICK.start / RATE
    assert entry["end"] >= CLICK.stop / RATE
    assert entry["seconds"] < 0.005
    assert entry["bits"] > 20
    assert "surprise (bits)" in done.err
    assert f"{entry['bits']:.1f}" in done.err


def test_it_is_filled_and_all_else_stays(call, tiny, clicked):
    options = ("--detect-kind", "surprise", "--model", tiny, "-o", "out.wav")
    done = call("infill", clicked, *options)
    assert done.status == 0, done.err
    before, after = (soundfile.read(name)[0] for name in (clicked, "out.wav"))
    peaks = [np.abs(audio[CLICK, 1]).max() for audio in (before, after)]
    assert peaks[1] < 0.4 < peaks[0]
    assert np.array_equal(before[:, 0], after[:, 0])
    assert np.array_equal(before[:7_600], after[:7_600])


def test_other_kinds_are_found_beside_it_and_alone(call, tiny, clicked):
    audio, _ = soundfile.read(clicked)
    audio[12_000:12_400] = 0
    soundfile.write(clicked, audio, RATE)
    both = ("--detect-kind", "silence", "--detect-kind", "surprise")
    entries, _ = told(call, clicked, *both, "--model", tiny)
    assert [entry["kind"] for entry in entries] == ["surprise", "silence+surprise"]
    entries, _ = told(call, clicked, "--detect-kind", "all")
    assert all("surprise" not in entry["kind"] and "bits" not in entry for entry in entries)
    entries, _ = told(call, clicked)
    assert [entry["kind"] for entry in entries] == ["silence"]


def test_it_needs_a_raw_audio_model_that_predicts_every_sample(call, tiny, clicked, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("wave"))
    done = call("infill", clicked, "--detect-kind", "surprise", "--model", folder, "--dry-run")
    assert done.status == 1
    assert done.error_line() == (
        f"audiomask: error: {folder}: has no raw-audio model, which --detect-kind surprise needs: "
        "train one (audiomask train wave) and name it with --wave DIR"
    )
    model = build_wave("paper", PAPER)
    save_checkpoint(folder / "wave", "wave", "paper", asdict(model.config), model.state_dict())
    done = call("infill", clicked, "--detect-kind", "surprise", "--model", folder, "--dry-run")
    assert done.status == 1
    assert "is of the preset 'paper', which predicts one sample a window" in done.err
    done = call("infill", clicked, "--wave", tiny / "wave", "--dry-run")
    assert done.status == 2
    assert done.error_line().endswith(
        "--wave is for --detect-kind surprise and --method wave: add one"
    )
