"""Problems are told in one line."""

from pathlib import Path

from audiomask.data.layouts.problems import relative_names, summarize


def test_one_line_names_the_first_three() -> None:
    words = "file is bad", "files are bad"
    assert summarize([], *words) == ()
    assert summarize(["a"], *words) == ("1 file is bad: a",)
    assert summarize(["a", "b", "c"], *words) == ("3 files are bad: a, b, c",)
    many = [str(n) for n in range(1200)]
    assert summarize(many, *words) == ("1,200 files are bad, e.g. 0, 1, 2",)


def test_files_are_named_below_their_folder() -> None:
    assert relative_names(Path("/data/x"), [Path("/data/x/a b/c.wav")]) == ["a b/c.wav"]
