"""Layouts: every folder is recognised as what it is, or refused with the reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiomask.data.layouts import recognize
from audiomask.data.sources import BandMaterial
from audiomask.errors import DataError

Sound = Callable[..., Path]
LAYOUTS = {
    "MUSDB18-HQ": tuple(
        f"train/a/{name}.wav" for name in ("mixture", "drums", "bass", "other", "vocals")
    ),
    "note bank": ("guitar/nylon/60_v90.wav", "drums/kit/kick_1.wav"),
    "stems by folder": ("guitar/a.wav", "drums/takes/a.wav"),
    "track folders": ("a/guitar.wav", "a/mix.wav"),
    "recordings": ("Album/01 song.flac", "Album/02 Bass.flac"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_told_apart(sound: Sound, tmp_path: Path, layout: str) -> None:
    for name in LAYOUTS[layout]:
        sound(tmp_path / "näme with spaces" / name)
    source = recognize(tmp_path / "näme with spaces")
    assert (source.layout, source.problems) == (layout, ())
    assert source.folder == tmp_path / "näme with spaces"


@pytest.mark.parametrize("split", ["train", "VAL", "test"])
@pytest.mark.parametrize("layout", [*LAYOUTS, "Slakh2100", "MIDI songs", "SoundFonts"])
def test_every_layout_may_lie_below_splits(
    sound: Sound, slakh: Callable[..., Path], tmp_path: Path, layout: str, split: str
) -> None:
    if layout == "MUSDB18-HQ":
        names = [name.replace("train", split) for name in LAYOUTS[layout]]
    else:
        names = [f"{split}/{name}" for name in LAYOUTS.get(layout, ())]
    folder = tmp_path / "data"
    for name in names:
        sound(folder / name)
    (folder / split).mkdir(parents=True, exist_ok=True)
    if layout == "Slakh2100":
        slakh({"S00": (25, False)}).rename(folder / split / "slakh")
    elif not names:
        (folder / split / ("a.mid" if layout == "MIDI songs" else "a.sf2")).touch()
    source = recognize(folder)
    assert source.layout == layout
    placed = {found for kind in source.contents() for found in kind.splits}
    assert placed == {"validation" if split == "VAL" else split}


def test_slakhs_midi_files_are_no_songs(slakh: Callable[..., Path]) -> None:
    folder = slakh({"S00": (25, False)})
    (folder / "Track00001" / "all_src.mid").touch()
    source = recognize(folder)
    assert (source.layout, source.problems) == ("Slakh2100", ())
    assert source.band("train") == BandMaterial()


def test_midi_songs_beside_audio_are_told(sound: Sound, tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    (tmp_path / "a.mid").touch()
    assert recognize(tmp_path).problems == (
        "1 MIDI file or SoundFont lies beside the audio and is left out; give it its own folder: "
        "a.mid",
    )


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        recognize(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_data_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").endswith("nowhere: no such folder")
    assert refusal(tmp_path).endswith(": is empty")
    (tmp_path / "a.txt").touch()
    assert "holds no audio, MIDI songs, SoundFonts or notes; known layouts: " in refusal(tmp_path)
    assert "a.txt: is a file; give the folder that it lies in" in refusal(tmp_path / "a.txt")
    (tmp_path / ".hidden.wav").touch()
    assert "holds no audio" in refusal(tmp_path)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    assert "holds no audio" in refusal(tmp_path)


def test_nothing_readable_is_refused(sound: Sound, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.wav").write_text("text")
    assert refusal(tmp_path).endswith(
        "is laid out as recordings, but 4 files cannot be read and are left out, e.g. a.wav, "
        "b.wav, c.wav"
    )
    sound(tmp_path / "e.wav")
    source = recognize(tmp_path)
    assert [track.name for track in source.tracks] == ["e"]
    assert len(source.problems) == 1


def test_slakh_without_audio_is_refused(slakh: Callable[..., Path]) -> None:
    folder = slakh({"S00": (25, False)})
    (folder / "Track00001" / "stems" / "S00.flac").unlink()
    assert "Slakh2100, but 1 stem file is missing: Track00001/stems/S00.flac" in refusal(folder)
    (folder / "Track00001" / "metadata.yaml").write_text("[")
    assert "but 1 track has broken metadata" in refusal(folder)


def test_a_folder_that_cannot_be_listed(
    sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound(tmp_path / "a.wav")

    def locked(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", locked)
    assert "cannot be read (Permission denied)" in refusal(tmp_path)
