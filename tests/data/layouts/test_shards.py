"""Shards: that a packed folder is known without opening a tar, and what is wrong with it told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from audiomask.data.layouts import recognize
from audiomask.data.layouts.shards import find
from audiomask.data.shards.packing import pack
from audiomask.data.survey import table
from audiomask.errors import DataError

Sound = Callable[..., Path]


@pytest.fixture
def folder(sound: Sound, tmp_path: Path) -> Path:
    """Shards of two songs of 3 s."""
    for song in ("a", "b"):
        for stem in ("guitar", "bass"):
            sound(tmp_path / "songs" / "train" / song / f"{stem}.wav", 3.0)
    sound(tmp_path / "songs" / "test" / "c" / "guitar.wav", 3.0)
    out = tmp_path / "shards"
    pack([recognize(tmp_path / "songs")], out, seconds=1.0, shard_bytes=20_000)
    return out


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        recognize(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_survey_needs_the_manifest_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path), read(path))[1])
    source = recognize(folder)
    assert opened == [folder / "shards.json"]
    assert (source.layout, source.tracks, source.stems) == ("tar shards", (), ("bass", "guitar"))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table([source]))
    row = console.export_text().splitlines()[1].split()
    assert row[:7] == ["shards", "tar", "shards", "segments", "6", "0", "3"]
    assert row[7:] == ["0.0025", "guitar", "9,", "bass", "6"]


def test_other_folders_are_not_shards(sound: Sound, tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    (tmp_path / "a.tar").touch()
    assert find(tmp_path) is None


def test_a_missing_or_truncated_shard_is_named(folder: Path) -> None:
    shard = folder / "train" / "000000.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1_000])
    assert refusal(folder).startswith(f"{shard}: is cut short: ")
    shard.write_bytes(whole + b"x")
    assert refusal(folder).startswith(f"{shard}: is another than it was: ")
    shard.unlink()
    assert refusal(folder).startswith(f"{shard}: is missing though shards.json lists it")
    shutil.rmtree(folder / "train")
    (folder / "shards.json").rename(folder / "unfinished.json")
    assert "was interrupted" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.update(format="audiomask shards 9"), "is 'audiomask shards 9', not"),
        (lambda m: m.pop("shards"), "'shards' is missing"),
        (lambda m: m["shards"][0].update(name="../../etc/passwd"), "is no name of a shard"),
        (lambda m: m["shards"][0].update(name="train/0.tar; rm -r x"), "is no name of a shard"),
        (lambda m: m["shards"][0]["samples"][0].update(files={}), "without sound"),
        (lambda m: m["shards"][0]["samples"][0].update(seconds="long"), "could not convert"),
        (lambda m: m["shards"][0]["samples"][0].update(files={"a": [1]}), "not enough values"),
        (lambda m: m.update(shards=3), "not iterable"),
    ],
)
def test_a_damaged_manifest_is_refused(
    folder: Path, change: Callable[[dict[str, object]], object], reason: str
) -> None:
    entries = json.loads((folder / "shards.json").read_text())
    change(entries)
    (folder / "shards.json").write_text(json.dumps(entries))
    assert reason in refusal(folder)
    assert "pack the data again" in refusal(folder)


def test_what_is_no_json_is_refused(folder: Path) -> None:
    whole = (folder / "shards.json").read_text()
    for text in ("", whole[:-40], "[]", "\0"):
        (folder / "shards.json").write_text(text)
        assert "pack the data again" in refusal(folder)
