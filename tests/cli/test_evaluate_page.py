"""``evaluate --page``: the tables, the songs one by one, and examples to listen to."""

import json
import re
from pathlib import Path

import pytest
import soundfile
import torch

from audiomask.cli.evaluation_page import EvaluationPage
from audiomask.evaluation.examples import Example
from audiomask.evaluation.report import Report

RATE = 44100


@pytest.fixture
def songs(tmp_path):
    """Two songs of a second and a half, of two stems each."""
    for song in ("c", "d"):
        for number, stem in enumerate(("guitar", "bass"), start=1):
            time = torch.arange(round(1.5 * RATE)) / RATE
            notes = torch.sin(2 * torch.pi * 110 * number * time) * torch.exp(-5 * (time % 0.3))
            path = tmp_path / "data" / "test" / song / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.2 * notes.numpy(), RATE)


def told(path):
    text = Path(path).read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    page = json.loads(found)
    kinds = {kind: [part for part in page["parts"] if part["kind"] == kind]
             for kind in ("table", "player")}  # fmt: skip
    return page, kinds["table"], kinds["player"]


def measure(call, tiny, *words):
    return call("evaluate", *words, "--data", "data", "--model", tiny, "--page")


def test_each_number_of_levels_is_heard(call, songs, tiny):
    done = measure(call, tiny, "vqvae", "--limit", 1)
    assert done.status == 0, done.err
    assert "evaluated/vqvae/index.html" in done.err
    page, tables, (player,) = told("evaluated/vqvae/index.html")
    assert page["title"] == "audiomask evaluate vqvae"
    assert player["title"] == "test/c"
    names = [track["name"] for track in player["tracks"]]
    assert names[:2] == ["original", "1 level"]
    assert "mel distance" in player["tracks"][1]["remark"]
    *shown, rows, about = tables
    titles = [table["title"] for table in shown]
    assert titles[:2] == ["Bitrate, kbit/s", "Mel distance (lower is better)"]
    for table in shown:  # the same as on standard output
        assert table["title"] in " ".join(done.out.decode().split())
    assert rows["title"] == f"Song by song ({len(rows['rows'])} rows)"
    assert [row[0] for row in rows["rows"]] == ["test/c"] * len(rows["rows"])
    assert ["split", "test"] in about["rows"]


def test_recorded_and_separated_stems_are_heard(call, songs, tiny):
    done = measure(call, tiny, "masks", "--limit", 1, "-o", "heard")
    assert done.status == 0, done.err
    _, _, (player,) = told("heard/index.html")
    names = [track["name"] for track in player["tracks"]]
    assert names[0] == "mixture"
    assert {"guitar, recorded", "guitar, separated"} < set(names)


def test_a_gap_of_each_length_is_heard(call, songs, tiny):
    words = ("--gap-length", 20, "--gap-length", 50, "--method", "ar", "--limit", 1)
    done = measure(call, tiny, "infill", *words)
    assert done.status == 0, done.err
    _, _, players = told("evaluated/infill/index.html")
    assert [re.sub("at .*", "", player["title"]) for player in players] == [
        "test/c: 20 ms ",
        "test/c: 50 ms ",
    ]
    for player in players:
        names = [track["name"] for track in player["tracks"]]
        # what is measured is the last, which is heard first
        assert names == ["original", "repeat", "autoregressive", "silence", "audiomask"]
        ((start, stop),) = player["regions"]
        assert player["start"] <= start < stop <= player["start"] + player["seconds"]


def test_a_model_without_a_sound_has_tables_alone(call, songs, tiny):
    done = measure(call, tiny, "mlm", "--split", "all", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["job"] == "mlm"
    page, tables, players = told("evaluated/mlm/index.html")
    assert len(tables) > 2
    assert players == []
    assert not any("listen" in note for note in page["notes"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-o", "there"), "-o is the folder of --page: add --page"),
        (("--page",), "evaluated/vqvae/index.html exists: add --overwrite"),
    ],
)
def test_what_is_refused(call, songs, tiny, words, why):
    Path("evaluated/vqvae").mkdir(parents=True)
    Path("evaluated/vqvae/index.html").write_text("mine")
    done = call("evaluate", "vqvae", "--data", "data", "--model", tiny, *words)
    assert done.status == 2
    assert why in done.error_line()
    assert Path("evaluated/vqvae/index.html").read_text() == "mine"


def test_examples_take_no_more_room_than_there_is(tmp_path):
    report = Report({"job": "masks"}, [])
    sounds = {str(number): torch.rand(1, 40 * 100) - 0.5 for number in range(10)}
    with EvaluationPage(tmp_path / "index.html", overwrite=False) as page:
        for number in range(20):  # of ten seconds each, the middle of forty
            page.add(Example(f"song {number}", sounds, 100))
        page.finish(report)
    made, _, players = told(tmp_path / "index.html")
    assert [player["title"] for player in players] == ["song 0", "song 1", "song 2"]
    assert (players[0]["start"], players[0]["seconds"]) == (15, 10)
    assert made["notes"][0].startswith("Examples to listen to: 3, the first")


def test_numbers_are_told_as_people_read_them(tmp_path):
    rows = [
        {"song": "a", "sdr": {"model": -1.25, "mixture": float("inf")}, "alone": True},
        {"song": "b", "si_sdr": float("nan")},
    ]
    with EvaluationPage(tmp_path / "index.html", overwrite=False) as page:
        page.finish(Report({"job": "masks", "rows": rows, "data": ["x", "y"]}, []))
    _, (table, about), _ = told(tmp_path / "index.html")
    assert table["headings"] == ["song", "sdr model", "sdr mixture", "alone", "si sdr"]
    assert table["rows"] == [["a", "−1.250", "∞", "yes", ""], ["b", "", "", "", "–"]]
    assert ["data", "x, y"] in about["rows"]
