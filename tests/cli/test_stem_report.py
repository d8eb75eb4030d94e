"""``separate --quality``, ``--report`` and ``--labels``: what is asked of the engine and told."""

import json
from pathlib import Path

import pytest


def told(path="told.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_the_quality_is_handed_on(invoke, wav, engine):
    wav("song.wav")
    for quality in ("fast", "normal", "best"):
        assert invoke("separate", "song.wav", "--quality", quality, "--overwrite").status == 0
    assert invoke("separate", "song.wav", "--overwrite").status == 0
    assert engine.qualities == ["fast", "normal", "best", "normal"]


def test_a_line_a_stem_and_second(invoke, wav, engine):
    engine.playing = ("guitar",)
    wav("song.wav", seconds=2.5)
    done = invoke("separate", "song.wav", "--stem", "guitar", "--stem", "bass", "--report",
                  "new/told.jsonl")  # fmt: skip
    assert done.status == 0
    lines = told("new/told.jsonl")
    assert [(line["stem"], line["start"], line["end"]) for line in lines] == [
        (stem, *span) for stem in ("guitar", "bass") for span in ((0, 1), (1, 2), (2, 2.5))
    ]
    assert lines[0] == {
        "file": "song.wav", "stem": "guitar", "start": 0.0, "end": 1.0, "plays": True,
        "activity": 0.9, "confidence": 0.5, "level_db": -6.0,
    }  # fmt: skip
    assert lines[3]["plays"] is False
    assert lines[3]["level_db"] == -120.0
    assert "bass: not found in this song" in done.err
    assert "guitar: not" not in done.err


def test_labels_are_passages_that_play(invoke, wav, engine):
    engine.playing = ("guitar",)
    wav("song.wav", seconds=2.5)
    assert invoke("separate", "song.wav", "--labels", "told.txt").status == 0
    assert Path("told.txt").read_text() == "0.000000\t2.500000\tguitar\n"


def test_a_folder_is_told_in_order_with_its_failures(invoke, wav):
    for name in "abc":
        wav(f"in/{name}.wav")
    Path("in/b.wav").write_text("no sound")
    assert invoke("separate", "in", "--report", "told.jsonl").status == 1
    lines = told()
    assert list(dict.fromkeys(line["file"] for line in lines)) == [f"in/{n}.wav" for n in "abc"]
    (failed,) = [line for line in lines if "error" in line]
    assert failed["file"] == "in/b.wav"
    # a run that goes on tells what was missing, and keeps what was told
    wav("in/b.wav")
    assert invoke("separate", "in", "--report", "told.jsonl", "--skip-existing").status == 0
    assert not any("error" in line for line in told())
    assert len(told()) == len(lines) - 1 + (len(lines) - 1) // 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--report", "told.wav"), "end its name with .jsonl"),
        (("--report", "song.wav"), "end its name with .jsonl"),
        (("--labels", "in"), "name a file"),
        (("--method", "tokens", "--report", "told.jsonl"), "--report needs the masks"),
        (("--method", "wiener", "--labels", "told.txt"), "--labels needs the masks"),
        (("--method", "tokens", "--quality", "best"), "--quality applies to masks only"),
        (("in", "--labels", "told.txt"), "--labels takes one song"),
    ],
)
def test_what_is_refused(invoke, wav, engine, given, words):
    for name in ("song.wav", "in/a.wav", "in/b.wav"):
        wav(name)
    done = invoke("separate", "song.wav", *given)
    assert done.status == 2
    assert words in done.error_line()
    assert not engine.asked


def test_a_report_is_not_replaced_unasked(invoke, wav):
    wav("song.wav")
    Path("told.jsonl").write_text("mine\n")
    assert invoke("separate", "song.wav", "--report", "told.jsonl").status == 2
    assert Path("told.jsonl").read_text() == "mine\n"
    done = invoke("separate", "song.wav", "--report", "told.jsonl", "--skip-existing")
    assert done.status == 2
    assert "line 1 is not from a report of separate" in done.error_line()
    assert invoke("separate", "song.wav", "--report", "told.jsonl", "--overwrite").status == 0
