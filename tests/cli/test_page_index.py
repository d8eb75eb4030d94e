"""``--page`` of tokens, and the list of the pages of several files."""

import json
import re
from pathlib import Path

import pytest
import torch

from audiomask.tokens import load_tokens


def told(path):
    text = Path(path).read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    return json.loads(found)


def listed(path):
    """The rows of a list of pages: the address, and cells by heading, by the file's name."""
    (table,) = told(path)["parts"]
    rows = {}
    for first, *cells in table["rows"]:
        name, address = first if isinstance(first, list) else (first, None)
        rows[name] = (address, dict(zip(table["headings"][1:], cells, strict=True)))
    return rows


def test_a_page_of_tokens(invoke, wav, listing):
    wav("song.wav", seconds=1.5)
    done = invoke("tokenize", "song.wav", "--page")
    assert done.status == 0
    assert "song.tokens.html" in done.err
    assert listing() == ["song.tokens.html", "song.tokens.safetensors", "song.wav"]
    page = told("song.tokens.html")
    assert (page["title"], page["notes"]) == ("song.wav", ["Both are played equally loud."])
    (player,) = page["parts"]
    assert dict(player["facts"]) == {
        "length": "0:02",
        "channels": "2",
        "levels": "4",
        "frames": "130",
        "codes in a level": "1,024",
        "kbit/s": "6.93",
    }
    assert [track["name"] for track in player["tracks"]] == ["original", "resynthesis"]
    assert all(track["alone"] for track in player["tracks"])
    # noise at a quarter of full scale, and half of full scale: only the louder is made softer
    assert min(track["gain"] for track in player["tracks"]) < 1
    assert max(track["gain"] for track in player["tracks"]) == 1
    assert [one["name"] for one in player["maps"]] == ["tokens, left", "tokens, right"]
    assert player["maps"][0]["remark"] == "codes used: 1, 1, 1, 1"


@pytest.mark.parametrize(
    ("channels", "words", "names"),
    [
        (1, (), ["tokens"]),
        (2, ("--stereo", "mid-side"), ["tokens of the middle", "tokens of the sides"]),
    ],
)
def test_channels_have_names(invoke, wav, channels, words, names):
    wav("song.wav", channels=channels)
    assert invoke("tokenize", "song.wav", "--page", "--levels", "1", *words).status == 0
    (player,) = told("song.tokens.html")["parts"]
    assert [one["name"] for one in player["maps"]] == names
    assert player["maps"][0]["remark"] == "codes used: 1"


def test_of_a_long_recording_the_beginning_is_shown(invoke, wav, monkeypatch):
    import audiomask.cli.token_page

    monkeypatch.setattr(audiomask.cli.token_page, "MOST_SECONDS", 1.5)
    wav("song.wav", seconds=3)
    assert invoke("tokenize", "song.wav", "--page").status == 0
    page = told("song.tokens.html")
    (player,) = page["parts"]
    assert player["seconds"] == 1.5
    assert "Shown are the first 0.025 minutes." in page["notes"]
    assert dict(player["facts"])["length"] == "0:03"


def test_a_missing_page_of_tokens_is_made_later(invoke, wav):
    wav("song.wav")
    assert invoke("tokenize", "song.wav").status == 0
    before = Path("song.tokens.safetensors").read_bytes()
    assert invoke("tokenize", "song.wav", "--page", "--skip-existing").status == 0
    assert Path("song.tokens.safetensors").read_bytes() == before
    assert len(told("song.tokens.html")["parts"][0]["tracks"]) == 2


def test_a_page_of_what_tokens_sound_like(invoke, wav, listing):
    wav("a/song.wav", seconds=1)
    assert invoke("tokenize", "a/song.wav", "-o", "song.tokens.safetensors").status == 0
    assert invoke("detokenize", "song.tokens.safetensors", "--page").status == 0
    assert {"song.wav", "song.html"} < set(listing())
    page = told("song.html")
    (player,) = page["parts"]
    assert [track["name"] for track in player["tracks"]] == ["resynthesis"]
    assert len(player["maps"]) == 2
    assert page["notes"] == []
    # the page alone, later
    Path("song.html").unlink()
    words = ("detokenize", "song.tokens.safetensors", "--page", "--skip-existing")
    assert invoke(*words).status == 0
    assert Path("song.html").exists()


def test_semantic_tokens_have_no_sound(tmp_path):
    from audiomask.audio.source import MemorySource
    from audiomask.cli.token_page import TokenPage
    from audiomask.tokens import Tokens

    codes = torch.arange(44, dtype=torch.int16)[None, None]
    tokens = Tokens(codes, 44100, 44100 * 2, 2048, 500, "abc", 44100, kind="semantic")
    with TokenPage(tmp_path / "page.html", "song", tokens, False) as page:
        page.add_original(MemorySource(torch.rand(2, 88200) - 0.5, 44100))
        page.add_decoded(None)
        page.finish()
    shown = told(tmp_path / "page.html")
    (player,) = shown["parts"]
    assert [track["name"] for track in player["tracks"]] == ["original"]
    assert player["maps"][0]["remark"] == "codes used: 44"
    assert shown["notes"][0].startswith("These tokens tell what sounds")


def test_a_list_of_separated_songs(invoke, folder, engine):
    engine.playing = ("guitar",)
    folder("a", "b & c/d", seconds=1.5)
    Path("in/bad.wav").write_text("no audio")
    words = ("separate", "in", "-o", "out", "--stem", "guitar", "--stem", "bass", "--page")
    assert invoke(*words).status == 1
    page = told("out/index.html")
    assert page["title"] == "audiomask separate"
    assert page["notes"] == ["2 of 3 files done. Each has a page to listen to."]
    rows = listed("out/index.html")
    assert list(rows) == ["a.wav", "bad.wav", "b & c/d.wav"]
    address, cells = rows["b & c/d.wav"]
    assert address == "b%20%26%20c/d/index.html"
    assert cells["length"] == "0:02"
    assert re.fullmatch(r"−\d+ dB, plays 100%", cells["guitar"])
    assert cells["bass"] == "not found in this song"
    assert rows["bad.wav"] == (None, {"length": "not done", "guitar": "", "bass": ""})


def test_a_list_of_repaired_recordings(invoke, folder):
    folder("a", "b", seconds=2)
    words = ("infill", "in", "--gap", "0.5:0.6", "--gap", "1:1.05", "--page")
    assert invoke(*words).status == 0
    # without -o it lies where the results are
    rows = listed("in/index.html")
    assert rows["a.wav"] == (
        "a.infilled.html",
        {
            "length": "0:02",
            "gaps filled": "2",
            "seconds filled": "0.150",
            "filled by": "auto 2",
            "left alone": "0",
        },
    )


def test_a_list_of_tokens_in_text(invoke, folder):
    folder("a", "more/b")
    assert invoke("tokenize", "in", "-o", "out", "--format", "text", "--page").status == 0
    rows = listed("out/index.html")
    assert rows["more/b.wav"][0] == "more/b.tokens.html"
    assert rows["more/b.wav"][1]["levels"] == "4"
    assert load_tokens(Path("out/a.tokens.txt")).levels == 4


def test_a_later_run_lists_all(invoke, folder, wav):
    folder("a", "b")
    assert invoke("tokenize", "in", "-o", "out", "--page").status == 0
    wav("in/c.wav")
    again = ("tokenize", "in", "-o", "out", "--page")
    done = invoke(*again)
    assert done.status == 2
    assert "out/index.html exists: add --overwrite or --skip-existing" in done.error_line()
    assert invoke(*again, "--skip-existing").status == 0
    assert [address for address, _ in listed("out/index.html").values()] == [
        "a.tokens.html",
        "b.tokens.html",
        "c.tokens.html",
    ]


def test_what_is_no_list_is_kept(invoke, folder, listing):
    folder("a")
    Path("out").mkdir()
    Path("out/index.html").write_text("my home page")
    words = ("tokenize", "in", "-o", "out", "--page")
    done = invoke(*words, "--skip-existing")
    assert done.status == 2
    assert "out/index.html is no list of pages: add --overwrite" in done.error_line()
    assert listing() == ["in/a.wav", "out/index.html"]
    assert invoke(*words, "--overwrite").status == 0
    assert list(listed("out/index.html")) == ["a.wav"]


def test_a_list_and_a_page_do_not_share_a_name(invoke, folder, listing):
    folder("a")
    words = ("separate", "in", "-o", "out", "--page", "--template", "{stem}.{ext}")
    done = invoke(*words)
    assert done.status == 2
    assert "the list of pages and a result of in/a.wav would both be written" in done.error_line()
    assert listing() == ["in/a.wav"]


def test_one_file_has_no_list(invoke, wav, listing):
    wav("a.wav")
    assert invoke("tokenize", "a.wav", "-o", "out/", "--page").status == 0
    assert listing() == ["a.wav", "out/a.tokens.html", "out/a.tokens.safetensors"]


def test_tokens_to_standard_output_have_no_page(invoke, wav, listing):
    wav("a.wav")
    for command in (("tokenize", "a.wav"), ("detokenize", "a.wav")):
        done = invoke(*command, "-o", "-", "--page")
        assert done.status == 2
        assert "--page is written beside" in done.error_line()
    assert listing() == ["a.wav"]
