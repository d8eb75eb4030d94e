"""``infill --method wave``: recordings continued by drawn samples, and what that needs."""

import shutil
from dataclasses import asdict

import numpy as np
import pytest
import soundfile
from tiny_wave import PAPER

from audiomask.checkpoint import save_checkpoint
from audiomask.networks.wave import build_wave

RATE = 16_000


@pytest.fixture
def song(tmp_path):
    time = np.arange(RATE // 2) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 220 * time) + 0.1 * np.sin(2 * np.pi * 671 * time)
    audio = tone[:, None] + np.random.default_rng(0).normal(0, 0.002, (len(time), 2))
    soundfile.write(tmp_path / "a.wav", audio, RATE)
    return tmp_path / "a.wav"


@pytest.mark.parametrize("named", ["--model", "--wave"])
def test_a_recording_is_continued_and_stays_as_it_is(call, tiny, song, named):
    folder = tiny if named == "--model" else tiny / "wave"
    options = ("--after", "0.03", "--method", "wave", named, folder)
    done = call("infill", song, *options, "-o", "out.wav")
    assert done.status == 0, done.err
    before, after = (soundfile.read(name, dtype="int16")[0] for name in (song, "out.wav"))
    assert len(after) == len(before) + round(0.03 * RATE)
    assert np.array_equal(after[: len(before)], before)
    assert after[len(before) :].std() > 0.5 * before.std()
    again = call("infill", song, *options, "-o", "again.wav")
    assert again.status == 0, again.err
    assert np.array_equal(after, soundfile.read("again.wav", dtype="int16")[0])


def test_dry_run_names_the_method_and_needs_no_model(call, song):
    done = call("infill", song, "--after", "0.03", "--method", "wave", "--dry-run")
    assert done.status == 0, done.err
    assert "wave" in done.err


def test_what_it_needs_is_said(call, tiny, song, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("wave"))
    options = ("--after", "0.03", "--method", "wave")
    done = call("infill", song, *options, "--model", folder, "-o", "out.wav")
    assert done.status == 1
    assert done.error_line() == (
        f"audiomask: error: {folder}: has no raw-audio model, which --method wave needs: "
        "train one (audiomask train wave) and name it with --wave DIR"
    )
    model = build_wave("paper", PAPER)
    save_checkpoint(folder / "wave", "wave", "paper", asdict(model.config), model.state_dict())
    done = call("infill", song, *options, "--model", folder, "-o", "out.wav")
    assert done.status == 1
    assert "is of the preset 'paper', which predicts one sample a window" in done.err
    done = call("infill", song, "--middle", "0.1", "--method", "wave", "--by-stem")
    assert done.status == 2
    assert "--method wave needs no stems" in done.error_line()
    assert not (tmp_path / "out.wav").exists()
