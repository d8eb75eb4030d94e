"""Progress on stderr: bars where it is a terminal, lines where it is not."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from audiomask.cli.inputs import Input
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job


@pytest.fixture
def terminal(monkeypatch):
    """``terminal(function)``: what it returns, and what it shows on a terminal that is stderr."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("JPY_PARENT_PID", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def start(function):
        leader, follower = os.openpty()
        shown = []

        def read():  # a terminal takes little that is not read
            while True:
                try:
                    shown.append(os.read(leader, 4096))
                except OSError:  # its other end was closed
                    return

        reader = threading.Thread(target=read)
        reader.start()
        with open(follower, "w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            status = function()
        reader.join(timeout=20)
        os.close(leader)
        return status, b"".join(shown).decode()

    return start


def jobs(*names):
    return [Job(Input(Path(name), Path(name)), {"": Path(f"{name}.out")}) for name in names]


def work(job, meter):
    meter.start(job.input.label, 8.0)
    meter.advance(2.0)
    time.sleep(0.3)  # bars are drawn ten times a second
    if job.input.label == "bad":
        raise OSError(5, "Input/output error")
    meter.advance(6.0)


def test_bars_of_all_files_and_of_the_present_one(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, shown = terminal(lambda: run_jobs(jobs("a", "bad", "c"), Common(), work))
    assert status == 1
    for words in ("0 of 3 files", "2.0 of 8.0 s", "3 of 3 files"):
        assert words in shown


def test_bars_of_all_that_are_under_way(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meeting = threading.Barrier(2)

    def together(job, meter):
        meter.start(job.input.label, 8.0)
        meter.advance(2.0)
        meeting.wait(timeout=20)
        time.sleep(0.3)
        meeting.wait(timeout=20)

    status, shown = terminal(lambda: run_jobs(jobs(*"abcd"), Common(jobs=2), together))
    assert status == 0
    bar = r"[^\n]*2\.0 of 8\.0 s[^\n]*"
    for pair in ("[ab]", "[cd]"):
        assert re.search(rf"files[^\n]*\n[^\n]*{pair} {bar}\n[^\n]*{pair} {bar}", shown)


def test_one_file_has_its_own_bar_alone(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, shown = terminal(lambda: run_jobs(jobs("a"), Common(), work))
    assert status == 0
    assert "2.0 of 8.0 s" in shown
    assert "files" not in shown


@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("TERM", "unknown"), ("JPY_PARENT_PID", "7")]
)
def test_a_terminal_that_redraws_nothing_gets_lines(terminal, tmp_path, monkeypatch, name, value):
    monkeypatch.chdir(tmp_path)

    def begin():
        monkeypatch.setenv(name, value)
        return run_jobs(jobs("a", "bad", "c"), Common(), work)

    status, shown = terminal(begin)
    assert status == 1
    # nothing goes back; a notebook shows bold headings
    assert not re.search(r"\r(?!\n)|\x1b\[(?![\d;]*m)", shown)
    assert name != "TERM" or "\x1b" not in shown
    assert "Input/output error" in shown
    assert "0 of 3 files" not in shown


def test_bars_without_color(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    _, shown = terminal(lambda: run_jobs(jobs("a", "b"), Common(), work))
    assert "2.0 of 8.0 s" in shown
    codes = [code for codes in re.findall(r"\x1b\[([\d;]*)m", shown) for code in codes.split(";")]
    assert not [code for code in codes if code and int(code) >= 30]


def test_a_log_has_no_control_characters(script, wav, tmp_path):
    wav("in/a.wav")
    (tmp_path / "in" / "b.wav").write_text("not audio")
    for forced in ({}, {"TTY_COMPATIBLE": "1", "TERM": "xterm"}):
        command = [script, "tokenize", "in", "-o", f"out{len(forced)}"]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | forced, capture_output=True)
        assert done.returncode == 1
        lines = done.stderr.decode().splitlines()
        assert lines[-1] == "audiomask: 1 of 2 files done, 1 failed"
        assert not forced or b"\x1b[?25l" not in done.stderr  # no cursor is hidden
        assert forced or not re.search(rb"[\x00-\x09\x0b-\x1f]", done.stderr)


def test_a_way_to_draw_that_is_not_installed(script, wav, tmp_path):
    wav("a.wav")
    there = os.environ | {"MPLBACKEND": "module://of_a_notebook"}
    command = [script, "tokenize", "a.wav", "--page"]
    done = subprocess.run(command, cwd=tmp_path, env=there, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.tokens.html").exists()


def test_lines_tell_how_many_are_done(invoke, wav):
    wav("in/a.wav")
    wav("in/b.wav")
    done = invoke("tokenize", "in", "-o", "out")
    first, second, last = done.err.splitlines()
    assert "in/a.wav" in first
    assert "(1 of 2, " in first
    assert "(2 of 2, " in second
    assert last == "audiomask: 2 of 2 files done"


def test_a_last_line_sums_up(invoke, wav):
    for name in "abcd":
        wav(f"in/{name}.wav")
    Path("in/c.wav").write_text("not audio")
    invoke("tokenize", "in/b.wav", "-o", "out/b.tokens.safetensors")
    done = invoke("tokenize", "in", "-o", "out", "--skip-existing")
    assert done.status == 1
    assert done.err.splitlines()[-1] == "audiomask: 2 of 4 files done, 1 skipped, 1 failed"
    done = invoke("tokenize", "in", "-o", "out", "--skip-existing")
    assert done.err.splitlines()[-1] == "audiomask: 0 of 4 files done, 3 skipped, 1 failed"


def test_nothing_is_summed_up_of_one_file_quietly_or_without_outputs(invoke, wav):
    for name in "ab":
        wav(f"in/{name}.wav")
    for command in (
        ("tokenize", "in/a.wav", "-o", "x/a.safetensors"),
        ("tokenize", "in", "-o", "out", "--quiet"),
        ("infill", "in", "--dry-run"),
    ):
        assert "files done" not in invoke(*command).err


def test_failures_are_handed_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = []
    status = run_jobs(
        jobs("a", "bad"), Common(), work, lambda job, why: told.append((job.input.label, why))
    )
    assert status == 1
    assert told == [("bad", "Input/output error")]
    with pytest.raises(OSError, match="Input/output"):
        run_jobs(jobs("bad"), Common(), work, lambda job, why: told.append((job.input.label, why)))
    assert len(told) == 2
