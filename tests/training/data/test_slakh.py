"""Slakh2100's layout: which stem is whose, and what an excerpt reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.errors import DataError
from audiomask.training.data.slakh import SlakhDataset, find_tracks, group_of, read_excerpt

STEMS = ("guitar", "piano", "bass", "drums")
BAND = {
    "S00": (25, False),  # a guitar
    "S01": (0, False),
    "S02": (33, False),
    "S03": (0, True),
    "S04": (73, False),  # a flute
}


@pytest.mark.parametrize(
    ("program", "group"),
    [(0, "piano"), (7, "piano"), (8, "other"), (24, "guitar"), (31, "guitar"), (32, "bass"),
     (39, "bass"), (40, "other"), (-1, "other")],
)  # fmt: skip
def test_groups_by_general_midi_program(program: int, group: str) -> None:
    assert group_of({"program_num": program, "is_drum": False}) == group
    assert group_of({"program_num": program, "is_drum": True}) == "drums"


def test_tracks_are_found(slakh: Callable[..., Path]) -> None:
    slakh(BAND)
    folder = slakh({"S00": (26, False), "S07": (27, False)}, seconds=2.0)
    (folder / "Track00001" / "stems" / "S01.flac").unlink()  # some stems have no audio
    omitted = folder / "omitted" / "Track00009"
    omitted.mkdir(parents=True)
    (omitted / "metadata.yaml").write_text("stems: {}")
    first, second = find_tracks(folder)
    assert set(first.stems) == {"guitar", "bass", "drums", "other"}
    assert first.samples == 44_100
    assert [path.name for path in second.stems["guitar"]] == ["S00.flac", "S07.flac"]
    assert second.samples == 88_200


@pytest.mark.parametrize("text", ["stems: [1, 2]", "other: 1", "[", "stems: {S00: 3}"])
def test_other_metadata_is_refused(slakh: Callable[..., Path], text: str) -> None:
    folder = slakh(BAND)
    (folder / "Track00001" / "metadata.yaml").write_text(text)
    with pytest.raises(DataError, match=r"metadata\.yaml: not Slakh2100's metadata"):
        find_tracks(folder)


def test_a_broken_stem_is_refused(slakh: Callable[..., Path]) -> None:
    folder = slakh(BAND)
    (folder / "Track00001" / "stems" / "S02.flac").write_bytes(b"fLaC broken")
    with pytest.raises(DataError, match="Track00001"):
        find_tracks(folder)


def test_excerpts_are_mono_and_silent_beyond_the_end(slakh: Callable[..., Path]) -> None:
    folder = slakh({"S00": (25, False)})
    file = folder / "Track00001" / "stems" / "S00.flac"
    audio = read_excerpt(file, 44_000, 200)
    assert torch.allclose(audio[:100], torch.full((100,), 0.1), atol=1e-4)
    assert not audio[100:].any()


def test_another_rate_is_refused(slakh: Callable[..., Path]) -> None:
    folder = slakh({"S00": (25, False)}, rate=22_050)
    with pytest.raises(DataError, match="22050 Hz"):
        read_excerpt(folder / "Track00001" / "stems" / "S00.flac", 0, 10)


def test_a_stem_is_in_its_place(slakh: Callable[..., Path]) -> None:
    data = SlakhDataset(find_tracks(slakh(BAND)), STEMS, 1_000, seed=0)
    item = data[0]
    assert item.stems.shape == (5, 1_000)
    assert torch.allclose(item.stems.sum(dim=0), item.mixture, atol=1e-6)
    # constants: 0.1 for the guitar to 0.5 for the flute, within ± 4 dB of gain
    level = item.stems[:, 500]
    relative = level / level.sum() * 1.5 / torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (relative > 0.35).all()
    assert (relative < 2.8).all()


def test_stems_that_are_not_asked_for_are_the_rest(slakh: Callable[..., Path]) -> None:
    tracks = find_tracks(slakh(BAND))
    data = SlakhDataset(tracks, ("bass",), 1_000, seed=0)
    ratios = []
    for index in range(10):
        bass, rest = data[index].stems[:, 500].tolist()
        ratios.append(rest / bass)
    # 0.1 + 0.2 + 0.4 + 0.5 to 0.3, give or take two gains of ± 4 dB
    assert min(ratios) > 4 / 2.6
    assert max(ratios) < 4 * 2.6
    assert 3 < float(np.median(ratios)) < 5.4


def test_an_item_is_its_seed_and_index_and_some_mix_tracks(slakh: Callable[..., Path]) -> None:
    slakh({"S00": (25, False)})
    tracks = find_tracks(slakh({"S01": (0, False)}))  # a guitar alone, and a piano alone
    data, again = (SlakhDataset(tracks, STEMS, 1_000, seed=1) for _ in range(2))
    found = set()
    for index in range(60):
        item = data[index]
        assert torch.equal(item.stems, again[index].stems)
        found.add(tuple((item.stems.abs().amax(dim=1) > 0).tolist()[:2]))
    # mixed at random, there are songs of both and of neither
    assert found == {(True, False), (False, True), (True, True), (False, False)}
    assert not torch.equal(SlakhDataset(tracks, STEMS, 1_000, seed=2)[0].stems, data[0].stems)
