"""Recordings: all audio of a folder."""

from collections.abc import Callable
from pathlib import Path

from audiomask.data.layouts.recordings import find
from audiomask.data.layouts.splits import split_of

Sound = Callable[..., Path]


def test_every_audio_file_is_a_track_without_stems(sound: Sound, tmp_path: Path) -> None:
    files = [sound(tmp_path / name, 0.5) for name in ("Ä/b c.flac", "a.wav", "x.y.ogg")]
    (tmp_path / "cover.jpg").write_bytes(b"picture")
    (tmp_path / "bad.wav").write_text("text")
    source = find(tmp_path)
    assert source is not None
    assert (source.layout, source.stems) == ("recordings", ())
    found = {track.name: track for track in source.tracks}
    assert set(found) == {"Ä/b c", "a", "x.y"}
    assert {track.mixture for track in source.tracks} == set(files)
    assert all((t.stems, t.split, t.seconds) == ({}, "train", 0.5) for t in source.tracks)
    assert source.problems == ("1 file cannot be read and is left out: bad.wav",)


def test_splits(sound: Sound, tmp_path: Path) -> None:
    names = [f"album/song {n}" for n in range(20)]
    for name in names:
        sound(tmp_path / f"{name}.wav")
        sound(tmp_path / f"{name}.flac")  # of the same song, so in the same split
    sound(tmp_path / "test" / "a.wav")
    source = find(tmp_path)
    assert source is not None
    assert len(source.tracks) == 41
    expected = {name: split_of(name) for name in names} | {"test/a": "test"}
    assert {track.name: track.split for track in source.tracks} == expected


def test_no_audio_is_another_layout(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert find(tmp_path) is None
