"""Songs: the split that was asked for, the middle of it, and what stems and mixtures are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiomask.data.layouts import recognize
from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.songs import ALL, Choice, DrawnSong, find_songs

RATE = 44_100
BOTH = ("guitar", "bass")


def refs(folder: Path, choice: Choice) -> list[str]:
    return [ref.name for ref in find_songs([recognize(folder)], choice)]


def test_songs_of_a_split(song: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "validation/c", "test/d"):
        song(f"data/{name}", guitar=1, bass=2)
    folder = tmp_path / "data"
    assert refs(folder, Choice("test")) == ["test/d"]
    assert refs(folder, Choice("train")) == ["train/a", "train/b"]
    assert refs(folder, Choice("train", limit=1)) == ["train/a"]
    assert len(refs(folder, Choice(ALL))) == 4


def test_a_missing_split_is_told_with_what_there_is(
    song: Callable[..., Path], tmp_path: Path
) -> None:
    song("data/a", guitar=1, bass=2)
    with pytest.raises(DataError, match=r"nothing in the split 'test' \(1 in train\).*--split all"):
        refs(tmp_path / "data", Choice("test"))


def test_recordings_have_no_stems_to_separate(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    recording("data/test/a.wav")
    assert refs(tmp_path / "data", Choice("test")) == ["test/a"]
    with pytest.raises(DataError, match="recordings alone"):
        refs(tmp_path / "data", Choice("test", stems=BOTH))


def test_the_middle_of_a_song_and_its_stems(song: Callable[..., Path], tmp_path: Path) -> None:
    folder = song("data/test/a", seconds=1.0, channels=2, guitar=1, bass=2)
    source = recognize(tmp_path / "data")
    whole = find_songs([source], Choice("test", stems=BOTH))[0]
    assert whole.seconds == 1.0
    found = whole.read()
    assert (found.name, found.sample_rate, found.complete) == ("test/a", RATE, True)
    assert found.mixture.shape == (2, RATE)
    written, _ = soundfile.read(folder / "bass.wav", dtype="float32")
    assert torch.equal(found.stems["bass"], torch.from_numpy(written.T))
    assert torch.allclose(found.mixture, found.stems["bass"] + found.stems["guitar"])
    cut = find_songs([source], Choice("test", seconds=0.5, mono=True, stems=BOTH))[0]
    assert cut.seconds == 0.5
    part = cut.read()
    start = (RATE - RATE // 2) // 2
    middle = found.mixture[:, start : start + RATE // 2].mean(dim=0, keepdim=True)
    assert torch.allclose(part.mixture, middle)
    assert part.stems["guitar"].shape == (1, RATE // 2)


def test_the_mixture_is_the_songs_own_and_stems_are_read_when_needed(
    song: Callable[..., Path], tmp_path: Path
) -> None:
    folder = song("data/test/a", guitar=1, bass=2)
    soundfile.write(folder / "mixture.wav", np.full((RATE, 1), 0.25), RATE, "FLOAT")
    (ref,) = find_songs([recognize(tmp_path / "data")], Choice("test"))
    found = ref.read()
    assert not found.stems
    assert torch.equal(found.mixture, torch.full((1, RATE), 0.25))


def test_files_that_differ_are_refused(song: Callable[..., Path], tmp_path: Path) -> None:
    folder = song("data/test/a", guitar=1, bass=2)
    soundfile.write(folder / "bass.wav", np.zeros((8000, 1)), 8000)
    (ref,) = find_songs([recognize(tmp_path / "data")], Choice("test", stems=BOTH))
    with pytest.raises(DataError, match=r"differs from .* in sample rate or channels"):
        ref.read()


def test_a_file_that_has_gone_is_named(recording: Callable[..., Path], tmp_path: Path) -> None:
    path = recording("data/test/a.wav")
    (ref,) = find_songs([recognize(tmp_path / "data")], Choice("test"))
    path.unlink()
    with pytest.raises(AudiomaskError, match=r"a\.wav"):
        ref.read()


def test_several_folders_tell_their_songs_apart(song: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        song(f"{name}/test/a", guitar=1, bass=2)
    sources = [recognize(tmp_path / name) for name in ("one", "two")]
    assert [p.name for p in find_songs(sources, Choice("test"))] == ["one/test/a", "two/test/a"]


def note_bank(folder: Path, stems: tuple[str, ...] = (*BOTH, "drums")) -> Path:
    """Single notes, one library a stem."""
    time = np.arange(RATE // 4) / RATE
    for stem in stems:
        library = folder / stem / "lib"
        library.mkdir(parents=True)
        for pitch in range(28, 90, 6):
            tone = (
                0.3 * np.exp(-9 * time) * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time)
            )
            name = f"kick_{pitch}" if stem == "drums" else f"{pitch}_v100"
            soundfile.write(library / f"{name}.wav", tone, RATE)
    return folder


def test_bands_are_arranged_from_a_splits_instruments(tmp_path: Path) -> None:
    note_bank(tmp_path / "notes" / "test")
    source = recognize(tmp_path / "notes")
    choice = Choice("test", limit=3, drawn_seconds=1.5, stems=BOTH)
    found = find_songs([source], choice)
    assert [ref.name for ref in found] == ["band 1", "band 2", "band 3"]
    first = found[0].read()
    assert first.mixture.shape == (1, round(1.5 * RATE))
    assert set(first.stems) == {*BOTH, "other"}
    assert torch.allclose(first.mixture, torch.stack(list(first.stems.values())).sum(0), atol=1e-5)
    assert first.mixture.any()
    again = find_songs([source], choice)[0].read()
    assert torch.equal(first.mixture, again.mixture)
    other = find_songs([source], Choice("test", limit=1, drawn_seconds=1.5, seed=1, stems=BOTH))
    assert not torch.equal(first.mixture, other[0].read().mixture)
    with pytest.raises(DataError, match="--split all"):
        find_songs([source], Choice("validation"))
    assert len(find_songs([source], Choice(ALL, drawn_seconds=1.5))) == 24


def test_midi_alone_plays_nothing(tmp_path: Path) -> None:
    import mido

    song = mido.MidiFile()
    song.add_track("PIANO").append(mido.Message("note_on", note=60, velocity=80))
    (tmp_path / "midi").mkdir()
    song.save(tmp_path / "midi" / "a.mid")
    with pytest.raises(DataError, match="add --data NOTES"):
        find_songs([recognize(tmp_path / "midi")], Choice("test"))


def test_stems_of_a_recording_in_shards_are_unknown(tmp_path: Path) -> None:
    class OneExcerpt:
        names, samples, sample_rate = BOTH, 4, RATE

        def excerpt(self, index: int) -> tuple[torch.Tensor, ...]:
            from audiomask.data.excerpt import Excerpt

            known = torch.tensor(index == 0)
            return Excerpt(torch.ones(4), torch.ones(3, 4), known)

    known, unknown = (DrawnSong(OneExcerpt(), n, "excerpt", True).read() for n in (0, 1))  # type: ignore[arg-type]
    assert (set(known.stems), known.complete) == ({*BOTH, "other"}, True)
    assert (dict(unknown.stems), unknown.complete) == ({}, False)


def test_excerpts_of_packed_songs(song: Callable[..., Path], tmp_path: Path) -> None:
    from audiomask.data.shards.packing import pack

    for name in ("test/a", "test/b", "train/c"):
        song(f"data/{name}", guitar=1, bass=2)
    pack([recognize(tmp_path / "data")], tmp_path / "shards", seconds=0.75)
    source = recognize(tmp_path / "shards")
    choice = Choice("test", limit=2, drawn_seconds=0.5, stems=BOTH)
    found = find_songs([source], choice)
    assert [ref.name for ref in found] == ["shards/test excerpt 1", "shards/test excerpt 2"]
    made = found[0].read()
    assert made.mixture.shape == (1, RATE // 2)
    assert torch.allclose(made.mixture, made.stems["guitar"] + made.stems["bass"], atol=1e-5)
    # as it was packed, neither louder nor of another song's guitar
    found_in = []
    heard = made.stems["guitar"][0]
    for name in "ab":
        file = tmp_path / "data" / "test" / name / "guitar.wav"
        audio = torch.from_numpy(soundfile.read(file, dtype="float32")[0])
        starts = (audio[: len(audio) - len(heard)] - heard[0]).abs() < 1e-4
        for start in starts.nonzero().flatten().tolist():
            if torch.allclose(audio[start : start + len(heard)], heard, atol=1e-4):
                found_in.append(name)
    assert len(found_in) >= 1
    splits = [p.name for p in find_songs([source], Choice(ALL, drawn_seconds=0.5))]
    assert {name.split()[0] for name in splits} == {"shards/test", "shards/train"}
    with pytest.raises(DataError, match="nothing in the split 'validation'"):
        find_songs([source], Choice("validation", drawn_seconds=0.5))
