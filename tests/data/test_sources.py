"""Sources: a layout that nobody knew is its own class and one entry of the list."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch.utils.data import Dataset

from audiomask.data import layouts
from audiomask.data.excerpt import Excerpt
from audiomask.data.layouts.layout import Layout
from audiomask.data.open import open_data
from audiomask.data.sources import Contents, ExcerptConfig, Source, signature
from audiomask.data.survey import show
from audiomask.errors import DataError
from audiomask.evaluation.songs import Choice, find_songs


class Constant(Dataset[Excerpt]):
    """Excerpts whose every stem is 0.25."""

    def __init__(self, config: ExcerptConfig) -> None:
        self.config = config

    def __getitem__(self, index: int) -> Excerpt:
        stems = torch.full((len(self.config.stems) + 1, self.config.samples), 0.25)
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(True))


@dataclass(frozen=True)
class ConstantSource(Source):
    """Sounds of one value, written down in files ``*.constant``."""

    def contents(self) -> list[Contents]:
        return [Contents(self.layout, "values", self.counts(), 7_200.0, Counter(guitar=2))]

    def counts(self) -> Counter[str]:
        return Counter(train=2)

    def identity(self) -> Iterator[bytes]:
        yield b"constant"

    def has_excerpts(self, split: str) -> bool:
        return split == "train"

    def open(self, split: str, config: ExcerptConfig) -> Dataset[Excerpt]:
        return Constant(config)


def find(folder: Path) -> Source | None:
    return ConstantSource(folder, "constants") if any(folder.glob("*.constant")) else None


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    (tmp_path / "a.constant").touch()
    monkeypatch.setattr(layouts, "LAYOUTS", (*layouts.LAYOUTS, Layout("constants", find)))
    return layouts.recognize(tmp_path)


def test_a_new_layout_is_found_shown_and_named(source: Source, tmp_path: Path) -> None:
    out = io.StringIO()
    show([source], Console(file=out, width=120))
    row = out.getvalue().splitlines()[1].split()
    assert row[1:] == ["constants", "values", "2", "0", "0", "2.0", "guitar", "2"]
    assert source.stems == ("guitar",)
    assert len(signature([source])) == 16
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").touch()
    with pytest.raises(DataError, match=r"known layouts: .*recordings, constants, tar shards"):
        layouts.recognize(tmp_path / "other")


def test_a_new_layout_is_drawn_from_and_measured(source: Source) -> None:
    data = open_data([source], ("guitar",), 50, 0, need_stems=True)
    assert data.excerpt(3).mixture.tolist() == [0.5] * 50
    choice = Choice("train", limit=2, drawn_seconds=0.01, stems=("guitar",))
    pieces = find_songs([source], choice)
    assert [piece.name.split("/")[1] for piece in pieces] == ["train excerpt 1", "train excerpt 2"]
    assert set(pieces[0].read().stems) == {"guitar", "other"}


@pytest.mark.parametrize("stems", [("guitar",), ("guitar", "drums")])
def test_a_new_layout_is_refused_like_others(source: Source, stems: Sequence[str]) -> None:
    with pytest.raises(DataError, match="nothing in the split 'test'"):
        open_data([source], stems, 50, 0, split="test")
    with pytest.raises(DataError, match="constants are not packed"):
        source.tracks_to_pack()
    if "drums" in stems:
        with pytest.raises(DataError, match="no drums in the data, which has guitar"):
            open_data([source], stems, 50, 0, need_stems=True)
