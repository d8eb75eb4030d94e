"""Walking: everything below a folder, through links, each folder once."""

from pathlib import Path

import pytest

from audiomask.data.layouts.walk import walk_files
from audiomask.errors import DataError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(folder: Path, suffix: str = ".wav") -> list[str]:
    files = walk_files(folder, lambda file: file.suffix == suffix)
    return [file.relative_to(folder).as_posix() for file in files]


def test_files_are_sorted_and_chosen(tmp_path: Path) -> None:
    for name in ("b.wav", "a/z.wav", "a/b c/ü.wav", "a/x.txt", "c/empty/readme"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a/b c/ü.wav", "a/z.wav", "b.wav"]
    assert names(tmp_path, ".txt") == ["a/x.txt"]


def test_hidden_names_are_passed_over(tmp_path: Path) -> None:
    for name in (".a.wav", ".git/b.wav", "c/._d.wav", "c/d.wav"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["c/d.wav"]
    assert names(tmp_path / ".git") == ["b.wav"]  # asked for by name


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "deep" / "a.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "guitar").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "b.wav").symlink_to(tmp_path / "elsewhere" / "deep" / "a.wav")
    (tmp_path / "data" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert names(tmp_path / "data") == ["b.wav", "guitar/deep/a.wav"]


def test_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "b" / "x.wav")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "top").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/b/x.wav"]
    assert names(tmp_path / "a") == ["b/x.wav"]


def test_a_folder_is_found_once_by_its_own_path(tmp_path: Path) -> None:
    touch(tmp_path / "z" / "deep" / "x.wav")
    (tmp_path / "a").symlink_to(tmp_path / "z" / "deep")
    (tmp_path / "b").symlink_to(tmp_path / "z")
    assert names(tmp_path) == ["z/deep/x.wav"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: cannot be read \(No such file"):
        names(tmp_path / "nowhere")
