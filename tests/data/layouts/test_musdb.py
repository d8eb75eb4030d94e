"""MUSDB18-HQ: its splits, its files, and what makes it another layout."""

from collections.abc import Callable
from pathlib import Path

from audiomask.data.layouts.musdb import VALIDATION_SONGS, find

Sound = Callable[..., Path]
FILES = ("mixture", "drums", "bass", "other", "vocals")


def song(sound: Sound, folder: Path) -> Path:
    for number, name in enumerate(FILES, start=1):
        sound(folder / f"{name}.wav", 0.1 * number, channels=2)
    return folder


def test_songs_and_their_splits(sound: Sound, tmp_path: Path) -> None:
    assert len(VALIDATION_SONGS) == 14
    for name in ("train/A Classic Education - NightOwl", "train/ANiMAL - Rockshow",
                 "test/Al James - Schoolboy Facination", "test/ANiMAL - Rockshow"):  # fmt: skip
        song(sound, tmp_path / name)
    source = find(tmp_path)
    assert source is not None
    assert (source.layout, source.complete, source.problems) == ("MUSDB18-HQ", False, ())
    assert {track.name: track.split for track in source.tracks} == {
        "train/A Classic Education - NightOwl": "train",
        "train/ANiMAL - Rockshow": "validation",
        "test/Al James - Schoolboy Facination": "test",
        "test/ANiMAL - Rockshow": "test",
    }
    track = source.tracks[0]
    folder = tmp_path / track.name
    assert track.stems == {name: (folder / f"{name}.wav",) for name in FILES[1:]}
    assert (track.mixture, round(track.seconds, 3)) == (folder / "mixture.wav", 0.1)


def test_missing_and_unreadable_files_are_told(sound: Sound, tmp_path: Path) -> None:
    song(sound, tmp_path / "train" / "a")
    for name in ("b", "c"):
        (song(sound, tmp_path / "train" / name) / "vocals.wav").unlink()
    (tmp_path / "train" / "a" / "bass.wav").write_text("text")
    sound(tmp_path / "demo.wav")
    source = find(tmp_path)
    assert source is not None
    assert [set(track.stems) for track in source.tracks] == [
        {"drums", "other", "vocals"}, {"drums", "bass", "other"}, {"drums", "bass", "other"},
    ]  # fmt: skip
    assert source.problems == (
        "2 files are missing: train/b/vocals.wav, train/c/vocals.wav",
        "1 audio file lies outside the songs and is left out: demo.wav",
        "1 file cannot be read and is left out: train/a/bass.wav",
    )


def test_sums_beside_the_stems_are_no_stems(sound: Sound, tmp_path: Path) -> None:
    sound(song(sound, tmp_path / "train" / "a") / "accompaniment.wav")
    source = find(tmp_path)
    assert source is not None
    assert set(source.tracks[0].stems) == {"drums", "bass", "other", "vocals"}


def test_other_songs_are_another_layout(sound: Sound, tmp_path: Path) -> None:
    flat = song(sound, tmp_path / "flat" / "a")
    assert find(flat.parent) is None  # neither train nor test
    further = song(sound, tmp_path / "further" / "train" / "a")
    sound(further / "guitar.wav")
    assert find(tmp_path / "further") is None
    lacking = song(sound, tmp_path / "lacking" / "train" / "a")
    (lacking / "other.wav").unlink()
    assert find(tmp_path / "lacking") is None
