"""``infill`` with passages: what is told of them, where they come from, and what stays."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050
GAP = ("--gap", "6:6.5", "--report", "told.jsonl", "--overwrite")


def song(seconds=24, seed=1):
    """Bursts of noise of random loudness, in two channels; the last ten seconds are 2 to 12 s."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(0.02, 0.2, seconds * 10), RATE // 10)
    audio = loud[:, None] * rng.standard_normal((len(loud), 2))
    audio[14 * RATE :] = audio[2 * RATE : 12 * RATE]
    return np.round(np.clip(audio, -0.9, 0.9) * 32_768).astype(np.int16)


@pytest.fixture
def recordings(tmp_path):
    """song.wav, which repeats itself, with a gap; and take.wav, which is whole."""
    audio = song()
    holed = audio.copy()
    holed[6 * RATE : 6 * RATE + RATE // 2] = 0
    soundfile.write(tmp_path / "song.wav", holed, RATE)
    soundfile.write(tmp_path / "take.wav", audio[RATE : 13 * RATE], RATE)
    soundfile.write(tmp_path / "short.wav", holed[: 9 * RATE], RATE)
    return audio


def told():
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]


def test_a_gap_gets_what_the_song_repeats(call, tiny, recordings):
    done = call("infill", "song.wav", *GAP, "--model", tiny, "--candidates", 3, "-v")
    assert done.status == 0, done.err
    (entry,) = told()
    assert (entry["method"], entry["from"], entry["filled"]) == ("passage", 18.0, True)
    assert entry["distance"] < 0.1
    assert entry["correlation"] > 0.95
    assert abs(entry["level"]) < 6
    assert [sorted(one) for one in entry["passages"]] == [["correlation", "distance", "from"]] * 3
    header, row = (
        line.split("  ") for line in done.err.splitlines() if line.startswith(("file", "song.wav "))
    )
    for word in ("method", "from (s)", "distance", "correlation", "level (dB)"):
        assert word in [cell.strip() for cell in header]
    assert "18.000000" in [cell.strip() for cell in row]
    after, _ = soundfile.read("song.infilled.wav", dtype="int16")
    assert np.abs(after.astype(int) - recordings).max() <= 1
    holed, _ = soundfile.read("song.wav", dtype="int16")
    outside = np.ones(len(after), bool)
    outside[6 * RATE : 6 * RATE + RATE // 2] = False
    assert np.array_equal(after[outside], holed[outside])


def test_the_next_best_can_be_chosen(call, tiny, recordings):
    run = ("infill", "song.wav", *GAP, "--model", tiny, "--method", "passage")
    assert call(*run, "--choice", 2).status == 0
    (entry,) = told()
    assert entry["from"] == entry["passages"][1]["from"] != entry["passages"][0]["from"] == 18.0


def test_a_dry_run_tells_it_without_a_model(call, recordings, listing):
    done = call("infill", "song.wav", *GAP, "--dry-run", "--model", "none")
    assert done.status == 0
    (entry,) = told()
    assert (entry["method"], entry["from"], entry["filled"]) == ("passage", 18.0, False)
    assert "level" not in entry
    assert "18.000000" in done.err
    assert "song.infilled.wav" not in listing()
    # what does not repeat itself has no match
    assert call("infill", "short.wav", *GAP, "--dry-run").status == 0
    assert told()[0]["method"] == "spectrogram"
    # without a spectrogram model there are tokens
    assert call("infill", "short.wav", *GAP, "--dry-run", "--model", "none").status == 0
    assert told()[0]["method"] == "tokens"


def test_passages_of_another_take(call, tiny, recordings):
    run = ("infill", "short.wav", *GAP, "--model", tiny, "--from", "take.wav")
    done = call(*run, "-v")
    assert done.status == 0, done.err
    (entry,) = told()
    assert (entry["method"], entry["from"], entry["from_file"]) == ("passage", 5.0, "take.wav")
    assert "take.wav: 5.000000" in done.err
    after, _ = soundfile.read("short.infilled.wav", dtype="int16")
    assert np.abs(after.astype(int) - recordings[: 9 * RATE]).max() <= 1


def test_another_take_that_is_none(call, tiny, recordings):
    Path("text.wav").write_text("no sound")
    done = call("infill", "song.wav", "--gap", "6:6.5", "--model", tiny, "--from", "text.wav")
    assert done.status == 1
    assert "text.wav" in done.err


def test_stem_by_stem(call, tiny, recordings):
    run = ("infill", "song.wav", *GAP, "--model", tiny, "--by-stem", "--method", "passage")
    done = call(*run, "-v")
    assert done.status == 0, done.err
    (entry,) = told()
    assert entry["method"] == "stems"
    assert entry["stems"][-1]["stem"] == "rest"
    assert {one["method"] for one in entry["stems"]} <= {"passage", "ar+tokens"}
    assert entry["stems"][-1]["from"] == 18.0
    assert "stems: " in done.err
    after, _ = soundfile.read("song.infilled.wav", dtype="int16")
    holed, _ = soundfile.read("song.wav", dtype="int16")
    outside = np.ones(len(after), bool)
    outside[6 * RATE : 6 * RATE + RATE // 2] = False
    assert np.array_equal(after[outside], holed[outside])
    assert call(*run, "--dry-run").status == 0
    assert told()[0]["method"] == "stems"
    assert call(*run[:-2], "--dry-run").status == 0
    assert told()[0]["method"] == "passage"


@pytest.mark.parametrize("more", [("--method", "ar"), ("--from", "take.wav"), ("--after", 1)])
def test_what_goes_with_no_stems_is_refused(call, recordings, more):
    done = call("infill", "song.wav", "--by-stem", *more)
    assert done.status == 2
    assert "--by-stem" in done.error_line()
