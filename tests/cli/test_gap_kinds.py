"""Damage of the kinds that people report: what is found and filled, and what is left as it was."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100


def song(seconds=4.0, channels=2, seed=0):
    """Plucked chords over a hum and noise, nowhere silent, [T, C]."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    made = np.zeros((len(time), channels))
    for start in np.arange(0, seconds, 0.25):
        since = np.maximum(time - start, 0)
        struck = (time >= start) * np.exp(-since * 3)
        for pitch in rng.choice([220, 277, 330, 440, 554], 3, replace=False):
            tone = struck * np.sin(2 * np.pi * pitch * since)
            made += 0.08 * tone[:, None] * rng.uniform(0.5, 1, channels)
    made += 0.05 * np.sin(2 * np.pi * 110 * time)[:, None]
    return made + rng.normal(0, 0.005, made.shape)


def found(call, *arguments):
    """What a dry run tells, as its report's entries."""
    done = call("infill", *arguments, "--dry-run", "--report", "told.jsonl", "--overwrite")
    assert done.status == 0, done.err
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]


def spans(entries):
    return [(entry["start"], entry["end"], entry["channels"]) for entry in entries]


def fill(call, tiny, *arguments):
    done = call("infill", *arguments, "-o", "out.wav", "--overwrite", "--model", tiny)
    assert done.status == 0, done.err
    return soundfile.read("out.wav", dtype="float64", always_2d=True)[0], done


def unchanged(before, after, *gaps):
    """Whether all is bit for bit what it was, but for gaps (start, stop, channels) and 20 ms."""
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    for start, stop, rows in gaps:
        same[max(start - 882, 0) : stop + 882, rows] = True
    return same.all()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(
    ("channels", "row", "name"), [(2, 0, "left"), (2, 1, "right"), (3, 1, "2"), (1, 0, "all")]
)
def test_a_dropout_in_one_channel(call, tiny, tmp_path, channels, row, name, subtype):
    audio = song(2, channels)
    audio[40_000:42_205, row] = 0
    soundfile.write("a.wav", audio, RATE, subtype=subtype)
    (entry,) = found(call, "a.wav")
    assert (entry["kind"], entry["channels"], entry["filled"]) == ("silence", name, False)
    before = soundfile.read("a.wav", dtype="float64", always_2d=True)[0]
    after, _ = fill(call, tiny, "a.wav")
    assert unchanged(before, after, (40_000, 42_205, row))
    assert np.square(after[40_100:42_100, row]).mean() > 0.01 * np.square(audio[:, row]).mean()
    assert soundfile.info("out.wav").subtype == subtype


def test_nan_bursts_at_different_places(call, tiny, tmp_path):
    audio = song(3)
    gaps = [(30_000, 30_400, 0), (30_200, 30_600, 1), (60_000, 60_001, 1), (90_000, 96_000, 0)]
    for start, stop, row in gaps:
        audio[start:stop, row] = np.nan
    audio[:50, 1] = np.inf
    soundfile.write("a.wav", audio, RATE, subtype="FLOAT")
    entries = found(call, "a.wav")
    assert [(e["kind"], e["channels"]) for e in entries] == [
        ("nan", "right"), ("nan", "left"), ("nan", "right"), ("nan", "right"), ("nan", "left"),
    ]  # fmt: skip
    before = soundfile.read("a.wav", dtype="float64")[0]
    after, _ = fill(call, tiny, "a.wav")
    assert np.isfinite(after).all()
    assert unchanged(before, after, (0, 50, 1), *gaps)


def test_channels_by_name(call, tiny, tmp_path):
    soundfile.write("a.wav", song(2), RATE)
    before = soundfile.read("a.wav", dtype="float64")[0]
    after, _ = fill(call, tiny, "a.wav", "--gap", "0:00.5-0:00.6", "--channel", "right")
    assert unchanged(before, after, (22_050, 26_460, 1))
    # 16 bits of a filling may be those of the original here and there
    assert (before[23_000:26_000, 1] != after[23_000:26_000, 1]).mean() > 0.9
    done = call("infill", "a.wav", "--gap", "0.5:0.6", "--channel", "3", "--dry-run")
    assert done.status == 2
    assert "no channel '3'" in done.error_line()


def test_rests_are_left_alone(call, tiny, tmp_path):
    pieces = song(2, seed=1), song(2, seed=2)
    silence = np.zeros((int(1.5 * RATE), 2))
    ramp = np.linspace(1, 0, 2205)[:, None]
    faded = pieces[0].copy()
    faded[-2205:] *= ramp
    parts = [silence, pieces[0], silence, faded, silence[:8820], pieces[1], silence]
    soundfile.write("a.wav", np.concatenate(parts), RATE)
    entries = found(call, "a.wav")
    assert [entry.get("left") for entry in entries] == ["longer than --max-gap", "rest"]
    done = call("infill", "a.wav", "--dry-run")
    assert "left: rest" in done.err
    before = soundfile.read("a.wav", dtype="float64")[0]
    after, done = fill(call, tiny, "a.wav", "--verbose")
    assert np.array_equal(before, after)
    assert "left: rest" in done.err
    # but what is named is filled
    _, done = fill(call, tiny, "a.wav", "--gap", "4:4.1", "--verbose")
    assert "named" in done.err
    # and what may be longer
    entries = found(call, "a.wav", "--max-gap", "2")
    assert [entry.get("left") for entry in entries] == [None, "rest"]


def test_a_gated_stem(call, tmp_path):
    """Hits that a gate lets through: they begin at once, ring, and are faded out in 30 ms."""
    rng = np.random.default_rng(3)
    audio = np.zeros((6 * RATE, 2))
    for start in (0.5, 1.1, 1.3, 2.5, 2.9, 3.05, 4.6, 5.4):
        length = int(rng.uniform(0.1, 0.3) * RATE)
        hit = rng.normal(0, 0.2, (length, 2)) * np.exp(-np.arange(length) / 4000)[:, None]
        hit[-1323:] *= np.linspace(1, 0, 1323)[:, None]
        at = int(start * RATE)
        audio[at : at + length] = hit[: len(audio) - at]
    soundfile.write("a.wav", audio, RATE)
    assert all(entry.get("left") for entry in found(call, "a.wav"))


@pytest.mark.parametrize(
    ("ending", "options"),
    [("mp3", ("-b:a", "128k")), ("m4a", ("-b:a", "128k")), ("ogg", ("-c:a", "libvorbis"))],
)
def test_a_dropout_that_was_coded(call, tmp_path, ending, options):
    audio = song(4)
    for start, stop in ((40_000, 53_230), (100_000, 102_205)):
        audio[start:stop] = 0
    soundfile.write("a.wav", audio, RATE)
    command = ["ffmpeg", "-v", "error", "-i", "a.wav", *options, f"a.{ending}"]
    subprocess.run(command, check=True)
    entries = found(call, f"a.{ending}")
    assert {entry["kind"] for entry in entries} <= {"silence", "dropout"}
    assert np.abs(
        np.array([[e["start"], e["end"]] for e in entries]) * RATE
        - [[40_000, 53_230], [100_000, 102_205]]
    ).max() < 0.004 * RATE  # fmt: skip


@pytest.mark.parametrize("floor", [-60, -80])
def test_a_dropout_that_holds_noise_and_hum(call, tmp_path, floor):
    audio = song(3)
    level = 10 ** (floor / 20)
    hum = np.sin(2 * np.pi * 50 * np.arange(4410) / RATE)[:, None]
    noise = np.random.default_rng(0).normal(size=(4410, 1))
    audio[50_000:54_410] = level * hum
    audio[90_000:94_410, :1] = level * noise
    soundfile.write("a.wav", audio, RATE, subtype="PCM_24")
    entries = found(call, "a.wav")
    assert [(e["kind"], e["channels"]) for e in entries] == [
        ("dropout", "all"),
        ("dropout", "left"),
    ]
    assert entries[0]["start"] * RATE == pytest.approx(50_000, abs=100)
    assert entries[1]["end"] * RATE == pytest.approx(94_410, abs=100)
    assert found(call, "a.wav", "--detect-kind", "silence") == []


def test_clicks_are_found_when_asked_for(call, tmp_path):
    audio = song(3)
    audio[50_000, 0] += 0.5
    audio[90_000:90_020] -= 0.4
    soundfile.write("a.wav", audio, RATE)
    assert found(call, "a.wav") == []
    entries = found(call, "a.wav", "--detect-kind", "click")
    assert [(e["kind"], e["channels"]) for e in entries] == [("click", "left"), ("click", "all")]
    for entry, at in zip(entries, (50_000, 90_000), strict=True):
        assert abs(entry["start"] * RATE - at) < 10
        assert entry["seconds"] < 0.002


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ar", "tokens", "auto"])
def test_an_offset_goes_on(call, tiny, tmp_path, method):
    audio = 0.5 * song(4) + 0.1
    audio[66_150:88_200] = 0
    soundfile.write("a.wav", audio, RATE)
    after, _ = fill(call, tiny, "a.wav", "--method", method)
    means = after[66_150:88_200].reshape(5, -1, 2).mean(axis=1)
    assert np.abs(means - 0.1).max() < 0.03


def test_a_very_short_file_and_gaps_at_its_ends(call, tiny, tmp_path):
    audio = song(0.1)
    audio[:40, 0] = audio[-30:, 1] = audio[2000:2100, 1] = np.nan
    soundfile.write("a.wav", audio, RATE, subtype="FLOAT")
    before = soundfile.read("a.wav", dtype="float64")[0]
    after, _ = fill(call, tiny, "a.wav")
    assert np.isfinite(after).all()
    gaps = ((0, 40, 0), (2000, 2100, 1), (len(audio) - 30, len(audio), 1))
    assert unchanged(before, after, *gaps)


@pytest.mark.parametrize(
    "content",
    [
        b"1,500000\t1,600000\tdrop\n",
        b"start;end\r\n1,5;1,6\r\n",
        "1.5\t1.6\tdr\xf6p\r\n".encode("cp1252"),
        "1.5\t1.6\tdröp\r\n".encode("utf-16"),
        b"0.0\t0.0\ttitle\n1.5\t1.6\tdrop\n",
        b"start,end\n15e-1,1.6\n",
        b"0:01.5\t0:01.6\n",
    ],
)
def test_files_of_labels(call, tmp_path, content):
    soundfile.write("a.wav", song(2), RATE)
    Path("labels.txt").write_bytes(content)
    assert spans(found(call, "a.wav", "--gaps", "labels.txt")) == [(1.5, 1.6, "all")]
    done = call("infill", "a.wav", "--gaps", "labels.txt", "--dry-run")
    assert ("line 1 marks a moment" in done.err) == (b"title" in content)
