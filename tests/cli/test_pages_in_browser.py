"""Pages that commands write, in a real browser: they load, play, and switch what sounds."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch
from browser import heard, levels
from signals import tone

from audiomask.cli.evaluation_page import EvaluationPage
from audiomask.data.excerpt import Excerpt
from audiomask.evaluation.examples import Example
from audiomask.evaluation.report import Report, Table
from audiomask.training.preview import write_preview

RATE = 44100
#: seconds of what is looped while it is listened to
SECONDS = 4


def sine(hertz, level=0.25):
    return level * tone(hertz, SECONDS * RATE).expand(2, -1)


def play(page):
    page.evaluate(f"audiomask.players[0].setLoop({{ from: 0, to: {SECONDS} }})")
    page.get_by_role("button", name="Play").first.click()
    page.wait_for_function("audiomask.players[0].started")


def widths(visit, path):
    """How much wider than a phone a page is, in both color schemes, and how light it is."""
    found = []
    for scheme in ("light", "dark"):
        page = visit(path, color_scheme=scheme, viewport={"width": 390, "height": 844})
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
        found.append((page.evaluate("document.documentElement.scrollWidth"), light))
    return found


@pytest.fixture
def tokenized(invoke, engine, tmp_path, monkeypatch):
    """The page of a tone of 500 Hz, whose resynthesis is one of 1000 Hz and a quarter as loud."""
    monkeypatch.setattr(engine, "detokenize", lambda self, tokens: iter([sine(1000, 0.05)]))
    soundfile.write(tmp_path / "song.wav", sine(500, 0.2).T.numpy(), RATE)
    assert invoke("tokenize", "song.wav", "--page").status == 0
    return tmp_path / "song.tokens.html"


def test_tokens_are_heard_beside_the_original(tokenized, visit):
    page = visit(tokenized)
    play(page)
    tones = (500, 1000)
    assert heard(page, tones) == [1000]
    resynthesis = levels(page, tones)[1]
    page.keyboard.press("1")
    assert heard(page, tones) == [500]
    # 12 dB louder in the file, and as loud on the page
    assert levels(page, tones)[0] == pytest.approx(resynthesis, abs=1.5)
    page.get_by_role("button", name="Listen: resynthesis").click()
    assert heard(page, tones) == [1000]
    # the map is a picture under the same playhead, which seeks
    picture = page.get_by_role("img", name="Map of tokens, left, levels: 4")
    assert picture.locator("img").evaluate("image => image.naturalWidth") > 300
    page.get_by_role("button", name="Pause").click()
    page.keyboard.press("Home")
    box = picture.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate("audiomask.players[0].at") == pytest.approx(SECONDS / 2, abs=0.1)
    assert widths(visit, tokenized) == [(390, True), (390, False)]


def test_the_list_of_pages_leads_to_each(invoke, folder, visit):
    folder("a", "b & <c>/d #1")
    assert invoke("separate", "in", "-o", "out", "--page").status == 0
    path = Path("out/index.html")
    page = visit(path)
    assert page.get_by_role("columnheader").all_inner_texts()[:3] == ["file", "length", "guitar"]
    names = page.get_by_role("link").all_inner_texts()
    assert names == ["a.wav", "b & <c>/d #1.wav"]
    for name in names:
        page.get_by_role("link", name=name, exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: not url.endswith("out/index.html"))
        assert page.locator("h1").inner_text() == Path(name).stem
        # the sound is short, and at its end the playhead would be at 0 again
        page.evaluate("audiomask.players[0].setLoop({ from: 0, to: 0.1 })")
        page.keyboard.press("Space")
        page.wait_for_function("audiomask.players[0].at > 0")
        page.go_back()
    # the table has more columns than a phone is wide, and scrolls with the focus
    narrow = visit(path, viewport={"width": 390, "height": 844})
    narrow.get_by_role("region", name="Files").focus()
    narrow.keyboard.press("ArrowRight")
    narrow.wait_for_function("document.querySelector('.wide').scrollLeft > 0")
    assert widths(visit, path) == [(390, True), (390, False)]


def test_an_evaluation_is_read_and_heard(visit, tmp_path):
    report = Report(
        {"job": "vqvae", "seed": 0, "rows": [{"song": "one", "si_sdr": {"model": -1.5}}]},
        [Table("Mel distance", ("", "median"), [("1 level", "0.50"), ("2 levels", "0.25")])],
        ["1 songs of data"],
    )
    sounds = {"original": sine(500), "1 level": sine(1000), "2 levels": sine(2000)}
    path = tmp_path / "index.html"
    with EvaluationPage(path, overwrite=False) as made:
        made.add(Example("one", sounds, RATE, {"1 level": "mel distance 0.50"}))
        made.finish(report)
    page = visit(path)
    play(page)
    tones = (500, 1000, 2000)
    assert heard(page, tones) == [2000]
    for key, hertz in (("1", 500), ("2", 1000)):
        page.keyboard.press(key)
        assert heard(page, tones) == [hertz]
    assert page.get_by_role("row", name="2 levels").get_by_role("cell").inner_text() == "0.25"
    rows = page.get_by_role("region", name="Song by song (1 rows)")
    assert not rows.is_visible()
    page.get_by_text("Song by song (1 rows)").focus()
    page.keyboard.press("Enter")
    assert rows.get_by_role("columnheader").all_inner_texts() == ["song", "si sdr model"]
    assert rows.get_by_role("cell").all_inner_texts() == ["−1.500"]
    assert widths(visit, path) == [(390, True), (390, False)]


def test_a_dry_run_is_heard(visit, tmp_path):
    stems = torch.stack([sine(500), sine(1000), sine(1, 0.0)])
    excerpt = Excerpt(stems.sum(dim=0), stems, torch.tensor(True))
    data = SimpleNamespace(described=lambda: {
        "kind": "table", "title": "Data", "headings": ["data", "hours"],
        "rows": [["songs", "0.5"]], "folded": False})  # fmt: skip
    write_preview(lambda _: excerpt, ("guitar", "bass"), tmp_path, number=2, tables=[data])
    page = visit(tmp_path / "index.html")
    assert page.get_by_role("row", name="songs").get_by_role("cell").inner_text() == "0.5"
    assert page.locator("figure img").evaluate("image => image.naturalWidth") > 300
    page.keyboard.press("Space")
    playing = "audiomask.players[0].engine.sounds.map((sound) => sound.currentTime > 0.1)"
    page.wait_for_function(f"{playing}.every(Boolean)")
    volumes = "audiomask.players[0].engine.sounds.map((sound) => sound.volume)"
    assert page.evaluate(volumes) == [0, 1, 1]  # the mixture is no part of the mix
    page.keyboard.press("2")
    assert page.evaluate(volumes) == [0, 0, 1]
    page.get_by_role("button", name="Solo: mixture").first.click()
    assert page.evaluate(volumes) == [1, 0, 0]
    assert widths(visit, tmp_path / "index.html") == [(390, True), (390, False)]
