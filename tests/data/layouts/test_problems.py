"""Problems are one line each."""

from pathlib import Path

from audiomask.data.layouts.problems import summarize

FOLDER = Path("/data/x")


def lines(*names: str) -> tuple[str, ...]:
    return summarize(FOLDER, [FOLDER / name for name in names], "file is bad", "files are bad")


def test_one_line_names_the_first_three() -> None:
    assert lines() == ()
    assert lines("a b/c.wav") == ("1 file is bad: a b/c.wav",)
    assert lines("a", "b", "c") == ("3 files are bad: a, b, c",)
    many = map(str, range(1200))
    assert lines(*many) == ("1,200 files are bad, e.g. 0, 1, 2",)
