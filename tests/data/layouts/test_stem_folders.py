"""Stems by folder: songs are put together across the stems' folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiomask.data.layouts.splits import split_of
from audiomask.data.layouts.stem_folders import find
from audiomask.data.recorded import RecordedSource

Sound = Callable[..., Path]


def found_in(folder: Path) -> RecordedSource:
    source = find(folder)
    assert source is not None
    return source


def test_files_of_one_name_are_one_song(sound: Sound, tmp_path: Path) -> None:
    for name in ("Guitars/live/Été 1.wav", "drum/live/Été 1.flac", "mix/live/Été 1.ogg",
                 "drum/alone.wav", "piano/other song.wav"):  # fmt: skip
        sound(tmp_path / name)
    source = found_in(tmp_path)
    assert (source.layout, source.complete, source.problems) == ("stems by folder", True, ())
    alone, song, other = source.tracks
    assert song.name == "live/Été 1"
    assert dict(song.stems) == {
        "drums": (tmp_path / "drum/live/Été 1.flac",),
        "guitar": (tmp_path / "Guitars/live/Été 1.wav",),
    }
    assert song.mixture == tmp_path / "mix/live/Été 1.ogg"
    assert (alone.name, dict(alone.stems)) == ("alone", {"drums": (tmp_path / "drum/alone.wav",)})
    assert (other.name, set(other.stems), other.mixture) == ("other song", {"piano"}, None)
    assert source.stems == ("drums", "guitar", "piano")


def test_a_song_is_in_one_split_with_all_its_stems(sound: Sound, tmp_path: Path) -> None:
    names = [f"song {n}" for n in range(30)]
    for name in names:
        sound(tmp_path / "guitar" / f"{name}.wav")
        sound(tmp_path / "drums" / f"{name}.flac")
    source = found_in(tmp_path)
    assert {t.name: t.split for t in source.tracks} == {name: split_of(name) for name in names}
    assert all(set(track.stems) == {"guitar", "drums"} for track in source.tracks)


@pytest.mark.parametrize("order", ["{split}/{stem}", "{stem}/{split}"])
def test_below_folders_for_splits(sound: Sound, tmp_path: Path, order: str) -> None:
    for split in ("train", "Valid", "test"):
        for stem in ("guitar", "bass"):
            sound(tmp_path / order.format(split=split, stem=stem) / "a.wav")
    assert {track.name: (track.split, set(track.stems)) for track in found_in(tmp_path).tracks} == {
        "train/a": ("train", {"guitar", "bass"}),
        "Valid/a": ("validation", {"guitar", "bass"}),
        "test/a": ("test", {"guitar", "bass"}),
    }


def test_through_links(sound: Sound, tmp_path: Path) -> None:
    sound(tmp_path / "library" / "one" / "a.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "guitar").symlink_to(tmp_path / "library")
    (track,) = found_in(tmp_path / "data").tracks
    assert (track.name, set(track.stems)) == ("one/a", {"guitar"})


def test_odd_files(sound: Sound, tmp_path: Path) -> None:
    silent = sound(tmp_path / "guitar" / "a.wav", level=0.0)
    stereo = sound(tmp_path / "bass" / "a.wav", 0.3, 48_000, channels=2)
    (tmp_path / "drums").mkdir()
    (tmp_path / "drums" / "a.wav").write_text("text")
    source = found_in(tmp_path)
    (track,) = source.tracks
    assert dict(track.stems) == {"guitar": (silent,), "bass": (stereo,)}
    assert track.seconds == pytest.approx(0.1)
    assert source.problems == ("1 file cannot be read and is left out: drums/a.wav",)


def test_what_is_no_stem_is_left_out(sound: Sound, tmp_path: Path) -> None:
    for name in ("guitar/a.wav", "bass/a.wav", "demos/b.wav", "loose.wav"):
        sound(tmp_path / name)
    source = found_in(tmp_path)
    assert [track.name for track in source.tracks] == ["a"]
    assert source.problems == (
        "2 audio files lie outside the folders named after stems and are left out: demos/b.wav, "
        "loose.wav",
    )


@pytest.mark.parametrize(
    "names",
    [
        ("Rock/01 a.flac", "Other/01 b.flac"),  # a collection of music
        ("other/a.wav",),
        ("guitar/a.wav", "demos/a.wav"),
        ("Bass/a.mp3", "Artist/a.mp3", "Band/a.mp3"),
        ("guitar.wav", "drums.wav"),
        ("song/guitar.wav", "song/drums.wav"),
        ("mix/a.wav",),
        ("train/a.wav", "test/b.wav"),
    ],
)
def test_other_folders_are_another_layout(
    sound: Sound, tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        sound(tmp_path / name)
    assert find(tmp_path) is None
