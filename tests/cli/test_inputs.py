"""Which files a command works on."""

import os
from pathlib import Path

import pytest

from audiomask.cli.inputs import collect_inputs, is_audio
from audiomask.errors import UsageError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """``music/`` with audio, other files, hidden files and a folder of results."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "music/b.WAV",
        "music/a.flac",
        "music/cover.jpg",
        "music/.hidden.wav",
        "music/.git/x.wav",
        "music/live/c.mp3",
        "music/out/a/guitar.wav",
        "other/a.flac",
        "song.dat",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(*arguments, output=None):
    inputs = collect_inputs(arguments, is_audio, output)
    return [(str(item.source), str(item.relative)) for item in inputs.items], inputs.several


def test_one_file_of_any_name_is_taken(tree):
    assert found("song.dat") == ([("song.dat", "song.dat")], False)


def test_folder_is_walked_in_order_and_mirrored(tree):
    files, several = found("music", output=Path("music/out"))
    assert several
    assert files == [
        ("music/a.flac", "a.flac"),
        ("music/b.WAV", "b.WAV"),
        ("music/live/c.mp3", "live/c.mp3"),
    ]


def test_results_inside_the_inputs_are_not_read_again(tree):
    assert "music/out/a/guitar.wav" in dict(found("music")[0])
    assert "music/out/a/guitar.wav" not in dict(found("music", output=Path("music/out"))[0])


def test_folders_beside_other_arguments_keep_their_names(tree):
    files, _ = found("music/live", "other")
    assert files == [("music/live/c.mp3", "live/c.mp3"), ("other/a.flac", "other/a.flac")]


def test_a_file_named_twice_is_taken_once(tree):
    files, _ = found("music/a.flac", "./music/a.flac", "music/live/../a.flac")
    assert files == [("music/a.flac", "a.flac")]


def test_link_loops_end(tree):
    os.symlink(tree / "music", tree / "music" / "live" / "again")
    assert len(found("music")[0]) == 4


def test_one_file_in_a_folder_still_counts_as_several(tree):
    assert found("other") == ([("other/a.flac", "a.flac")], True)


def test_standard_input(tree):
    assert found("-") == ([("-", "stdin")], False)
    with pytest.raises(UsageError, match="only once"):
        found("-", "-")


def test_folder_without_audio(tree):
    (tree / "docs").mkdir()
    with pytest.raises(UsageError, match="docs"):
        found("docs")


def test_an_empty_name_is_not_the_present_folder(tree):
    with pytest.raises(UsageError, match="no name"):
        found("")


def test_a_file_named_dash_is_not_standard_input(tree):
    Path("-").touch()
    assert found("./-") == ([(str(tree / "-"), "-")], False)


def test_what_cannot_be_read_is_not_passed_over(tree, monkeypatch):
    os.symlink("gone.wav", "music/live/dangling.wav")
    assert ("music/live/dangling.wav", "live/dangling.wav") in found("music")[0]
    listing = os.scandir

    def scandir(folder):
        if Path(folder).name == "live":
            raise PermissionError(13, "Permission denied", folder)
        return listing(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError, match="music/live: the folder cannot be read: Permission"):
        found("music")


# patterns that no shell expanded


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("music/*.flac", ["a.flac"]),
        ("music/*", ["a.flac", "b.WAV", "live/c.mp3", "out/a/guitar.wav"]),
        ("music/?.[Wx]*", ["b.WAV"]),
        ("music/**/*.mp3", ["live/c.mp3"]),
        ("music/**/**/[ac].*", ["a.flac", "live/c.mp3"]),
        ("music/**", ["a.flac", "b.WAV", "live/c.mp3", "out/a/guitar.wav"]),
        ("music/*/*.mp3", ["live/c.mp3"]),
        ("music/.*.wav", [".hidden.wav"]),
        ("*/a.flac", ["music/a.flac", "other/a.flac"]),
        ("./**/c.*", ["music/live/c.mp3"]),
    ],
)
def test_patterns_give_fitting_files_mirrored(tree, pattern, files):
    root = Path(pattern.partition("*")[0].partition("?")[0].removesuffix("."))
    assert found(pattern) == ([(str(root / file), file) for file in files], True)


def test_patterns_pass_over_an_earlier_run(tree):
    with pytest.raises(UsageError, match=r"no fitting files match \*\*/\*\.wav"):
        found("**/*.wav", output=Path("music/out"))
    assert found("music/out/*/*.wav", output=Path("music/out"))[0]  # unless they are asked for


def test_patterns_that_match_nothing_are_names(tree):
    assert found("music/*.opus") == ([("music/*.opus", "*.opus")], False)
    assert found("nowhere/**/*.wav") == ([("nowhere/**/*.wav", "*.wav")], False)
    with pytest.raises(UsageError, match=r"no fitting files match music/\*\.jpg"):
        found("music/*.jpg")
    with pytest.raises(UsageError, match="may not follow a wildcard"):
        found("music/*/../../*.wav")


def test_a_name_that_looks_like_a_pattern_comes_first(tree):
    for name in ("a[1].flac", "a1.flac", "b*.flac", "bc.flac"):
        (tree / name).touch()
    (tree / "[x]").mkdir()
    (tree / "[x]/y.wav").touch()
    assert found("a[1].flac") == ([("a[1].flac", "a[1].flac")], False)
    assert found("b*.flac") == ([("b*.flac", "b*.flac")], False)
    assert found("[x]") == ([("[x]/y.wav", "y.wav")], True)
    assert found("[x]/*.wav")[0] == [("[x]/*.wav", "*.wav")]


def test_patterns_do_not_run_in_circles(tree):
    for name in ("one", "two"):
        os.symlink(tree / "music", tree / "music" / "live" / name)
    assert len(found("music/**/*.mp3")[0]) == 1
    assert found("music/live/o*/*.flac")[0] == [("music/live/one/a.flac", "one/a.flac")]
