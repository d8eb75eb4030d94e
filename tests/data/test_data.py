"""One data set of several folders: what is opened, of which split, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch
from signals import tone

from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.bands.source import BankSource
from audiomask.data.interleave import Mashup
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.data.recorded import RecordedSource
from audiomask.data.songs import TrackDataset
from audiomask.data.sources import signature
from audiomask.errors import DataError

STEMS = ("guitar", "drums")


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder with one MIDI song of a single piano note."""
    folder = tmp_path / "songs"
    folder.mkdir()
    track = mido.MidiTrack()
    track.append(mido.Message("note_on", note=60, velocity=90, time=0))
    track.append(mido.Message("note_off", note=60, time=480))
    file = mido.MidiFile()
    file.tracks.append(track)
    file.save(folder / "a.mid")
    return folder


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with one recording of one second."""
    folder = tmp_path / "music"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.full(44_100, 0.25), 44_100)
    return folder


def test_banks_songs_and_tracks_are_opened_together(
    bank: Path, songs: Path, slakh: Callable[..., Path]
) -> None:
    sources = [recognize(folder) for folder in (bank, songs, slakh({"S00": (25, False)}))]
    found = open_data(sources, STEMS, 2_000, 0, need_stems=True)
    assert [type(part) for part in found.parts] == [BandDataset, TrackDataset]
    band = found.parts[0]
    assert isinstance(band, BandDataset)
    assert [song.name for song in band.songs] == ["a.mid"]
    assert (band.stems, band.samples) == (STEMS, 2_000)
    assert len(found.notes) == len(band.bank.samples)
    assert {type(found[index]) is RenderPlan for index in range(20)} == {True, False}
    shapes = {tuple(found.excerpt(index).stems.shape) for index in range(8)}
    assert shapes == {(3, 1, 2_000)}


def test_a_split_has_its_own_songs_instruments_and_tracks(bank: Path, music: Path) -> None:
    libraries = [path for path, _ in recognize(bank).libraries]
    track = recognize(music).tracks[0]
    splits = ("train", "validation", "test")
    sources = [
        RecordedSource(
            music, "recordings", tuple(replace(track, name=name, split=name) for name in splits)
        ),
        BankSource(
            bank,
            "note bank and MIDI songs",
            tuple((path, "test" if path.name == "steel" else "train") for path in libraries),
            tuple((Path(f"{name}.mid"), name) for name in splits),
        ),
    ]
    for split in ("train", "test"):
        opened = open_data(sources, STEMS, 2_000, 0, split=split)
        band, tracks = opened.parts
        assert isinstance(band, BandDataset)
        assert isinstance(tracks, TrackDataset)
        guitars = [one.library for one in band.bank.instruments["guitar"]]
        assert guitars == (["steel"] if split == "test" else ["nylon"])
        assert [song.stem for song in band.songs] == [split]
        assert [one.name for one in tracks.sampler.tracks] == [split]
    (tracks,) = open_data(sources, STEMS, 2_000, 0, split="validation").parts[-1:]
    assert isinstance(tracks, TrackDataset)


def test_augmentation_is_what_is_asked_for(music: Path) -> None:
    plain = open_data([recognize(music)], STEMS, 2_000, 0, augmentation=NONE)
    assert plain.excerpt(0).mixture.tolist() == [[0.25] * 2_000]
    varied = open_data([recognize(music)], STEMS, 2_000, 0)
    assert len({float(varied.excerpt(index).mixture[0, 99]) for index in range(6)}) > 4


def test_channels_mashups_and_incoherent_bands_are_those_asked_for(
    bank: Path, slakh: Callable[..., Path]
) -> None:
    sources = [recognize(folder) for folder in (bank, slakh({"S00": (25, False)}))]
    chosen = replace(NONE, mashup=1.0, incoherent=0.7)
    found = open_data(sources, STEMS, 2_000, 0, augmentation=chosen, channels=2)
    band, tracks = found.parts
    assert isinstance(band, BandDataset)
    assert isinstance(tracks, TrackDataset)
    assert (found.channels, band.channels, tracks.mixer.channels) == (2, 2, 2)
    assert band.incoherent == 0.7
    assert all(isinstance(found[index], Mashup) for index in range(10))
    assert found.excerpt(0).stems.shape == (3, 2, 2_000)
    plain = open_data(sources, STEMS, 2_000, 0, augmentation=Augmentation())
    assert not any(isinstance(plain[index], Mashup) for index in range(10))


def test_what_cannot_be_learned_from_is_refused(
    music: Path, songs: Path, bank: Path, slakh: Callable[..., Path]
) -> None:
    recordings = [recognize(music)]
    with pytest.raises(DataError, match="recordings alone"):
        open_data(recordings, STEMS, 100, 0, need_stems=True)
    open_data(recordings, STEMS, 100, 0)
    with pytest.raises(DataError, match="recordings alone"):
        open_data(recordings, STEMS, 100, 0, need_stems=True, recordings=True)
    beside = [*recordings, recognize(bank)]
    with pytest.raises(DataError, match="recordings alone"):
        open_data(beside, STEMS, 100, 0, need_stems=True)
    open_data(beside, STEMS, 100, 0, need_stems=True, recordings=True)
    with pytest.raises(DataError, match="need a note bank"):
        open_data([recognize(songs)], STEMS, 100, 0)
    with pytest.raises(DataError, match="nothing in the split 'test'"):
        open_data(recordings, STEMS, 100, 0, split="test")
    tracks = recognize(slakh({"S00": (25, False), "S01": (40, False)}))
    with pytest.raises(DataError, match=r"no drums in the data.*--set stems=guitar$"):
        open_data([tracks], STEMS, 100, 0, need_stems=True)
    # a bank beside it has them
    open_data([tracks, recognize(bank)], STEMS, 100, 0, need_stems=True)


def test_a_stem_hidden_in_the_rest_is_refused(bank: Path, tmp_path: Path) -> None:
    song = tmp_path / "musdb" / "train" / "Some Band - Some Song"
    song.mkdir(parents=True)
    for name in ("mixture", "drums", "bass", "other", "vocals"):
        soundfile.write(song / f"{name}.wav", np.zeros((4_410, 2)), 44_100)
    musdb = recognize(tmp_path / "musdb")
    for others in ([], [recognize(bank)]):
        with pytest.raises(
            DataError, match=r"does not separate guitar from the rest.*--set stems="
        ):
            open_data([musdb, *others], STEMS, 100, 0, need_stems=True)
    open_data([musdb], ("drums", "bass", "vocals"), 100, 0, need_stems=True)


def test_a_signature_is_of_the_files_as_they_are(music: Path, bank: Path) -> None:
    def now() -> str:
        return signature([recognize(music), recognize(bank)])

    before = now()
    assert now() == before
    soundfile.write(music / "b.wav", np.zeros(4_410), 44_100)
    longer = now()
    assert longer != before
    soundfile.write(music / "b.wav", np.zeros(44_100), 44_100)
    assert now() not in (before, longer)
    gone = recognize(music)
    (music / "b.wav").unlink()
    with pytest.raises(DataError, match=r"b\.wav: no longer exists"):
        signature([gone])


def test_the_same_items_from_the_same_folders(bank: Path, music: Path) -> None:
    sources = [recognize(bank), recognize(music)]
    one, two = (open_data(sources, STEMS, 2_000, 5) for _ in range(2))
    for index in range(4):
        pairs = zip(one.excerpt(index), two.excerpt(index), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_excerpts_have_the_rate_that_is_asked_for(bank: Path, music: Path) -> None:
    soundfile.write(music / "a.wav", 0.5 * tone(441, 44_100).numpy(), 44_100)
    sources = [recognize(bank), recognize(music)]
    data = open_data(sources, STEMS, 10_000, 0, sample_rate=22_050, augmentation=NONE)
    assert data.sample_rate == 22_050
    for index in range(6):
        if isinstance(data[index], RenderPlan):
            assert data.excerpt(index).mixture.any()
            continue
        spectrum = torch.fft.rfft(data.excerpt(index).mixture[0]).abs()
        assert int(spectrum.argmax()) * 22_050 / 10_000 == pytest.approx(441, abs=2)
    band = data.parts[0]
    assert isinstance(band, BandDataset)
    whole = open_data(sources[:1], STEMS, 10_000, 0)
    assert len(data.notes) == pytest.approx(len(whole.notes) / 2, rel=0.02)
