"""Track folders: songs told from albums."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiomask.data.layouts.splits import split_of
from audiomask.data.layouts.track_folders import find
from audiomask.data.recorded import RecordedSource

Sound = Callable[..., Path]


def fill(sound: Sound, folder: Path, *names: str) -> Path:
    for name in names:
        sound(folder / name)
    return folder


def found_in(folder: Path) -> RecordedSource:
    source = find(folder)
    assert source is not None
    return source


def test_a_songs_files_are_its_stems(sound: Sound, tmp_path: Path) -> None:
    fill(sound, tmp_path / "a song", "Guitar.wav", "kazoo.flac", "Mixture.wav")
    fill(sound, tmp_path / "deep" / "ünd weit", "drums.wav", "02 organ.ogg")
    fill(sound, tmp_path / "whole", "mix.mp3")
    source = found_in(tmp_path)
    assert (source.layout, source.complete, source.problems) == ("track folders", True, ())
    song, deep, whole = source.tracks
    assert (song.name, song.mixture) == ("a song", tmp_path / "a song" / "Mixture.wav")
    assert dict(song.stems) == {
        "guitar": (tmp_path / "a song" / "Guitar.wav",),
        "kazoo": (tmp_path / "a song" / "kazoo.flac",),
    }
    assert (deep.name, set(deep.stems), deep.mixture) == ("deep/ünd weit", {"drums", "organ"}, None)
    assert (whole.stems, whole.mixture) == ({}, tmp_path / "whole" / "mix.mp3")


def test_stems_in_a_folder_of_their_own(sound: Sound, tmp_path: Path) -> None:
    fill(sound, tmp_path / "song" / "Stems", "guitar.wav", "bass.wav")
    mixture = sound(tmp_path / "song" / "mix.wav")
    (track,) = found_in(tmp_path).tracks
    assert (track.name, set(track.stems), track.mixture) == ("song", {"guitar", "bass"}, mixture)


def test_splits(sound: Sound, tmp_path: Path) -> None:
    names = [f"song {n}" for n in range(20)]
    for name in (*names, "train/a", "dev/b"):
        fill(sound, tmp_path / name, "guitar.wav")
    expected = {name: split_of(name) for name in names}
    expected |= {"train/a": "train", "dev/b": "validation"}
    assert {track.name: track.split for track in found_in(tmp_path).tracks} == expected


def test_an_album_is_not_taken_for_a_song(sound: Sound, tmp_path: Path) -> None:
    fill(sound, tmp_path / "Band" / "Album", "01 song.flac", "02 Drums.flac", "03 Bass.flac")
    assert find(tmp_path) is None
    # one piece that is called after an instrument does not make songs of all albums
    fill(sound, tmp_path / "Band" / "Second", "Bass.flac", "Love.flac")
    fill(sound, tmp_path / "Band" / "Third", "Peace.flac")
    assert find(tmp_path) is None


def test_names_that_begin_with_a_digit_are_stems_but_no_evidence(
    sound: Sound, tmp_path: Path
) -> None:
    fill(sound, tmp_path / "song", "01_drums.wav", "02_bass.wav")
    assert find(tmp_path) is None
    sound(tmp_path / "song" / "master.wav")
    (track,) = found_in(tmp_path).tracks
    assert set(track.stems) == {"drums", "bass"}


def test_a_song_of_known_company_needs_no_evidence(sound: Sound, tmp_path: Path) -> None:
    fill(sound, tmp_path / "a", "drums.wav", "kazoo.wav")
    fill(sound, tmp_path / "b", "vocals.wav", "fujara.wav")
    fill(sound, tmp_path / "c", "kazoo.wav")
    fill(sound, tmp_path / "talk", "interview.wav")
    sound(tmp_path / "loose.wav")
    source = found_in(tmp_path)
    assert [track.name for track in source.tracks] == ["a", "b", "c"]
    assert source.problems == (
        "2 audio files are no song's stems by their place and name and are left out: loose.wav, "
        "talk/interview.wav",
    )


def test_four_stems_hide_guitars_in_the_rest(sound: Sound, tmp_path: Path) -> None:
    fill(sound, tmp_path / "a", "drums.wav", "bass.wav", "other.wav", "vocals.wav")
    assert not found_in(tmp_path).complete
    sound(tmp_path / "a" / "guitar.wav")
    assert found_in(tmp_path).complete


def test_one_song_alone(sound: Sound, tmp_path: Path) -> None:
    folder = fill(sound, tmp_path / "My Song", "drums.wav", "bass.wav", "mix.wav")
    (track,) = found_in(folder).tracks
    assert (track.name, set(track.stems)) == ("My Song", {"drums", "bass"})
    sound(folder / "talk.wav")
    assert find(folder) is None  # that may be anything


@pytest.mark.parametrize("names", [("a.wav", "mix.wav"), ("bass.wav",), ("train/bass.wav",)])
def test_files_outside_folders_are_another_layout(
    sound: Sound, tmp_path: Path, names: tuple[str, ...]
) -> None:
    fill(sound, tmp_path, *names)
    assert find(tmp_path) is None


def test_odd_files(sound: Sound, tmp_path: Path) -> None:
    mono = sound(tmp_path / "song" / "guitar.wav", 0.4, 22_050)
    stereo = sound(tmp_path / "song" / "bass.wav", 0.2, 48_000, channels=2, level=0.0)
    (tmp_path / "song" / "drums.wav").write_text("text")
    (tmp_path / "song" / "loop").symlink_to(tmp_path)
    source = found_in(tmp_path)
    (track,) = source.tracks
    assert dict(track.stems) == {"guitar": (mono,), "bass": (stereo,)}
    assert track.seconds == pytest.approx(0.2)
    assert source.problems == ("1 file cannot be read and is left out: song/drums.wav",)
