"""``audiomask infill``: where the gaps are, what is told of them, and what stays as it was."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomask.cli.gaps import MIN_GAP, FaultKind
from audiomask.infill.detection.detect import KINDS, detect_faults
from audiomask.infill.settings import InfillMethod, InfillSettings

RATE = 44100


def lines(outcome):
    return [line for line in outcome.err.splitlines() if line]


def cut(path, *spans):
    samples, rate = soundfile.read(path, dtype="int16")
    for start, stop in spans:
        samples[start:stop] = 0
    soundfile.write(path, samples, rate)
    return samples


# over an engine without a model


def test_finds_gaps_and_leaves_the_rest(invoke, wav, listing):
    before = cut(wav("song.wav"), (2000, 3000), (6000, 7000))
    assert invoke("infill", "song.wav").status == 0
    assert listing() == ["song.infilled.wav", "song.wav"]
    after, _ = soundfile.read("song.infilled.wav", dtype="int16")
    outside = np.ones(len(before), bool)
    outside[2000:3000] = outside[6000:7000] = False
    assert np.array_equal(after[outside], before[outside])
    assert (after[~outside] == 16384).all()


@pytest.mark.parametrize(
    ("arguments", "start", "stop"),
    [
        (["--gap", "0.1:0.15"], 4410, 6615),
        (["--middle", "0.05"], 4410, 6615),
        (["--gaps", "gaps.txt"], 4410, 6615),
        (["--gap", "0.1:0.14", "--gap", "0.12:0.15"], 4410, 6615),
    ],
)
def test_gaps_by_every_option(invoke, wav, arguments, start, stop):
    Path("gaps.txt").write_text("0.1\t0.15\tdropout\n")
    wav("song.wav")
    assert invoke("infill", "song.wav", *arguments, "-o", "x.wav").status == 0
    after, _ = soundfile.read("x.wav")
    filled = np.flatnonzero((after == 0.5).all(axis=1))
    assert abs(filled[0] - start) <= 1
    assert abs(filled[-1] + 1 - stop) <= 1


@pytest.mark.parametrize("option", [["--detect"], ["--detect-kind", "silence"]])
def test_detection_adds_to_given_gaps(invoke, wav, option):
    cut(wav("song.wav"), (2000, 3000))
    done = invoke("infill", "song.wav", "--gap", "0.1:0.15", *option, "--dry-run")
    assert [row.split()[5] for row in lines(done)[2:]] == ["silence", "named"]
    done = invoke("infill", "song.wav", "--gap", "0.1:0.15", "--dry-run")
    assert [row.split()[5] for row in lines(done)[2:]] == ["named"]


def damaged(path):
    """A recording with silence, stuck samples, NaN and a clipped run, 30 ms each, in this order."""
    samples, rate = soundfile.read(path)
    samples *= 0.9
    samples[1000:2323] = 0
    samples[3000:4323] = samples[3000]
    samples[5000:6323] = np.nan
    time = np.arange(1323)[:, None]
    samples[8000:9323] = np.where(np.sin(time / 20) >= 0, 1, -1)
    soundfile.write(path, samples, rate, subtype="FLOAT")


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ([], {"silence", "stuck", "nan"}),
        (["stuck"], {"stuck"}),
        (["nan", "silence"], {"silence", "nan"}),
        (["dropout"], {"dropout"}),
        (["clipped"], {"clipped"}),
        (["clipped", "nan", "stuck"], {"stuck", "nan", "clipped"}),
    ],
)
def test_kinds_of_damage(invoke, wav, kinds, found):
    damaged(wav("song.wav", seconds=0.3))
    options = [word for kind in kinds for word in ("--detect-kind", kind)]
    done = invoke("infill", "song.wav", "--dry-run", *options)
    assert done.status == 0
    assert {row.split()[5] for row in lines(done)[2:]} == found


def test_names_and_numbers_are_those_of_detection():
    assert [*FaultKind] == [*KINDS, FaultKind.surprise, FaultKind.all]
    assert inspect.signature(detect_faults).parameters["min_gap"].default == MIN_GAP


def test_overlapping_gaps_are_one_of_both_kinds(invoke, wav):
    cut(wav("song.wav"), (4410, 6615))
    spans = ("--gap", "0.02:0.03", "--gap", "0.09:0.11", "--gap", "0.16:0.17")
    done = invoke("infill", "song.wav", *spans, "--detect", "--dry-run")
    assert [row.split()[1:6:4] for row in lines(done)[2:]] == [
        ["0.020000", "named"], ["0.090000", "named+silence"], ["0.160000", "named"],
    ]  # fmt: skip


def test_min_gap(invoke, wav):
    cut(wav("song.wav"), (2000, 2100))
    assert "no gaps" in invoke("infill", "song.wav", "--dry-run").err
    done = invoke("infill", "song.wav", "--dry-run", "--min-gap", "0.002")
    assert "no gaps" not in done.err
    assert "2.268" in done.err  # 100 samples in ms


@pytest.mark.parametrize(
    "arguments",
    [
        ["--min-gap", "nan"],
        ["--min-gap", "inf"],
        ["--max-gap", "0"],
        ["--channel", "3"],
        ["--labels", "x.txt"],
        ["--middle", "nan"],
        ["--temperature", "nan"],
        ["--method", "magic"],
        ["--detect-kind", "hum"],
        ["--candidates", "2", "--method", "tokens"],
        ["--choice", "2", "--method", "ar"],
        ["--choice", "0"],
        ["--from", "song.wav"],
        ["--from", "none.wav"],
        ["--from", "song.wav", "--method", "tokens"],
    ],
)
def test_what_cannot_be_is_usage(invoke, wav, listing, arguments):
    wav("song.wav")
    done = invoke("infill", "song.wav", *arguments)
    assert done.status == 2
    assert arguments[0].lstrip("-") in done.error_line()
    assert listing() == ["song.wav"]


def test_dry_run_writes_nothing_and_tables_the_gaps(invoke, wav, listing, engine, monkeypatch):
    monkeypatch.setattr(engine, "__init__", None)  # it needs no engine
    cut(wav("song.wav"), (2205, 4410))
    wav("whole.wav")
    done = invoke("infill", "song.wav", "whole.wav", "--dry-run", "-q")
    assert done.status == 0
    assert done.out == b""
    assert lines(done)[0].split("  ")[0] == "file"
    assert lines(done)[0].endswith("method")
    assert lines(done)[2].split() == [
        "song.wav",
        "0.050000",
        "0.100000",
        "50.000",
        "all",
        "silence",
        "ar",
    ]
    assert lines(done)[3].split() == ["whole.wav", "no", "gaps"]
    assert listing() == ["song.wav", "whole.wav"]


def test_verbose_tables_what_was_filled_and_how(invoke, wav):
    cut(wav("song.wav"), (2205, 4410))
    arguments = ("infill", "song.wav", "--method", "ar", "--overwrite")
    done = invoke(*arguments, "--verbose")
    *_, header, _, row = lines(done)
    assert header.split()[-2:] == ["kind", "method"]
    assert row.split() == ["song.wav", "0.050000", "0.100000", "50.000", "all", "silence", "ar"]
    assert "0.050000" not in invoke(*arguments).err


def test_passes_are_told(invoke, wav, engine):
    wav("song.wav")
    arguments = ("infill", "song.wav", "--gap", "0.05:0.1", "--overwrite")
    assert "passes" not in invoke(*arguments).err
    engine.passes = 3
    (told,) = [line for line in lines(invoke(*arguments)) if "passes" in line]
    for words in ("song.wav", "0.050", "0.100", "too long to be filled at once", "3 passes"):
        assert words in told
    assert invoke(*arguments, "-q").err == ""


def test_no_gaps_is_a_copy_and_says_so(invoke, wav):
    path = wav("song.wav")
    done = invoke("infill", "song.wav")
    assert done.status == 0
    assert "no gaps" in done.err
    assert Path("song.infilled.wav").read_bytes()[44:] == path.read_bytes()[44:]


def test_wrong_gap_is_usage(invoke, wav):
    wav("song.wav")
    done = invoke("infill", "song.wav", "--gap", "7:8")
    assert done.status == 2
    assert "song.wav" in done.error_line()


def test_options_reach_the_engine(invoke, wav, engine, monkeypatch):
    seen = []

    def infill(self, source, gaps, settings, other):
        seen.append((self.arguments, settings))
        return iter(())

    monkeypatch.setattr(engine, "infill", infill)
    wav("song.wav")
    invoke("infill", "song.wav", "--middle", "0.1")
    assert seen.pop() == ((None, "auto", None), InfillSettings())
    chosen = ("--steps", 5, "--temperature", 0.5, "--candidates", 3, "--seed", 9)
    wav("other.wav")
    invoke(
        "infill", "song.wav", "--middle", "0.1", "--choice", 2, "--from", "other.wav", "--overwrite"
    )
    assert seen.pop() == ((None, "auto", None), InfillSettings(choice=2))
    where = ("--model", "m", "--device", "cpu", "--threads", 2, "--overwrite")
    for method in (method for method in InfillMethod if method != InfillMethod.lm):
        invoke("infill", "song.wav", "--middle", "0.1", "--method", method, *chosen, *where)
        assert seen.pop() == ((Path("m"), "cpu", 2), InfillSettings(method, 5, 0.5, 3, seed=9))


def test_help_names_the_defaults(call):
    words = " ".join(call("infill", "--help").out.decode().split())
    assert "--method <auto|tokens|ar|passage|spectrogram|wave|lm>" in words
    assert f"[default: {InfillSettings().method}]" in words
    assert "--detect-kind KIND Find silence, stuck, nan, dropout, click, clipped or all" in words
    assert "--report FILE" in words


def test_results_of_the_last_run_are_not_filled_again(invoke, wav, listing):
    wav("in/song.flac")
    assert invoke("infill", "in").status == 0
    assert invoke("infill", "in", "--overwrite").status == 0
    assert listing() == ["in/song.flac", "in/song.infilled.flac"]


# over tiny models


def recording(path, rate=RATE, channels=2, subtype="PCM_16", seconds=1.0):
    """Two tones and a little noise, with a name's format."""
    time = np.arange(int(seconds * rate)) / rate
    tones = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 1237 * time)
    noise = np.random.default_rng(1).normal(0, 0.01, (len(time), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tones[:, None] + noise, rate, subtype=subtype)
    return path


def raw(path, subtype):
    return soundfile.read(path, dtype="float64" if subtype == "FLOAT" else "int32")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("a.wav", "PCM_16", 44100, 2),
        ("a.wav", "PCM_24", 48000, 1),
        ("a.wav", "FLOAT", 8000, 2),
        ("a.wav", "FLOAT", 44100, 1),
        ("a.flac", "PCM_16", 8000, 1),
        ("a.flac", "PCM_24", 48000, 2),
    ],
)
def test_all_but_gaps_and_crossfades_is_bit_identical(
    call, tiny, tmp_path, name, subtype, rate, channels
):
    path = recording(tmp_path / name, rate, channels, subtype)
    spans = ((0.2, 0.23), (0.26, 0.3), (0.5, 0.7))
    gaps = [word for start, stop in spans for word in ("--gap", f"{start}:{stop}")]
    drawn = ("--temperature", 1, "--candidates", 2, "--steps", 2)
    made = []
    for output in ("x" + path.suffix, "y" + path.suffix):
        done = call("infill", name, "-o", output, *gaps, "--model", tiny, *drawn)
        assert done.status == 0, done.err
        made.append(Path(output).read_bytes())
    assert made[0] == made[1]
    before, after = raw(path, subtype), raw("x" + path.suffix, subtype)
    info, old = soundfile.info("x" + path.suffix), soundfile.info(path)
    same = ("samplerate", "channels", "frames", "subtype", "format")
    assert [getattr(info, key) for key in same] == [getattr(old, key) for key in same]
    outside = np.ones(len(before), bool)
    fade = 0.02 * rate
    for start, stop in spans:
        outside[int(start * rate - fade) : int(stop * rate + fade) + 1] = False
        inside = slice(round(start * rate), round(stop * rate))
        assert not np.array_equal(before[inside], after[inside])
    assert outside.any()
    assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize("method", ["auto", "ar", "tokens"])
@pytest.mark.parametrize("gap", ["0:0.03", "0.97:1"])
def test_a_gap_at_the_edge_of_a_file(call, tiny, tmp_path, gap, method):
    path = recording(tmp_path / "a.wav", rate=16000)
    done = call("infill", "a.wav", "--gap", gap, "--model", tiny, "--steps", 2, "--method", method)
    assert done.status == 0, done.err
    before, after = raw(path, "PCM_16"), raw("a.infilled.wav", "PCM_16")
    assert before.shape == after.shape
    kept = slice(800, None) if gap.startswith("0:") else slice(0, 15200)
    filled = slice(0, 480) if gap.startswith("0:") else slice(15520, None)
    assert np.array_equal(before[kept], after[kept])
    assert not np.array_equal(before[filled], after[filled])


@pytest.mark.parametrize("method", ["auto", "ar", "tokens"])
def test_a_file_that_is_all_gap_is_an_error(call, tiny, tmp_path, listing, method):
    recording(tmp_path / "a.wav", rate=16000)
    done = call("infill", "a.wav", "--gap", "0:1", "--model", tiny, "--method", method)
    assert done.status == 1
    assert "a.wav: the whole recording is one gap" in done.error_line()
    assert listing() == ["a.wav"]


def test_a_gap_longer_than_the_window_is_told(call, tiny, tmp_path):
    recording(tmp_path / "a.wav", seconds=3)  # the tiny model sees half a second
    done = call("infill", "a.wav", "--gap", "1:2.5", "--model", tiny, "--method", "tokens")
    assert done.status == 0, done.err
    assert "a.wav: the gap from 1.000 to 2.500 s is too long" in done.err
