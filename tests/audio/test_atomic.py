from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from audiomask.audio.atomic import AtomicFile
from audiomask.errors import AudioFileError, UsageError


def test_appears_complete_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ünï code.txt"
    with AtomicFile(path) as temporary:
        temporary.write_text("done")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "done"


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), AtomicFile(path, overwrite=True) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_an_existing_file_is_refused_at_once_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    waiting = AtomicFile(path)
    path.write_text("old")
    with pytest.raises(UsageError, match="--overwrite"):
        AtomicFile(path)
    other = tmp_path / "b"
    with pytest.raises(UsageError, match="exists"), AtomicFile(other) as temporary:  # noqa: PT012
        temporary.write_text("new")
        other.write_text("came meanwhile")
    assert other.read_text() == "came meanwhile"
    with pytest.raises(UsageError), waiting as temporary:
        temporary.write_text("new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        AtomicFile(tmp_path, overwrite=True)


def test_a_link_is_kept_and_its_target_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with AtomicFile(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_never_replaced() -> None:
    with AtomicFile(Path("/dev/null")) as temporary:
        temporary.write_text("gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_file_as_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioFileError, match="cannot be written"), AtomicFile(tmp_path / "file/a"):
        raise AssertionError("must not be entered")


def test_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with AtomicFile(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
