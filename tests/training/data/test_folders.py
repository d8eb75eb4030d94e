"""Folders of training data are told apart by what lies in them."""

from collections.abc import Callable
from pathlib import Path

import mido
import pytest
import torch

from audiomask.errors import DataError
from audiomask.training.data import Blend, open_data
from audiomask.training.data.bands import BandDataset
from audiomask.training.data.slakh import SlakhDataset

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


def test_each_layout_is_recognised(bank: Path, songs: Path, slakh: Callable[..., Path]) -> None:
    tracks = slakh({"S00": (25, False)})
    found = open_data([bank, songs, tracks], STEMS, 2_000, 0).parts
    assert [type(part) for part in found] == [BandDataset, SlakhDataset]
    band, _ = found
    assert isinstance(band, BandDataset)
    assert [song.name for song in band.songs] == ["a.mid"]
    assert (band.stems, band.samples) == (STEMS, 2_000)
    assert [type(p) for p in open_data([bank], STEMS, 2_000, 0).parts] == [BandDataset]
    assert [type(p) for p in open_data([tracks], STEMS, 2_000, 0).parts] == [SlakhDataset]


def test_a_blend_takes_from_all_and_always_the_same() -> None:
    parts = [[("a", i) for i in range(100)], [("b", i) for i in range(100)]]
    blend = Blend(parts, 0)  # type: ignore[arg-type]
    names = [blend[i][0] for i in range(100)]
    assert names == [blend[i][0] for i in range(100)]
    assert 30 < names.count("a") < 70
    assert all(blend[i][1] == i for i in range(100))  # an index is never used twice
    assert names != [Blend(parts, 1)[i][0] for i in range(100)]  # type: ignore[arg-type]


def test_a_blend_of_real_data_has_one_shape(bank: Path, slakh: Callable[..., Path]) -> None:
    data = open_data([bank, slakh({"S00": (25, False)})], STEMS, 2_000, 0)
    shapes = {tuple(data[i].stems.shape) for i in range(8)}
    assert shapes == {(3, 2_000)}
    assert torch.equal(data[3].mixture, data[3].mixture)


def test_what_is_no_data_is_named(tmp_path: Path, songs: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        open_data([tmp_path / "nowhere"], STEMS, 100, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no note bank"):
        open_data([tmp_path / "empty"], STEMS, 100, 0)
    with pytest.raises(DataError, match="need a note bank"):
        open_data([songs], STEMS, 100, 0)
