from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from audiomask.audio import atomic
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


def test_what_a_kill_left_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from audiomask.audio.atomic import AtomicFile\n"
        "with AtomicFile(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of something long')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".audiomask-")
    with AtomicFile(tmp_path / "b") as temporary:
        temporary.write_text("another")
    assert left.exists()
    with AtomicFile(tmp_path / "a") as temporary:
        assert temporary.read_bytes() == b""
        temporary.write_text("done")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a").read_text() == "done"


ENTER = (
    "import os, sys; from pathlib import Path; from unittest import mock\n"
    "from audiomask.audio import atomic\n"
    "file = atomic.AtomicFile(Path(sys.argv[1]))\n"
    "with mock.patch(sys.argv[2], side_effect=KeyboardInterrupt):\n"
    "    try:\n"
    "        file.__enter__()\n"
    "        if 'unlink' in sys.argv[2]: file.__exit__(SystemExit, SystemExit(), None)\n"
    "    except KeyboardInterrupt: pass\n"
    "print(len(os.listdir(Path(sys.argv[1]).parent)))\n"
)


@pytest.mark.parametrize(
    "step",
    [
        "audiomask.audio.atomic.flock",
        "os.path.samestat",
        "os.ftruncate",
        "pathlib.Path.unlink",
        "os.getlogin",  # which is never called: it comes before the with statement's body
    ],
)
def test_what_an_exception_slips_past_goes_at_the_end(tmp_path: Path, step: str) -> None:
    """The exception of a signal can come between any two steps."""
    words = [sys.executable, "-c", ENTER, tmp_path / "a", step]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert list(tmp_path.iterdir()) == []


def test_at_the_end_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as temporary:
        words = [sys.executable, "-c", ENTER, tmp_path / "a", "audiomask.audio.atomic.flock"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("1\n", "")
        assert temporary.exists()


def test_two_that_write_the_same_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with AtomicFile(path, overwrite=True) as first:
        with AtomicFile(path, overwrite=True) as second:
            first.write_text("first")
            second.write_text("second")
        assert path.read_text() == "second"
        assert first.read_text() == "first"
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_where_files_cannot_be_held_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "flock", None)
    test_appears_complete_and_alone(tmp_path)


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
