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
