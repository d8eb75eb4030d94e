"""The HTML file: what is inside it, and what is embedded."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
import soundfile
import torch

from audiomask.audio.source import MemorySource
from audiomask.errors import OutputExistsError
from audiomask.page.clips import Clip
from audiomask.page.document import write_page
from audiomask.page.tracks import Track, choose_ending


def data(path: Path) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>',
                          path.read_text("utf-8"))  # fmt: skip
    return json.loads(found)


def embedded(path: Path, name: str) -> tuple:
    (text,) = re.findall(rf'<script type="text/plain" id="{name}">(.*)</script>', path.read_text())
    return soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="int16")


def test_all_is_inside(make_page):
    path = make_page()
    text = path.read_text("utf-8")
    assert "{{" not in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "http" not in text
    page = data(path)
    (player,) = page["players"]
    assert [track["name"] for track in player["tracks"]] == ["original", "guitar", "bass", "drums"]
    assert [track["level"] for track in player["tracks"]] == [pytest.approx(-15.1, abs=0.1)] * 4
    samples, rate = embedded(path, player["tracks"][1]["audio"])
    assert (samples.shape, rate, samples.max()) == ((4 * 22050, 2), 22050, 8192)


def test_names_cannot_end_the_script(make_page):
    hostile = "</script><!--{{script}}"
    path = make_page(title=hostile, names={hostile: 500.0})
    text = path.read_text("utf-8")
    assert hostile not in text
    assert text.count("</script>") == 3
    assert data(path)["title"] == hostile


def test_an_existing_page_stays(make_page, tmp_path):
    path = make_page()
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        write_page(path, "other", [])
    assert path.read_bytes() == before
    write_page(path, "other", [], overwrite=True)
    assert data(path)["players"] == []
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize(("seconds", "ending"), [(300, "flac"), (1500, "ogg"), (2000, "")])
def test_what_is_embedded(seconds, ending):
    assert choose_ending(seconds) == ending


def test_samples_that_no_file_holds_are_written(tmp_path):
    with Track("odd", 4, 44100, 1, tmp_path / "odd.flac") as track:
        track.write(torch.tensor([[float("nan"), 5.0, float("-inf"), 0.5]]))
        track.finish()
    samples, _ = soundfile.read(tmp_path / "odd.flac")
    assert samples == pytest.approx([0, 1, 0, 0.5], abs=1e-4)
    assert track.described(0.0)["level"] == pytest.approx(10.0, abs=5)


def test_a_clip_has_what_was_and_what_became(tmp_path):
    source = MemorySource(torch.full((2, 1000), 0.5), 44100)
    clip = Clip(source, 100, 400)
    clip.replace(50, torch.full((1, 100), 0.25), (1,))  # it begins before, in one channel
    clip.replace(390, torch.full((2, 100), -0.5), (0, 1))
    clip.replace(500, torch.zeros(2, 100), (0, 1))
    before, after = clip.tracks(tmp_path / "7", "flac")
    assert (before.name, after.name, before.alone) == ("before", "after", True)
    was, _ = soundfile.read(tmp_path / "7-before.flac")
    became, _ = soundfile.read(tmp_path / "7-after.flac")
    assert (was == 0.5).all()
    assert (became[:50] == [0.5, 0.25]).all()
    assert (became[50:290] == 0.5).all()
    assert (became[290:] == -0.5).all()
