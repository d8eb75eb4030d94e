"""Slakh2100's layout: which stem is whose, which split a track is in, and what is amiss."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiomask.data.layouts.slakh import find, group_of, split_by_number
from audiomask.data.layouts.splits import split_of
from audiomask.data.recorded import RecordedSource

BAND = {
    "S00": (25, False),  # a guitar
    "S01": (0, False),
    "S02": (33, False),
    "S03": (0, True),
    "S04": (73, False),  # a flute
}
Sound = Callable[..., Path]


def track(sound: Sound, folder: Path, **entry: Any) -> Path:
    """A track of one stem with a mix; ``entry`` is added to the stem's metadata."""
    sound(folder / "stems" / "S00.flac")
    sound(folder / "mix.flac", 0.2)
    listed = {"S00": {"program_num": 25, "is_drum": False, "plugin_name": "x.nkm", **entry}}
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"stems": listed}))
    return folder


def found_in(folder: Path) -> RecordedSource:
    source = find(folder)
    assert source is not None
    return source


@pytest.mark.parametrize(
    ("program", "group"),
    [(0, "piano"), (7, "piano"), (8, "other"), (24, "guitar"), (31, "guitar"), (32, "bass"),
     (39, "bass"), (40, "other"), (-1, "other")],
)  # fmt: skip
def test_groups_by_general_midi_program(program: int, group: str) -> None:
    assert group_of({"program_num": program, "is_drum": False}) == group
    assert group_of({"program_num": program, "is_drum": True}) == "drums"
    assert group_of({"program_num": 128}) == "drums"
    assert group_of({}) == "other"


def test_tracks_are_found(slakh: Callable[..., Path], sound: Sound) -> None:
    slakh(BAND)
    folder = slakh({"S00": (26, False), "S07": (27, False)}, seconds=2.0)
    mix = sound(folder / "Track00002" / "mix.flac", 2.0)
    source = found_in(folder)
    assert (source.layout, source.complete, source.problems) == ("Slakh2100", True, ())
    first, second = source.tracks
    assert {name: [f.name for f in files] for name, files in first.stems.items()} == {
        "bass": ["S02.flac"],
        "drums": ["S03.flac"],
        "guitar": ["S00.flac"],
        "other": ["S04.flac"],
        "piano": ["S01.flac"],
    }
    assert (first.name, first.seconds, first.mixture) == ("Track00001", 1.0, None)
    assert [path.name for path in second.stems["guitar"]] == ["S00.flac", "S07.flac"]
    assert (second.seconds, second.mixture) == (2.0, mix)


@pytest.mark.parametrize(
    ("number", "split"),
    [(1, "train"), (1500, "train"), (1501, "validation"), (1875, "validation"), (1876, "test"),
     (2100, "test")],
)  # fmt: skip
def test_flat_tracks_are_split_by_number(
    sound: Sound, tmp_path: Path, number: int, split: str
) -> None:
    track(sound, tmp_path / f"Track{number:05d}")
    assert [found.split for found in found_in(tmp_path).tracks] == [split]


def test_folders_come_before_numbers(sound: Sound, tmp_path: Path) -> None:
    for name in ("train/Track02000", "Validation/Track00001", "test/Track00002", "omitted/Track3"):
        track(sound, tmp_path / "slakh2100_flac_redux" / name)
    found = {t.name.split("/")[-1]: t.split for t in found_in(tmp_path).tracks}
    assert found == {"Track02000": "train", "Track00001": "validation", "Track00002": "test"}
    assert found_in(tmp_path).problems == ()  # nobody misses what the authors left out


def test_other_names_and_songs_played_by_soundfonts_are_split_by_name(
    sound: Sound, tmp_path: Path
) -> None:
    assert split_by_number("Track1") is split_by_number("song") is None
    names = [f"song {n}" for n in range(20)] + [f"Track{n:05d}" for n in range(20)]
    for name in names:
        track(sound, tmp_path / name, plugin_name="MuseScore_General.sf3")
    found = {t.name: t.split for t in found_in(tmp_path).tracks}
    assert found == {name: split_of(name) for name in names}
    assert set(found.values()) == {"train", "validation", "test"}


def test_few_of_other_names_are_all_trained_on(sound: Sound, tmp_path: Path) -> None:
    for name in ("Track02000", "emily"):  # a hash would have it among the tests
        track(sound, tmp_path / name)
    assert [t.split for t in found_in(tmp_path).tracks] == ["test", "train"]


def test_a_single_track_is_named_after_its_folder(sound: Sound, tmp_path: Path) -> None:
    source = found_in(track(sound, tmp_path / "Track01600"))
    assert [(t.name, t.split) for t in source.tracks] == [("Track01600", "validation")]


def test_missing_stems_are_told_once(slakh: Callable[..., Path]) -> None:
    slakh(BAND)
    folder = slakh(BAND)
    (folder / "Track00001" / "stems" / "S00.flac").unlink()
    source = found_in(folder)
    assert source.problems == ("1 stem file is missing: Track00001/stems/S00.flac",)
    assert set(source.tracks[0].stems) == {"bass", "drums", "other", "piano"}
    for file in folder.glob("Track00002/stems/*"):
        file.unlink()
    source = found_in(folder)
    assert source.problems == (
        "6 stem files are missing, e.g. Track00001/stems/S00.flac, Track00002/stems/S00.flac, "
        "Track00002/stems/S01.flac",
    )
    assert [t.name for t in source.tracks] == ["Track00001"]


def test_stems_that_were_never_rendered_are_no_problem(sound: Sound, tmp_path: Path) -> None:
    folder = track(sound, tmp_path / "Track00001", audio_rendered=False)
    (folder / "stems" / "S00.flac").unlink()
    source = found_in(tmp_path)
    assert source.problems == ()
    assert [(t.stems, t.mixture) for t in source.tracks] == [({}, folder / "mix.flac")]


def test_stems_converted_to_wav(sound: Sound, tmp_path: Path) -> None:
    folder = track(sound, tmp_path / "Track00001")
    (folder / "stems" / "S00.flac").unlink()
    file = sound(folder / "stems" / "S00.wav")
    assert found_in(tmp_path).tracks[0].stems == {"guitar": (file,)}


@pytest.mark.parametrize(
    "text",
    ["stems: [1, 2]", "other: 1", "[", "stems: {S00: 3}", "stems: {S00: {program_num: x}}", "\0"],
)
def test_tracks_of_broken_metadata_are_left_out(slakh: Callable[..., Path], text: str) -> None:
    slakh(BAND)
    slakh(BAND)
    folder = slakh(BAND)
    for name in ("Track00001", "Track00003"):
        (folder / name / "metadata.yaml").write_text(text)
    source = found_in(folder)
    assert [t.name for t in source.tracks] == ["Track00002"]
    assert source.problems == (
        "2 tracks have broken metadata and are left out: Track00001/metadata.yaml, "
        "Track00003/metadata.yaml",
    )


def test_broken_stems_are_left_out(slakh: Callable[..., Path]) -> None:
    folder = slakh(BAND)
    (folder / "Track00001" / "stems" / "S02.flac").write_bytes(b"fLaC broken")
    source = found_in(folder)
    assert "bass" not in source.tracks[0].stems
    assert source.problems == ("1 file cannot be read and is left out: Track00001/stems/S02.flac",)


def test_audio_beside_the_tracks_is_told(sound: Sound, tmp_path: Path) -> None:
    track(sound, tmp_path / "train" / "Track00001")
    sound(tmp_path / "songs" / "a b.wav")
    assert found_in(tmp_path).problems == (
        "1 audio file lies outside the tracks and is left out: songs/a b.wav",
    )


def test_metadata_of_others_is_none_of_ours(sound: Sound, tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text("title: an album")
    sound(tmp_path / "a.wav")
    assert find(tmp_path) is None
