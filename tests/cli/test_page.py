"""``--page`` of ``separate`` and ``infill``: where it lies, what it says, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile


def told(path):
    text = Path(path).read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', text)
    page = json.loads(found)
    page["players"] = [part for part in page["parts"] if part["kind"] == "player"]
    return page


def tracks(path):
    (player,) = told(path)["players"]
    return player["tracks"]


def test_a_mixer_beside_the_stems(invoke, wav, listing, engine):
    engine.playing = ("guitar",)
    wav("song.wav", seconds=1.5)
    done = invoke("separate", "song.wav", "--stem", "guitar", "--stem", "bass", "--residual",
                  "--page")  # fmt: skip
    assert done.status == 0
    assert "separated/song/index.html" in done.err
    assert listing() == [
        *(f"separated/song/{n}" for n in ("bass.wav", "guitar.wav", "index.html", "residual.wav")),
        "song.wav",
    ]
    found = tracks("separated/song/index.html")
    assert [track["name"] for track in found] == ["original", "guitar", "bass", "residual"]
    assert [track["alone"] for track in found] == [True, False, False, False]
    assert found[1]["lanes"] == {"activity": [0.9, 0.9], "confidence": [0.5, 0.5]}
    assert found[1]["remark"] == "plays for 2 of 2 s"
    assert found[2]["remark"] == "not found in this song"
    assert found[3]["lanes"] == {}


def test_a_page_of_a_song_without_a_stem(invoke, wav, listing):
    wav("song.wav")
    assert invoke("separate", "song.wav", "--minus", "bass", "--page").status == 0
    assert listing() == ["separated/song (no bass).wav", "separated/song/index.html", "song.wav"]
    found = {track["name"]: track["alone"] for track in tracks("separated/song/index.html")}
    assert found == {"original": True, "bass": False, "no bass": False}
    again = ("separate", "song.wav", "--stem", "all", "--minus", "bass", "--page", "--overwrite")
    assert invoke(*again).status == 0
    found = {track["name"]: track["alone"] for track in tracks("separated/song/index.html")}
    assert [name for name, alone in found.items() if alone] == ["original", "no bass"]


def test_templates_name_the_page(invoke, wav):
    wav("a <b>.wav")
    words = ("separate", "a <b>.wav", "--stem", "bass", "--page", "-o", "out")
    assert invoke(*words, "--template", "{track}-{stem}.flac").status == 0
    assert told("out/a <b>-index.html")["title"] == "a <b>"


def test_tokens_have_no_lanes(invoke, wav):
    wav("song.wav")
    words = ("separate", "song.wav", "--method", "tokens", "--page")
    assert invoke(*words).status == 0
    assert all(track["lanes"] == {} for track in tracks("separated/song/index.html"))


def test_a_missing_page_is_made_later(invoke, wav, contents):
    wav("in/a.wav")
    wav("in/b.wav")
    assert invoke("separate", "in", "-o", "out").status == 0
    before = contents(Path("out"))
    assert invoke("separate", "in", "-o", "out", "--page", "--skip-existing").status == 0
    after = contents(Path("out"))
    assert set(after) - set(before) == {"a/index.html", "b/index.html", "index.html"}
    assert {name: after[name] for name in before} == before
    assert len(tracks("out/a/index.html")) == 5


def test_long_songs_play_the_files_beside(invoke, wav, monkeypatch):
    import audiomask.page.tracks

    monkeypatch.setattr(audiomask.page.tracks, "EMBEDDED_SECONDS", 0.5)
    wav("music/my #1.wav")
    words = ("separate", "music/my #1.wav", "--stem", "bass", "--minus", "drums", "--page")
    assert invoke(*words, "--residual", "-o", "out").status == 0
    found = {track["name"]: track["address"] for track in tracks("out/my #1/index.html")}
    # drums have no file of their own
    assert found == {
        "original": "../../music/my%20%231.wav",
        "bass": "bass.wav",
        "residual": "residual.wav",
        "no drums": "../my%20%231%20%28no%20drums%29.wav",
    }
    assert "audio-0" not in Path("out/my #1/index.html").read_text()


def holed(path, *spans):
    samples, rate = soundfile.read(path, dtype="int16")
    for start, stop in spans:
        samples[start:stop] = 0
    soundfile.write(path, samples, rate)


def test_gaps_before_and_after(invoke, wav, listing):
    holed(wav("song.wav", seconds=6), (88200, 92610), (220500, 224910))
    done = invoke("infill", "song.wav", "--page")
    assert done.status == 0
    assert listing() == ["song.infilled.html", "song.infilled.wav", "song.wav"]
    page = told("song.infilled.html")
    first, second = page["players"]
    assert first["title"] == "0:02.000 – 0:02.100"
    assert (first["start"], first["seconds"]) == (0, pytest.approx(4.1))
    assert second["regions"] == [[5, pytest.approx(5.1)]]
    assert [track["name"] for track in first["tracks"]] == ["before", "after"]
    assert dict(first["facts"]) == {"length": "0.100 s", "kind": "silence", "filled by": "auto"}
    # the filling is at half of full scale
    peaks = [track["level"] for track in first["tracks"]]
    assert peaks[1] > peaks[0]


def test_no_gaps_and_rests(invoke, wav):
    wav("song.wav")
    assert invoke("infill", "song.wav", "--page").status == 0
    page = told("song.infilled.html")
    assert (page["players"], page["notes"]) == ([], ["No gaps were filled."])
    holed(wav("rest.wav", seconds=3), (44100, 88200 + 4410))
    assert invoke("infill", "rest.wav", "--page").status == 0
    (note,) = told("rest.infilled.html")["notes"][1:]
    assert note.startswith("Left alone: 0:01.000 – 0:02.100, silence: ")


def test_of_many_gaps_the_longest_are_shown(invoke, wav, monkeypatch):
    import audiomask.cli.gap_page

    monkeypatch.setattr(audiomask.cli.gap_page, "MOST_GAPS", 2)
    wav("song.wav", seconds=2)
    gaps = ("--gap", "0.5:0.52", "--gap", "1:1.01", "--gap", "1.5:1.53")
    assert invoke("infill", "song.wav", "--page", *gaps).status == 0
    page = told("song.infilled.html")
    titles = [player["title"] for player in page["players"]]
    assert titles == ["0:00.500 – 0:00.520", "0:01.500 – 0:01.530"]
    assert "Shown are the 2 longest of 3 gaps." in page["notes"]


def test_a_missing_page_of_gaps_is_made_later(invoke, wav):
    holed(wav("song.wav", seconds=2), (44100, 48510))
    words = ("infill", "song.wav", "--report", "told.jsonl", "--skip-existing")
    assert invoke(*words).status == 0
    before, _ = soundfile.read("song.infilled.wav")
    assert invoke(*words, "--page").status == 0
    assert len(told("song.infilled.html")["players"]) == 1
    after, _ = soundfile.read("song.infilled.wav")
    assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("separate", "song.wav", "--stem", "bass", "-o", "-"), "--page is written beside"),
        (("infill", "song.wav", "-o", "-"), "--page is written beside"),
        (("infill", "song.wav", "--dry-run"), "--page plays what was filled"),
        (("infill", "song.wav", "--after", "1"), "--page"),
    ],
)
def test_what_is_refused(invoke, wav, listing, words, why):
    wav("song.wav")
    done = invoke(*words, "--page")
    assert done.status == 2
    assert why in done.error_line()
    assert listing() == ["song.wav"]


def test_a_page_that_exists_is_kept(invoke, wav):
    wav("song.wav")
    Path("song.infilled.html").write_text("mine")
    done = invoke("infill", "song.wav", "--page")
    assert done.status == 2
    assert "song.infilled.html exists: add --overwrite" in done.error_line()
    assert Path("song.infilled.html").read_text() == "mine"
