"""Parts become tracks: stems of several files, mixtures, copies in other formats."""

from collections.abc import Callable
from pathlib import Path

from audiomask.data.layouts.parts import StemFile, assemble

Sound = Callable[..., Path]


def test_parts_are_gathered_by_song_and_stem(sound: Sound, tmp_path: Path) -> None:
    names = ("guitar 1.wav", "Guitar 2.wav", "Lead Vox.flac", "kazoo.wav", "mix.wav", "master.wav")
    files = {name: sound(tmp_path / name, 0.1 + 0.1 * n) for n, name in enumerate(names)}
    parts = [StemFile("a", file.stem, file) for file in files.values()]
    parts.append(StemFile("b", "Drums", sound(tmp_path / "b.wav")))
    source = assemble(tmp_path, "layout", parts, ("first",))
    first, second = source.tracks
    assert dict(first.stems) == {
        "guitar": (files["Guitar 2.wav"], files["guitar 1.wav"]),
        "kazoo": (files["kazoo.wav"],),
        "vocals": (files["Lead Vox.flac"],),
    }
    assert first.mixture == files["mix.wav"]  # rather than the master
    assert (first.name, first.split, round(first.seconds, 3)) == ("a", "train", 0.1)
    assert (second.name, set(second.stems), second.mixture) == ("b", {"drums"}, None)
    assert (source.layout, source.complete, source.problems) == ("layout", True, ("first",))


def test_copies_in_another_format_are_not_added_up(sound: Sound, tmp_path: Path) -> None:
    for name in ("drums.ogg", "drums.wav", "drums.flac", "bass.mp3", "mix.mp3", "mix.flac"):
        sound(tmp_path / name)
    parts = [StemFile("a", file.stem, file) for file in tmp_path.iterdir()]
    source = assemble(tmp_path, "layout", parts, ())
    (track,) = source.tracks
    assert dict(track.stems) == {
        "bass": (tmp_path / "bass.mp3",),
        "drums": (tmp_path / "drums.wav",),
    }
    assert track.mixture == tmp_path / "mix.flac"
    assert source.problems == (
        "3 files are there in another format too and are left out: drums.flac, drums.ogg, mix.mp3",
    )


def test_a_rest_that_hides_instruments(sound: Sound, tmp_path: Path) -> None:
    file = sound(tmp_path / "x.wav")
    for names, complete in ((("vocals", "other"), False), (("vocals", "guitar", "other"), True)):
        parts = [StemFile("a", name, file.with_stem(name)) for name in names]
        assert assemble(tmp_path, "layout", parts, ()).complete is complete
