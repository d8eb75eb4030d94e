"""Banks: libraries of notes, MIDI songs and SoundFonts, and their splits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiomask.data.bands.source import BankSource
from audiomask.data.layouts.banks import find
from audiomask.data.layouts.splits import assign_libraries, split_of

Sound = Callable[..., Path]
#: enough that a hash puts some in every split
FONTS = 40


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def found_in(folder: Path) -> BankSource:
    source = find(folder)
    assert source is not None
    return source


def test_a_note_bank(bank: Path) -> None:
    source = found_in(bank)
    assert (source.layout, source.tracks, source.problems) == ("note bank", (), ())
    assert [str(path.relative_to(bank)) for path, _ in source.libraries] == [
        "bass/finger", "drums/kit", "guitar/nylon", "guitar/steel", "other/flute", "piano/upright",
        "vocals/choir",
    ]  # fmt: skip
    assert {split for _, split in source.libraries} == {"train"}  # seven are too few to hold back
    assert source.stems == ("bass", "drums", "guitar", "other", "piano", "vocals")


def test_libraries_are_split_by_font(sound: Sound, tmp_path: Path) -> None:
    for font in range(FONTS):
        for library in (f"guitar/font {font}-024", f"piano/font {font}-000"):
            sound(tmp_path / library / "60_v90.ogg")
    source = found_in(tmp_path)
    libraries = [path for path, _ in source.libraries]
    assert dict(source.libraries) == assign_libraries(libraries)
    assert len(libraries) == 2 * FONTS
    assert {split for _, split in source.libraries} == {"train", "validation", "test"}


def test_a_bank_below_folders_for_splits(sound: Sound, tmp_path: Path) -> None:
    for name in ("train/guitar/a", "val/guitar/b", "Test/bass/c", "piano/d"):
        sound(tmp_path / name / "60_v90.wav")
    source = found_in(tmp_path)
    splits = {str(path.relative_to(tmp_path)): split for path, split in source.libraries}
    assert splits == {
        "Test/bass/c": "test", "piano/d": "train", "train/guitar/a": "train",
        "val/guitar/b": "validation",
    }  # fmt: skip
    assert source.problems == ()


def test_audio_that_is_no_note_is_told(sound: Sound, tmp_path: Path) -> None:
    for name in ("guitar/a/60_v90.wav", "guitar/a/demo.wav", "songs/b.flac"):
        sound(tmp_path / name)
    assert found_in(tmp_path).problems == (
        "2 audio files are not named as notes of a library and are left out: guitar/a/demo.wav, "
        "songs/b.flac",
    )


def test_songs_in_a_folder_of_drums_are_no_kit(sound: Sound, tmp_path: Path) -> None:
    sound(tmp_path / "drums" / "live" / "song one.wav")
    assert find(tmp_path) is None
    sound(tmp_path / "drums" / "kit" / "snare_loud.wav")
    assert len(found_in(tmp_path).libraries) == 2


def test_midi_songs(tmp_path: Path) -> None:
    names = [f"pop/{n}.mid" for n in range(20)]
    touch(*(tmp_path / name for name in (*names, "test/x y.MIDI", "index.csv")))
    source = found_in(tmp_path)
    assert source.layout == "MIDI songs"
    splits = {path.relative_to(tmp_path).as_posix(): split for path, split in source.songs}
    assert splits == {name: split_of(name) for name in names} | {"test/x y.MIDI": "test"}


def test_soundfonts(tmp_path: Path) -> None:
    touch(*(tmp_path / f"font {n}.sf{2 + n % 2}" for n in range(FONTS)), tmp_path / "val" / "x.SF2")
    source = found_in(tmp_path)
    assert source.layout == "SoundFonts"
    splits = {path.stem: split for path, split in source.fonts}
    expected = {f"font {n}": split_of(f"font {n}") for n in range(FONTS)}
    assert splits == expected | {"x": "validation"}
    assert len(set(expected.values())) > 1


def test_a_font_is_in_the_split_of_its_notes(sound: Sound, tmp_path: Path) -> None:
    for font in range(FONTS):
        sound(tmp_path / "guitar" / f"font {font}-024" / "60_v90.ogg")
    touch(tmp_path / "font 1.sf2", tmp_path / "font 17.sf3", tmp_path / "a.mid")
    source = found_in(tmp_path)
    assert source.layout == "note bank and MIDI songs and SoundFonts"
    libraries = {path.name.removesuffix("-024"): split for path, split in source.libraries}
    assert {path.stem: split for path, split in source.fonts} == {
        "font 1": libraries["font 1"],
        "font 17": libraries["font 17"],
    }
    assert libraries["font 17"] == "validation"  # two fonts alone would both be trained on


@pytest.mark.parametrize("name", ["a.mid", "a.sf2"])
def test_audio_counts_for_more_than_what_lies_beside_it(
    sound: Sound, tmp_path: Path, name: str
) -> None:
    touch(tmp_path / name)
    assert find(tmp_path) is not None
    sound(tmp_path / "b.wav")
    assert find(tmp_path) is None


def test_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "a.txt")
    assert find(tmp_path) is None
