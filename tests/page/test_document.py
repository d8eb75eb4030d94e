"""The HTML file: what is inside it, and what is embedded."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
import soundfile
import torch
from PIL import Image

from audiomask.audio.source import MemorySource
from audiomask.errors import OutputExistsError
from audiomask.page.clips import Clip
from audiomask.page.document import read_about, write_page
from audiomask.page.parts import Link, Picture, Table
from audiomask.page.token_map import TokenMap
from audiomask.page.tracks import Track, choose_ending, match_loudness


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
    (player,) = page["parts"]
    assert [track["name"] for track in player["tracks"]] == ["original", "guitar", "bass", "drums"]
    assert [track["level"] for track in player["tracks"]] == [pytest.approx(-15.1, abs=0.1)] * 4
    samples, rate = embedded(path, player["tracks"][1]["audio"])
    assert (samples.shape, rate, samples.max()) == ((4 * 22050, 2), 22050, 8192)


def test_a_page_tells_about_itself(tmp_path):
    about = {"length": "3:07", 'a "name" & {{title}} <b>': "{{data}}"}
    path = tmp_path / "page.html"
    write_page(path, "{{about}}", [], about=about)
    assert read_about(path) == about
    assert data(path)["title"] == "{{about}}"
    (tmp_path / "other.html").write_text("<title>mine</title>")
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe")
    assert [read_about(tmp_path / name) for name in ("other.html", "sound.wav", "none")] == [
        None
    ] * 3


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
    assert data(path)["parts"] == []
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


def made(folder, name, audio, rate=44100):
    with Track(
        name, audio.shape[1], rate, len(audio), folder / f"{name}.flac", alone=True
    ) as track:
        track.write(audio)
        track.finish()
    return track


def noise(low, high, seed=0, rate=44100):
    """Two seconds of stereo noise between two frequencies, at a tenth of full scale."""
    draw = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft(torch.randn(2, 2 * rate, generator=draw))
    hertz = torch.arange(spectrum.shape[1]) / 2
    audio = torch.fft.irfft(spectrum * ((hertz > low) & (hertz < high)))
    return 0.1 * audio / audio.square().mean().sqrt()


def test_loudness_is_that_of_the_standard(tmp_path):
    sounds = [noise(40, 120), noise(300, 3000), 0.5 * noise(3000, 12000)]
    ours = [made(tmp_path, str(n), sound).loudness_db for n, sound in enumerate(sounds)]
    functional = pytest.importorskip("torchaudio.functional")
    theirs = [float(functional.loudness(sound, 44100)) for sound in sounds]
    for n in (1, 2):
        assert ours[n] - ours[0] == pytest.approx(theirs[n] - theirs[0], abs=0.3)
    # as strong bass is softer
    assert ours[1] - ours[0] > 4


def test_what_is_compared_is_equally_loud(tmp_path):
    tracks = [made(tmp_path, name, gain * noise(300, 3000)) for name, gain in
              (("original", 1.0), ("resynthesis", 0.5), ("nothing", 1e-4))]  # fmt: skip
    match_loudness(tracks)
    assert [track.gain for track in tracks] == [pytest.approx(0.5, rel=0.01), 1, 1]
    assert [track.remark for track in tracks] == ["played 6.0 dB softer", "", ""]
    assert tracks[0].described(0.0)["gain"] == pytest.approx(0.5, rel=0.01)


def test_a_map_orders_codes_by_how_high_they_sound():
    # codes 7, 900 and 3 in sounds that are low, high and between
    codes = torch.tensor([[7, 7, 900, 900, 3, 3], [1, 1, 1, 1, 1, 1]])
    bright = torch.tensor([0.1, 0.1, 0.9, 0.9, 0.5, 0.5])
    made = TokenMap.draw("tokens", codes, bright)
    picture = Image.open(io.BytesIO(base64.b64decode(made.picture.partition(",")[2])))
    assert picture.size == (6, 2)
    assert made.remark == "codes used: 3, 1"
    shades = [[picture.getpixel((x, y)) for x in range(6)] for y in range(2)]
    assert shades == [[0, 0, 63, 63, 32, 32], [0] * 6]


def test_a_long_map_shows_evenly_spaced_frames():
    codes = torch.arange(5000)[None] // 1000
    made = TokenMap.draw("tokens", codes, torch.arange(1200) / 1200)
    picture = Image.open(io.BytesIO(base64.b64decode(made.picture.partition(",")[2])))
    assert picture.size == (1200, 1)
    assert [picture.getpixel((x, 0)) for x in (0, 300, 599, 1199)] == [0, 16, 32, 63]


def test_tables_and_pictures_are_told(tmp_path):
    table = Table("Files", ("file", "gaps"), [(Link("a", "a%20b.html"), "2")], folded=True)
    write_page(tmp_path / "index.html", "list", [table, Picture("all", "all.png")])
    told, picture = data(tmp_path / "index.html")["parts"]
    assert told == {
        "kind": "table",
        "title": "Files",
        "folded": True,
        "headings": ["file", "gaps"],
        "rows": [[["a", "a%20b.html"], "2"]],
    }
    assert picture == {"kind": "picture", "title": "all", "address": "all.png"}


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
