"""Groups of recordings: the same in every run, and one bad file spoils none of the others."""

import json
from pathlib import Path

import pytest
import soundfile

from audiomask.errors import (
    AudioFileError,
    CheckpointError,
    DeviceError,
    DeviceMemoryError,
)

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def batches(engine, monkeypatch):
    """The names that went through the engine together, batch by batch, two at most."""
    seen = []
    together = engine.infill_together

    def infill_together(self, recordings, settings):
        seen.append([Path(source.name).stem for source, _ in recordings])
        return together(self, recordings, settings)

    monkeypatch.setattr(engine, "infill_group", 2)
    monkeypatch.setattr(engine, "infill_together", infill_together)
    return seen


@pytest.fixture
def fill(invoke, wav):
    """``fill("--…")``: infill five files of a folder."""
    for name in NAMES:
        wav(f"in/{name}.wav")
    return lambda *more: invoke("infill", "in", "-o", "out", "--gap", "0.1:0.15", *more)


def output(name):
    return Path(f"out/{name}.infilled.wav")


def test_all_files_in_groups(fill, batches):
    done = fill()
    assert done.status == 0, done.err
    assert batches == [["a", "b"], ["c", "d"], ["e"]]
    for name in NAMES:
        samples, _ = soundfile.read(output(name))
        assert (samples[4410:6615] == 0.5).all()
        assert (samples[:4410] != 0.5).all()
        assert f"in/{name}.wav -> {output(name)}" in done.err


def test_what_exists_takes_part_but_is_left_alone(fill, batches):
    fill()
    for name in "ce":
        output(name).unlink()
    output("d").write_text("mine")
    batches.clear()
    assert fill("--skip-existing").status == 0
    assert batches == [["c", "d"], ["e"]]  # all of the first group exists: not computed
    assert output("d").read_text() == "mine"
    assert soundfile.info(output("c")).frames == soundfile.info(output("e")).frames


def test_an_unreadable_file_fails_alone(fill, batches):
    Path("in/c.wav").write_text("not audio")
    done = fill("--report", "told.jsonl")
    assert done.status == 1
    assert batches == [["a", "b"], ["d"], ["e"]]
    assert [name for name in NAMES if output(name).exists()] == ["a", "b", "d", "e"]
    told = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert [Path(entry["file"]).stem for entry in told if "error" in entry] == ["c"]


def test_a_file_damaged_within_fails_alone(fill, batches, engine, monkeypatch):
    together = engine.infill_together

    def infill_together(self, recordings, settings):
        made = together(self, recordings, settings)
        for source, _ in recordings:
            if source.name == "in/a.wav":
                raise AudioFileError("in/a.wav: is damaged near 0.100 s: the samples end")
        return made

    monkeypatch.setattr(engine, "infill_together", infill_together)
    done = fill()
    assert done.status == 1
    assert batches == [["a", "b"], ["b"], ["c", "d"], ["e"]]
    assert [name for name in NAMES if output(name).exists()] == ["b", "c", "d", "e"]
    assert "1 of 5 files failed" in done.err
    assert done.err.count("damaged") == 2  # its line, and the table's


def test_a_file_that_is_all_gap_fails_alone(fill, batches, invoke, wav):
    wav("in/b.wav", seconds=0.05)
    done = invoke("infill", "in", "-o", "out", "--gap", "0:0.05")
    assert done.status == 1
    assert "in/b.wav: the whole recording is one gap" in done.err
    assert batches == [["a"], ["c", "d"], ["e"]]
    assert [name for name in NAMES if output(name).exists()] == ["a", "c", "d", "e"]


def test_a_file_without_gaps_is_copied(fill, batches, invoke):
    samples, rate = soundfile.read("in/b.wav", dtype="int16")
    samples[2000:3000] = 0
    soundfile.write("in/b.wav", samples, rate)
    done = invoke("infill", "in", "-o", "out")
    assert done.status == 0
    assert batches == [["b"]]
    assert output("a").read_bytes()[44:] == Path("in/a.wav").read_bytes()[44:]
    assert (soundfile.read(output("b"))[0][2000:3000] == 0.5).all()


def test_a_failure_of_a_whole_group_is_met_once(fill, batches, engine, monkeypatch):
    calls = []

    def infill_together(self, recordings, settings):
        calls.append(len(recordings))
        raise MemoryError

    monkeypatch.setattr(engine, "infill_together", infill_together)
    done = fill()
    assert done.status == 1
    assert calls == [2, 2, 1]
    assert "5 of 5 files failed" in done.err
    assert not list(Path().glob("out/*"))


def test_a_group_that_does_not_fit_is_filled_file_by_file(fill, batches, engine, monkeypatch):
    infill = engine.infill

    def infill_together(self, recordings, settings):
        raise DeviceMemoryError("not enough memory on cuda:0")

    def alone(self, source, gaps, settings):
        if source.name == "in/b.wav":
            raise DeviceMemoryError("not enough memory on cuda:0")
        yield from infill(self, source, gaps, settings)

    monkeypatch.setattr(engine, "infill_together", infill_together)
    monkeypatch.setattr(engine, "infill", alone)
    done = fill()
    assert done.status == 1
    assert "error: in/b.wav: not enough memory on cuda:0" in done.err
    assert "1 of 5 files failed" in done.err
    assert [name for name in NAMES if output(name).exists()] == ["a", "c", "d", "e"]


def test_groups_go_before_jobs(fill, batches):
    done = fill("--jobs", 3)
    assert done.status == 0
    assert batches == [["a", "b"], ["c", "d"], ["e"]]
    assert "--jobs is left aside" in done.err
    assert [name for name in NAMES if output(name).exists()] == list(NAMES)


@pytest.mark.parametrize("error", [CheckpointError, DeviceError])
def test_what_would_come_back_ends_all(fill, batches, engine, monkeypatch, error):
    def infill_together(self, recordings, settings):
        raise error("m: is broken")

    monkeypatch.setattr(engine, "infill_together", infill_together)
    done = fill()
    assert done.status == 1
    assert done.error_line() == "audiomask: error: m: is broken"
