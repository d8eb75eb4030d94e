"""``infill --report``: a line a gap or failure, in the order of files, whatever happened before."""

import json
from pathlib import Path

import pytest
import soundfile

GAP = ("--gap", "0.1:0.15", "--report", "told.jsonl")


def told():
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]


def line(name, start=0.1, end=0.15):
    return {
        "file": f"in/{name}.wav", "output": f"out/{name}.infilled.wav", "start": start, "end": end,
        "seconds": round(end - start, 6), "kind": "named", "method": "auto",
        "channels": "all", "filled": True,
    }  # fmt: skip


def output(name):
    return Path(f"out/{name}.infilled.wav")


@pytest.fixture
def folder(invoke, wav):
    """``folder("--…")``: infill three files of a folder, a gap in each."""
    for name in "abc":
        wav(f"in/{name}.wav")
    return lambda *more: invoke("infill", "in", "-o", "out", *GAP, *more)


def test_one_line_a_gap_in_order(folder):
    assert folder("--gap", "0.2:0.21").status == 0
    expected = [line(name, *span) for name in "abc" for span in ((0.1, 0.15), (0.2, 0.21))]
    assert told() == expected


def test_detected_kind_and_method(invoke, wav):
    samples, rate = soundfile.read(wav("song.wav"), dtype="int16")
    samples[2205:4410] = 0
    soundfile.write("song.wav", samples, rate)
    assert invoke("infill", "song.wav", "--report", "new/told.jsonl", "--method", "ar").status == 0
    (entry,) = map(json.loads, Path("new/told.jsonl").read_text().splitlines())
    assert entry == {
        "file": "song.wav", "output": "song.infilled.wav",
        "start": 0.05, "end": 0.1, "seconds": 0.05, "kind": "silence", "method": "ar",
        "channels": "all", "filled": True,
    }  # fmt: skip


def test_no_gaps_is_an_empty_report(invoke, wav):
    wav("song.wav")
    assert invoke("infill", "song.wav", "--report", "told.jsonl").status == 0
    assert told() == []


def test_failures_are_lines_too(folder):
    Path("in/b.wav").write_text("not audio")
    assert folder().status == 1
    first, failed, last = told()
    assert [first, last] == [line("a"), line("c")]
    assert failed["file"] == "in/b.wav"
    assert "in/b.wav" not in failed["error"]
    assert failed.keys() == {"file", "error"}


def test_one_file_that_fails_alone(invoke, wav):
    Path("song.wav").write_text("not audio")
    assert invoke("infill", "song.wav", *GAP).status == 1
    assert [entry["file"] for entry in told()] == ["song.wav"]


def test_an_existing_output_is_a_failure(folder):
    Path("out").mkdir()
    output("b").write_text("mine")
    assert folder().status == 1
    assert told()[1]["file"] == "in/b.wav"
    assert "exists" in told()[1]["error"]
    assert output("b").read_text() == "mine"


def test_an_existing_report_is_kept_unless_told(folder, listing):
    Path("told.jsonl").write_text("mine\n")
    done = folder()
    assert done.status == 2
    assert "told.jsonl exists" in done.error_line()
    assert not Path("out").exists()
    assert folder("--overwrite").status == 0
    assert told() == [line("a"), line("b"), line("c")]


def test_what_is_no_report_is_not_gone_on_with(folder):
    for text in ("mine\n", '{"file": "a"}\n', "[1]\n", '{"output": 1}\n'):
        Path("told.jsonl").write_text(text)
        done = folder("--skip-existing")
        assert done.status == 2
        assert "told.jsonl: line 1" in done.error_line()
        assert Path("told.jsonl").read_text() == text


@pytest.mark.parametrize("name", ["-", "in", "in/a.wav", "out/a.infilled.wav"])
def test_a_report_that_cannot_be(invoke, wav, name):
    wav("in/a.wav")
    done = invoke("infill", "in", "-o", "out", "--report", name, "--overwrite")
    assert done.status == 2
    assert "--report" in done.error_line()
    assert not Path("out").exists()


def test_a_report_that_cannot_be_written(folder):
    Path("told").write_text("")
    done = folder("--report", "told/x.jsonl")
    assert done.status == 1
    assert "told/x.jsonl: cannot be written" in done.error_line()
    assert not Path("out").exists()


def test_a_dry_run_tells_what_was_found(folder):
    Path("in/b.wav").write_text("not audio")
    assert folder("--dry-run").status == 1
    first, failed, last = told()
    assert first == {
        "file": "in/a.wav", "start": 0.1, "end": 0.15, "seconds": 0.05, "kind": "named",
        "method": "ar", "channels": "all", "filled": False,
    }  # fmt: skip
    assert (failed["file"], last["file"]) == ("in/b.wav", "in/c.wav")
    assert not Path("out").exists()
    done = folder("--dry-run", "--skip-existing")
    assert done.status == 2
    assert "told.jsonl exists: add --overwrite" in done.error_line()
    assert folder("--dry-run", "--overwrite").status == 1


def test_what_is_left_alone_is_told_too(invoke, wav):
    samples, rate = soundfile.read(wav("song.wav", seconds=3), dtype="int16")
    samples[44_100:88_201] = samples[4410:8820, 1] = 0
    soundfile.write("song.wav", samples, rate)
    done = invoke("infill", "song.wav", "--report", "told.jsonl", "--verbose")
    assert "left: longer than --max-gap" in done.err
    first, last = told()
    assert (first["kind"], first["channels"], first["filled"]) == ("silence", "right", True)
    assert (last["filled"], last["left"]) == (False, "longer than --max-gap")
    assert "method" not in last
    after, _ = soundfile.read("song.infilled.wav", dtype="int16")
    assert (after[:, 0] == samples[:, 0]).all()
    assert not after[44_100:88_201].any()


def test_labels_of_a_dry_run_are_gaps_again(invoke, wav):
    samples, rate = soundfile.read(wav("song.wav", seconds=1), dtype="int16")
    samples[4410:8820, 1] = samples[20_000:22_000] = 0
    soundfile.write("song.wav", samples, rate)
    find = ("infill", "song.wav", "--dry-run", "--labels", "new/found.txt")
    assert invoke(*find).status == 0
    assert [line.split("\t")[2] for line in Path("new/found.txt").read_text().splitlines()] == [
        "silence [right]", "silence",
    ]  # fmt: skip
    assert invoke(*find).status == 2
    assert invoke(*find, "--overwrite").status == 0
    assert invoke("infill", "song.wav", "--gaps", "new/found.txt", *GAP[2:]).status == 0
    spans = [(entry["start"], entry["end"], entry["channels"]) for entry in told()]
    assert spans == [(0.1, 0.2, "right"), (0.453515, 0.498866, "all")]
    wav("b.wav")
    done = invoke("infill", "song.wav", "b.wav", "--dry-run", "--labels", "x.txt")
    assert done.status == 2
    assert "one recording" in done.error_line()


def test_a_run_that_goes_on_tells_each_gap_once(folder, invoke):
    folder()
    whole = Path("told.jsonl").read_bytes()
    first, second, _ = whole.splitlines(keepends=True)
    # killed: before b got its name; in the middle of a line; before c's turn; before anything
    for present, left in (
        ("a", first + second),
        ("a", first + second[:20]),
        ("ab", first + second),
        ("", b""),
        ("abc", whole),
    ):
        for name in "abc":
            if name not in present:
                output(name).unlink(missing_ok=True)
        Path("told.jsonl").write_bytes(left)
        done = folder("--skip-existing")
        assert done.status == 0, done.err
        assert Path("told.jsonl").read_bytes() == whole, (present, left)


def test_a_failure_mended_gives_way_to_its_gaps(folder, wav):
    good = Path("in/b.wav").read_bytes()
    Path("in/b.wav").write_text("not audio")
    folder()
    assert folder("--skip-existing").status == 1
    assert [list(entry)[1] for entry in told()] == ["output", "error", "output"]
    Path("in/b.wav").write_bytes(good)
    assert folder("--skip-existing").status == 0
    assert told() == [line("a"), line("b"), line("c")]


def test_lines_of_other_files_stay(folder, invoke, wav):
    folder()
    wav("more/d.wav")
    assert invoke("infill", "more", "-o", "out", *GAP, "--skip-existing").status == 0
    assert [entry["file"] for entry in told()] == [
        "in/a.wav", "in/b.wav", "in/c.wav", "more/d.wav",
    ]  # fmt: skip


def test_gaps_of_an_output_that_failed_at_last_are_taken_back(folder, monkeypatch):
    import os

    def failing(name):
        usual = getattr(os, name)

        def fail(source, target):
            if str(target).endswith("b.infilled.wav"):
                raise OSError(28, "No space left on device")
            usual(source, target)

        return fail

    for name in ("link", "replace"):  # whichever gives the file its name
        monkeypatch.setattr(os, name, failing(name))
    assert folder().status == 1
    assert [list(entry)[1] for entry in told()] == ["output", "error", "output"]


def test_a_pipe_takes_lines(folder, tmp_path):
    import os
    import threading

    os.mkfifo("told.jsonl")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("told.jsonl").read_text()))
    reader.start()
    assert folder("--skip-existing").status == 0
    reader.join(timeout=20)
    assert [json.loads(text) for text in read[0].splitlines()] == [line(name) for name in "abc"]


def test_what_a_killed_partner_told_is_not_told_twice(folder, engine, monkeypatch):
    """It told of b and c after this run began; c fails here."""
    Path("in/c.wav").write_text("not audio")
    infill = engine.infill

    def killed_partner(self, source, gaps, settings, other):
        if source.name == "in/a.wav":
            with Path("told.jsonl").open("a") as file:
                for name in "bc":
                    file.write(json.dumps(line(name)) + "\n")
                file.write('{"file": "in/c.w')
        yield from infill(self, source, gaps, settings, other)

    monkeypatch.setattr(engine, "infill", killed_partner)
    assert folder("--skip-existing").status == 1
    first, second, failed = told()
    assert [first, second] == [line("a"), line("b")]
    assert (failed["file"], "error" in failed) == ("in/c.wav", True)


def test_what_another_run_did_after_it_failed_here_counts(folder, engine, monkeypatch):
    Path("in/a.wav").write_text("not audio")
    infill = engine.infill

    def partner(self, source, gaps, settings, other):
        if source.name == "in/b.wav":
            with Path("told.jsonl").open("a") as file:
                file.write(json.dumps(line("a")) + "\n")
        yield from infill(self, source, gaps, settings, other)

    monkeypatch.setattr(engine, "infill", partner)
    assert folder("--skip-existing").status == 1
    assert told() == [line("a"), line("b"), line("c")]
