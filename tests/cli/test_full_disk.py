"""Outputs that cannot be written: named, exit 1, and nothing half-written left."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 1.0
COMMANDS = {
    "tokenize": ("tokenize", "song.wav", "--format", "text", "-o", "{}/song.txt"),
    "detokenize": ("detokenize", "song.tokens.safetensors", "-o", "{}/song.wav"),
    "infill": ("infill", "song.wav", "--gap", "0.5:0.6", "-o", "{}/song.wav"),
    "separate": ("separate", "song.wav", "-o", "{}"),
    "separate to flac": ("separate", "song.wav", "-o", "{}", "--format", "flac"),
    "separate to ogg": ("separate", "song.wav", "-o", "{}", "--format", "ogg"),
    "separate to mp3": ("separate", "song.wav", "-o", "{}", "--format", "mp3"),
}


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """``tmpfs("size=64k")``: a small file system of its own, which only root can have."""
    folder = tmp_path / "small"

    def mount(options: str) -> Path:
        folder.mkdir(exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        if os.name == "nt" or os.geteuid() or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def song(invoke: Callable[..., Any], wav: Callable[..., Path]) -> Callable[..., Any]:
    """``song("infill", folder)``: a command of the list, whose outputs go there."""
    wav("song.wav", seconds=SECONDS)
    assert invoke("tokenize", "song.wav").status == 0

    def run(name: str, folder: Path) -> Any:
        return invoke(*(word.format(folder) for word in COMMANDS[name]))

    return run


def refused(done: Any, place: Path | str = "") -> None:
    """The command failed, and its one line names the place and what is wrong."""
    assert done.status == 1, done.err
    assert str(place) in done.error_line()
    assert "cannot be written" in done.error_line()


def left(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", COMMANDS)
def test_full_disk(song, tmpfs, name):
    folder = tmpfs("size=4k")
    (folder / "ballast").write_bytes(bytes(4096))
    done = song(name, folder)
    refused(done, folder)
    assert left(folder) == [str(folder / "ballast")]


@pytest.mark.parametrize("name", COMMANDS)
def test_file_that_may_not_grow(song, tmp_path, limited, name):
    folder = tmp_path / "out"
    with limited(1_000):
        done = song(name, folder)
    refused(done, folder)
    assert left(folder) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_last_bytes_count_too(song, tmpfs, tmp_path, name):
    """A disk that is full just before the end: what is missing then is easily overlooked."""
    assert song(name, tmp_path / "out").status == 0
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "out").rglob("*.*")}
    pages = sum(-(-size // 4096) for size in sizes.values())
    folder = tmpfs(f"size={4 * pages}k")
    (folder / "ballast").write_bytes(b"x")
    done = song(name, folder)
    refused(done)
    made = {path.name: path.stat().st_size for path in folder.rglob("*.*")}
    assert made.items() < sizes.items()  # stems that went before are whole


@pytest.mark.parametrize("name", COMMANDS)
def test_read_only_folder(song, tmpfs, tmp_path, name):
    if hasattr(os, "geteuid") and os.geteuid():
        folder = tmp_path / "out"
        folder.mkdir(mode=0o555)
    else:
        folder = tmpfs("ro")
    done = song(name, folder)
    refused(done, folder)
    assert left(folder) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_where_a_folder_should_be(song, tmp_path, name):
    (tmp_path / "file").write_text("mine")
    done = song(name, tmp_path / "file" / "below")
    assert done.status == 1, done.err
    assert str(tmp_path / "file" / "below") in done.error_line()
    assert (tmp_path / "file").read_text() == "mine"


def test_of_several_files_those_that_fit_are_done(invoke, wav, tmpfs, tmp_path):
    wav("in/long.wav", seconds=2.0)
    wav("in/short.wav", seconds=0.01)
    folder = tmpfs("size=64k")
    done = invoke("separate", "in", "--stem", "bass", "-o", folder)
    assert done.status == 1
    assert [Path(name).parent.name for name in left(folder)] == ["short"]
    table = done.err.partition("1 of 2 files failed")[2]
    assert "in/long.wav" in table
    assert "No space left on device" in table


def test_no_room_for_temporary_copies(invoke, wav, tmpfs, monkeypatch, tmp_path):
    wav("song.ogg", seconds=2.0)
    folder = tmpfs("size=16k")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    done = invoke("tokenize", "song.ogg")
    assert done.status == 1
    assert "song.ogg" in done.error_line()
    assert left(folder) == []
    assert not (tmp_path / "song.tokens.safetensors").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("name", ["tokenize", "detokenize", "infill"])
def test_a_device_that_is_full_is_named_and_kept(song, name, invoke):
    words = (*COMMANDS[name][:-1], "/dev/full")
    done = invoke(*words)
    assert done.status == 1
    assert "/dev/full: cannot be written: No space left on device" in done.error_line()
    assert Path("/dev/full").is_char_device()
