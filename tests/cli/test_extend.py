"""``infill --after``, ``--before`` and ``--loop``: what is written, told and refused."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, bext, chunk, fmt, riff

from audiomask.infill.extension import LONGEST, LONGEST_BRIDGE

SLOW = 8000


def song():
    """12 s of noise of random loudness, three times over, in two channels."""
    rng = np.random.default_rng(1)
    loud = np.repeat(rng.uniform(0.02, 0.17, 120), SLOW // 10)
    one = np.clip(loud[:, None] * rng.standard_normal((len(loud), 2)), -0.9, 0.9)
    return np.round(np.tile(one, (3, 1)) * 32_768).astype(np.int16)


@pytest.fixture
def cut(tmp_path):
    """song.wav: the song without its first 5 and last 4 seconds."""
    soundfile.write(tmp_path / "song.wav", song()[5 * SLOW : -4 * SLOW], SLOW)


def told():
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]


def test_both_ends_by_passages(call, tiny, cut):
    run = ("infill", "song.wav", "--after", 4, "--before", 5, "--report", "told.jsonl")
    run = (*run, "--overwrite")
    done = call(*run, "--model", tiny, "-v")
    assert done.status == 0, done.err
    after, rate = soundfile.read("song.infilled.wav", dtype="int16")
    assert rate == SLOW
    assert np.abs(after.astype(int) - song()).max() <= 1
    assert np.array_equal(after[5 * SLOW : -4 * SLOW], soundfile.read("song.wav", dtype="int16")[0])
    before, *more = told()
    assert (before["kind"], before["start"], before["end"]) == ("before", -5, 0)
    assert (more[0]["kind"], more[0]["start"], more[-1]["end"]) == ("after", 27, 31)
    assert all(entry["method"] == "passage" and entry["filled"] for entry in told())
    assert before["from"] in (7, 19)
    assert "-5.000000" in done.err
    # told without a model as well
    assert call(*run, "--model", "none", "--dry-run").status == 0
    same = ("start", "end", "kind", "from", "method")
    assert [[e[key] for key in same] for e in told()] == [
        [e[key] for key in same] for e in (before, *more)
    ]


def test_a_folder_and_a_pipe(invoke, wav, listing):
    wav("in/one.wav", 0.25)
    wav("in/deep/two.wav", 0.5)
    assert invoke("infill", "in", "-o", "out", "--after", 0.1, "--before", 0.2).status == 0
    for name, frames in (("one", 11_025), ("deep/two", 22_050)):
        after, _ = soundfile.read(f"out/{name}.infilled.wav", dtype="int16")
        true, _ = soundfile.read(f"in/{name}.wav", dtype="int16")
        assert len(after) == frames + 4410 + 8820
        assert np.array_equal(after[8820:-4410], true)
        assert (after[:8820] == 16_384).all()
        assert (after[-4410:] == 16_384).all()


def test_through_pipes(run, wav):
    data = wav("song.wav", 1.0, channels=1).read_bytes()
    done = run("infill", "-", "--after", 0.05, "-o", "-", stdin=data)
    assert done.status == 0, done.err
    assert len(done.out) == len(data) + 2 * 2205
    assert done.out[44 : len(data)] == data[44:]


def test_a_loop_that_runs_on_is_copied(invoke, tmp_path):
    sound = 0.3 * np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE)
    soundfile.write(tmp_path / "loop.wav", sound, RATE)
    done = invoke("infill", "loop.wav", "--loop", "--report", "told.jsonl")
    assert done.status == 0
    assert Path("loop.infilled.wav").read_bytes() == Path("loop.wav").read_bytes()
    assert "runs into the beginning as it is" in done.err
    assert [(entry["kind"], entry["filled"]) for entry in told()] == [("loop", False)]
    assert invoke("infill", "loop.wav", "--loop", "-o", "loop.flac").status == 0
    after, _ = soundfile.read("loop.flac", dtype="int16")
    assert np.array_equal(after, soundfile.read("loop.wav", dtype="int16")[0])
    assert "as it is" in invoke("infill", "loop.wav", "--loop", "--dry-run").err


def test_a_loop_that_clicks_gets_a_seam_or_a_bridge(invoke, tmp_path):
    sound = 0.3 * np.sin(2 * np.pi * 441 * np.arange(RATE - 25) / RATE)
    soundfile.write(tmp_path / "loop.wav", sound, RATE)
    true, _ = soundfile.read("loop.wav", dtype="int16")
    assert invoke("infill", "loop.wav", "--loop").status == 0
    after, _ = soundfile.read("loop.infilled.wav", dtype="int16")
    assert np.array_equal(after[:-882], true[:-882])
    assert (after[-882:] == 16_384).all()
    assert invoke("infill", "loop.wav", "--loop", "--after", 0.5, "--overwrite").status == 0
    after, _ = soundfile.read("loop.infilled.wav", dtype="int16")
    assert np.array_equal(after[: len(true)], true)
    assert len(after) == len(true) + RATE // 2


def test_time_code_and_cue_points(invoke, tmp_path):
    cue = chunk(b"cue ", struct.pack("<III4sIII", 1, 1, RATE, b"data", 0, 0, RATE))
    sound = np.random.default_rng(0).integers(1, 9000, (2 * RATE, 2)).astype("<i2")
    sheet = chunk(b"plst", struct.pack("<IIII", 1, 1, 5, 1))
    whole = riff(chunk(b"bext", bext()), fmt(), chunk(b"data", sound.tobytes()), cue, sheet)
    (tmp_path / "take.wav").write_bytes(whole)
    done = invoke("infill", "take.wav", "--before", 1)
    assert done.status == 0
    assert "'plst'" in done.err
    data = Path("take.infilled.wav").read_bytes()
    at = data.index(b"bext") + 8
    assert int.from_bytes(data[at + 338 : at + 346], "little") == 35_999 * RATE
    at = data.index(b"cue ") + 8
    assert struct.unpack_from("<I", data, at + 24)[0] == 2 * RATE


def test_silence_is_warned_of(invoke, tmp_path):
    soundfile.write(tmp_path / "song.wav", np.zeros(RATE), RATE)
    done = invoke("infill", "song.wav", "--after", 1, "--before", 1)
    assert done.status == 0
    assert "ends in silence" in done.err
    assert "begins with silence" in done.err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--after", 1, "--gap", "0:0.1"), "--gap"),
        (("--before", 1, "--detect"), "--detect"),
        (("--loop", "--middle", 0.1), "--middle"),
        (("--loop", "--channel", "left"), "--channel"),
        (("--after", 1, "--dry-run", "--labels", "x.txt"), "--labels"),
        (("--loop", "--before", 1), "--before"),
        (("--after", 0), "--after"),
        (("--before", LONGEST + 1), "--before"),
        (("--loop", "--after", LONGEST_BRIDGE + 1), "--loop"),
        (("--after", "nan"), "--after"),
    ],
)
def test_what_makes_no_sense_is_refused(invoke, wav, options, word):
    wav("song.wav")
    done = invoke("infill", "song.wav", *options)
    assert done.status == 2
    assert word in done.error_line()


def test_too_short(invoke, wav):
    wav("song.wav", 0.05)
    done = invoke("infill", "song.wav", "--after", 1)
    assert done.status == 1
    assert "too short" in done.error_line()


def test_a_language_model_continues(call, wav, continuing):
    wav("song.wav", 1.0)
    true, rate = soundfile.read("song.wav", dtype="int16")
    run = ("infill", "song.wav", "--after", 0.5, "--method", "lm", "--model", continuing)
    found = []
    for number, more in enumerate(((), ("--seed", 0), ("--seed", 1), ("--top-p", 0.3))):
        done = call(*run, *more, "-o", f"{number}.wav", "--report", f"{number}.jsonl", "-v")
        assert done.status == 0, done.err
        after, _ = soundfile.read(f"{number}.wav", dtype="int16")
        assert len(after) == len(true) + rate // 2
        assert np.array_equal(after[: len(true)], true)
        found.append(after[len(true) :])
        assert json.loads(Path(f"{number}.jsonl").read_text())["method"] == "lm"
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[3])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "lm"), "--method lm continues recordings: add --after SECONDS"),
        (("--method", "lm", "--before", 1), "--method lm continues recordings: add --after"),
        (("--method", "lm", "--after", 1, "--before", 1), "it takes neither --before nor --loop"),
        (("--method", "lm", "--after", 1, "--loop"), "it takes neither --before nor --loop"),
        (("--method", "lm", "--after", 1, "--top-p", 0), "a top-p of 0: it must be more than 0"),
        (("--after", 1, "--top-p", 0.5), "--top-p is about --method lm: add it"),
    ],
)
def test_what_a_language_model_does_not_do(call, wav, tiny, words, told):
    wav("song.wav", 0.5)
    done = call("infill", "song.wav", *words, "--model", tiny)
    assert done.status == 2
    assert told in done.error_line()


def test_a_language_model_that_is_missing_is_one_line(call, wav, tiny):
    wav("song.wav", 0.5)
    done = call("infill", "song.wav", "--after", 1, "--method", "lm", "--model", tiny)
    assert done.status == 1
    assert "has no lm-semantic and lm-coarse" in done.err
    assert not Path("song.infilled.wav").exists()
    assert call("infill", "song.wav", "--after", 1, "--method", "lm", "--dry-run").status == 0
