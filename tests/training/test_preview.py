"""Preview: the page of excerpts that a dry run writes."""

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.figure import Figure
from signals import tone
from torch import Tensor

from audiomask.data.excerpt import Excerpt
from audiomask.errors import AudioFileError, DataError
from audiomask.page.parts import Table
from audiomask.training import preview as module
from audiomask.training.preview import name_columns, name_files, write_preview

RATE = 44_100
STEMS = ("guitar", "bass")


def sine(hertz: float, level: float) -> Tensor:
    return level * tone(hertz, RATE // 2)


def band(index: int, known: bool = True) -> Excerpt:
    """A high, loud guitar, a low, soft bass in even excerpts, and nothing else."""
    stems = torch.stack([sine(3000 + index, 0.5), sine(110, 0.02 * (1 - index % 2)), sine(1, 0)])
    stems = stems[:, None]
    if not known:
        stems = torch.stack([torch.zeros_like(stems[0])] * 2 + [stems.sum(dim=0)])
    return Excerpt(stems.sum(dim=0), stems, torch.tensor(known))


class Page:
    """What a page shows: its words, and the files it names."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
        page = json.loads(found)
        self.title, self.notes = page["title"], page["notes"]
        self.players = [part for part in page["parts"] if part["kind"] == "player"]
        self.tables = [part for part in page["parts"] if part["kind"] == "table"]
        tracks = [track for player in self.players for track in player["tracks"]]
        pictures = [part for part in page["parts"] if part["kind"] == "picture"]
        self.files = [unquote(one["address"]) for one in (*tracks, *pictures)]
        self.names = [[track["name"] for track in player["tracks"]] for player in self.players]
        self.facts = [dict(player["facts"]) for player in self.players]


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_everything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "preview"
    written = write_preview(band, STEMS, folder, number=2)
    assert names(written) == [
        "01-mixture.wav",
        "01-guitar.wav",
        "01-bass.wav",
        "02-mixture.wav",
        "02-guitar.wav",
        "spectrograms.png",
        "index.html",
    ]
    assert sorted(folder.iterdir()) == sorted(written)


@pytest.mark.slow
def test_six_excerpts_unless_asked_otherwise(tmp_path: Path) -> None:
    asked: list[int] = []

    def excerpts(index: int) -> Excerpt:
        asked.append(index)
        return band(index)

    write_preview(excerpts, STEMS, tmp_path)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert len(list(tmp_path.glob("*-mixture.wav"))) == 6
    with pytest.raises(ValueError, match="0 excerpts"):
        write_preview(band, STEMS, tmp_path, number=0)


def test_sounds_read_back_as_they_were(tmp_path: Path) -> None:
    write_preview(band, STEMS, tmp_path, number=2)
    for index in range(2):
        excerpt = band(index)
        for name, audio in (("mixture", excerpt.mixture), ("guitar", excerpt.stems[0])):
            path = tmp_path / f"{index + 1:02d}-{name}.wav"
            assert soundfile.info(path).subtype == "PCM_16"
            found, rate = soundfile.read(path, dtype="float32")
            assert rate == RATE
            assert found.shape == (RATE // 2,)
            assert np.abs(found - audio[0].numpy()).max() <= 1 / 32768


def test_stereo_is_written_in_stereo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mono = band(0)
    stems = torch.cat([mono.stems, 0.5 * mono.stems], dim=1)
    excerpt = Excerpt(stems.sum(dim=0), stems, torch.tensor(True))
    pictures = []
    monkeypatch.setattr(module, "draw_sheet", lambda rows, *_: (pictures.append(rows), Figure())[1])
    write_preview(lambda _: excerpt, STEMS, tmp_path, number=1)
    for name, audio in (("mixture", excerpt.mixture), ("guitar", stems[0])):
        found, _ = soundfile.read(tmp_path / f"01-{name}.wav", dtype="float32", always_2d=True)
        assert np.abs(found.T - audio.numpy()).max() <= 1 / 32768
    # one picture for both channels
    assert pictures[0][0][1].shape == (RATE // 2,)


def test_the_rest_has_a_name_of_its_own(tmp_path: Path) -> None:
    excerpt = band(0)
    excerpt.stems[2] += sine(700, 0.1)
    written = names(write_preview(lambda _: excerpt, STEMS, tmp_path / "a", number=1))
    assert "01-other.wav" in written
    written = names(write_preview(lambda _: excerpt, ("other", "bass"), tmp_path / "b", number=1))
    assert written[1:4] == ["01-other.wav", "01-bass.wav", "01-rest.wav"]
    assert name_columns(("other", "rest"))[-1] not in ("other", "rest")


def test_what_16_bits_cannot_hold_is_silent(tmp_path: Path) -> None:
    excerpt = band(0)
    excerpt.stems[1].clamp_(-0.4 / 32768, 0.4 / 32768)
    excerpt.stems[2] += 0.6 / 32768
    written = names(write_preview(lambda _: excerpt, STEMS, tmp_path, number=1))
    assert "01-bass.wav" not in written
    assert "01-other.wav" in written


def test_unknown_parts_have_a_mixture_alone(tmp_path: Path) -> None:
    mixed = write_preview(lambda i: band(i, known=i > 0), STEMS, tmp_path / "mixed", number=2)
    assert [name for name in names(mixed) if name.startswith("01")] == ["01-mixture.wav"]
    assert [name for name in names(mixed) if name.startswith("02")] == [
        "02-mixture.wav",
        "02-guitar.wav",
    ]
    page = Page(tmp_path / "mixed" / "index.html")
    assert page.names == [["mixture"], ["mixture", "guitar"]]
    assert page.facts == [{"not known": "guitar, bass, other"}, {"silent": "bass, other"}]
    # a mixture that is alone is heard without more ado, as are stems that are its sum
    heard = [[track["alone"] for track in player["tracks"]] for player in page.players]
    assert heard == [[False], [True, False]]
    # where nothing is known of any, no columns are wasted on it
    write_preview(lambda i: band(i, known=False), STEMS, tmp_path / "none", number=2)
    page = Page(tmp_path / "none" / "index.html")
    assert (page.names, page.facts) == ([["mixture"]] * 2, [{}, {}])


def test_the_picture_is_of_all_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = []
    draw = module.draw_sheet
    monkeypatch.setattr(
        module, "draw_sheet", lambda *given: (sheets.append(given), draw(*given))[1]
    )
    write_preview(band, STEMS, tmp_path, number=2)
    assert (tmp_path / "spectrograms.png").read_bytes().startswith(b"\x89PNG")
    ((rows, columns, rate),) = sheets
    assert (len(rows), rate) == (2, 44_100)
    assert len(columns) == len(rows[0]) == len(STEMS) + 2
    assert isinstance(rows[0][1], torch.Tensor)
    assert rows[0][-1] == "silent"


def test_the_page_names_every_file_and_needs_no_other(tmp_path: Path) -> None:
    written = write_preview(band, STEMS, tmp_path, number=2)
    page = Page(tmp_path / "index.html")
    assert sorted(page.files) == sorted(set(names(written)) - {"index.html"})
    assert page.title == "2 training excerpts of 0.5 s"
    assert page.facts == [{"silent": "other"}, {"silent": "bass, other"}]
    level = 20 * math.log10(0.5 / math.sqrt(2))
    assert page.players[0]["tracks"][1]["level"] == pytest.approx(level, abs=0.1)
    assert "http" not in (tmp_path / "index.html").read_text()


def test_the_data_and_the_amount_are_on_the_page(tmp_path: Path) -> None:
    table = Table("Data", ("data", "hours"), [("songs", "0.5")])
    write_preview(band, STEMS, tmp_path, number=1, tables=[table], notes=["8 steps"])
    page = Page(tmp_path / "index.html")
    assert page.tables == [table.described()]
    assert page.notes[0] == "8 steps"


def test_names_are_escaped_in_the_page_and_safe_as_files(tmp_path: Path) -> None:
    stems = ("<b>a&b/../x", 'quo"te#%41 ü')
    written = write_preview(band, stems, tmp_path / "p", number=1)
    assert sorted((tmp_path / "p").iterdir()) == sorted(written)
    assert not any(set(path.name) & set('<>"/') for path in written)
    page = Page(tmp_path / "p" / "index.html")
    assert page.names == [["mixture", stems[0], stems[1]]]
    assert sorted(page.files) == sorted(set(names(written)) - {"index.html"})


def test_no_two_columns_share_a_file() -> None:
    files = name_files(["mixture", "Mixture", "a/b", "a:b", "a_b", "x" * 300, "x" * 301])
    assert len({name.casefold() for name in files}) == 7
    assert max(map(len, files)) < 80


def test_clipping_is_told(tmp_path: Path) -> None:
    excerpt = band(0)
    excerpt.stems[0, 0, 100:105] = 1.5
    write_preview(lambda _: excerpt, STEMS, tmp_path, number=1)
    (player,) = Page(tmp_path / "index.html").players
    assert [track["remark"] for track in player["tracks"]][1] == "5 samples clipped"


def test_silence_throughout_is_shown_as_such(tmp_path: Path) -> None:
    nothing = Excerpt(torch.zeros(1, RATE), torch.zeros(3, 1, RATE), torch.tensor(True))
    written = write_preview(lambda _: nothing, STEMS, tmp_path, number=1)
    assert names(written) == ["01-mixture.wav", "spectrograms.png", "index.html"]
    assert Page(tmp_path / "index.html").facts == [{"silent": "guitar, bass, other"}]


@pytest.mark.slow
def test_a_second_preview_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_preview(band, STEMS, tmp_path, number=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_preview(band, STEMS, tmp_path, number=2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    write_preview(lambda i: band(i + 1), STEMS, tmp_path, number=1)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"01-mixture.wav", "01-guitar.wav", "spectrograms.png", "index.html"}
    # what an earlier preview left is not taken for a part of this one
    assert "01-bass.wav" not in Page(tmp_path / "index.html").files


def refuse(folder: Path, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        write_preview(band, STEMS, folder, number=1)
    assert "\n" not in str(caught.value)
    assert "name another folder" in str(caught.value)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refuse(tmp_path / "file", "cannot be written: File exists")
    refuse(tmp_path / "file" / "below", "cannot be written: Not a directory")
    (tmp_path / "taken" / "01-mixture.wav").mkdir(parents=True)
    refuse(tmp_path / "taken", "is a folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        refuse(tmp_path, "cannot be written: Permission denied")
        refuse(tmp_path / "below", "cannot be written: Permission denied")
    finally:
        tmp_path.chmod(0o700)


def failing(error: Exception) -> Callable[[int], Excerpt]:
    def excerpts(index: int) -> Excerpt:
        if index:
            raise error
        return band(index)

    return excerpts


def test_what_the_data_lacks_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    for error in (AudioFileError("song.flac: is truncated"), OSError("a disk is gone")):
        with pytest.raises(type(error), match=r"truncated|gone"):
            write_preview(failing(error), STEMS, tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_a_full_disk_leaves_no_half_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Figure, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    refuse(tmp_path, "No space left")
    assert all(path.suffix == ".wav" for path in tmp_path.iterdir())
