"""``audiomask evaluate`` from end to end, with tiny models on songs of a second."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44_100


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., None]:
    """``data("data/test/one/guitar.wav")``: files of some notes, each another's pitch."""

    def write(*files: str, seconds: float = 1.2) -> None:
        for number, file in enumerate(files):
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(round(seconds * RATE)) / RATE
            tone = np.sin(2 * np.pi * 110 * 2 ** (number / 3) * time) * np.exp(-5 * (time % 0.3))
            soundfile.write(path, 0.2 * tone + 0.002 * np.sin(9 * time), RATE)

    return write


SONGS = [f"data/{song}/{stem}.wav" for song in ("train/a", "train/b", "test/c", "test/d")
         for stem in ("guitar", "bass", "flute")]  # fmt: skip


@pytest.mark.slow
def test_separate_as_json(run, data, tiny):
    data(*SONGS)
    done = run("evaluate", "separate", "--data", "data", "--model", tiny, "--json", "--seconds", 1)
    assert done.status == 0, done.err
    assert done.err == ""
    found = json.loads(done.out)
    assert found["songs"] == ["test/c", "test/d"]
    assert found["method"] == "mask"
    for measure in ("si_sdr", "sdr"):
        for stem in ("guitar", "bass"):
            entry = found[measure]["stems"][stem]
            for name in ("mixture", "model", "improvement", "ratio_mask_improvement"):
                assert entry[name]["number"] == 2
            assert entry["ratio_mask_improvement"]["median"] > entry["improvement"]["median"]


def test_separate_by_tokens(call, data, tiny):
    data("data/test/c/guitar.wav", "data/test/c/bass.wav")
    found = {}
    for method in ("mask", "wiener", "tokens"):
        done = call("evaluate", "separate", "--data", "data", "--model", tiny, "--method", method)
        assert done.status == 0, done.err
        found[method] = done.out.decode()
        assert f"method: {method}" in found[method]
        assert "lowpass 200 Hz's improvement" in " ".join(found[method].split())
        assert "speed" in found[method]
    figures = {text.partition("method:")[0] for text in found.values()}
    assert len(figures) == 3


def test_masks_are_measured_as_what_separates(call, data, tiny):
    data("data/test/c/guitar.wav", "data/test/c/bass.wav")
    found = {}
    for job, model in (("masks", tiny / "masks"), ("masks", tiny), ("separate", tiny)):
        done = call("evaluate", job, "--data", "data", "--model", model, "--json")
        assert done.status == 0, done.err
        found[job, model] = json.loads(done.out)
        assert found[job, model]["job"] == job
    assert list(found["masks", tiny / "masks"]["checkpoints"]) == ["masks"]
    figures = [entry["si_sdr"] for entry in found.values()]
    assert figures[0] == figures[1] == figures[2]


def test_an_mlm_alone_is_told_what_it_lacks_and_what_it_can(call, data, tiny):
    data("data/test/c/guitar.wav", "data/test/c/bass.wav")
    asked = ("evaluate", "separate", "--data", "data", "--model", tiny / "mlm")
    done = call(*asked)
    assert done.status == 1
    assert "has no checkpoint 'masks' (audiomask train masks)" in done.error_line()
    assert "--method wiener or tokens separates" in done.error_line()
    assert call(*asked, "--method", "wiener").status == 0


def test_mlm_says_what_its_baselines_were_counted_on(call, data, tiny):
    data(*SONGS)
    done = call("evaluate", "mlm", "--data", "data", "--model", tiny, "--rounds", 1)
    assert done.status == 0, done.err
    out = done.out.decode()
    assert "2 songs of data, split test" in out
    assert "unigram and bigram: counted on 2 songs, the train split" in out
    assert "frames: bits a token" in out
    assert "all levels" in out


@pytest.mark.slow
def test_vqvae_and_infill_on_recordings(call, data, tiny):
    data("music/one.wav", "music/two.wav", "music/three.wav")
    common = ("--data", "music", "--model", tiny, "--split", "all", "--limit", 2)
    done = call("evaluate", "vqvae", *common, "--json", "--mono")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["songs"] == ["one", "three"]
    assert list(found["levels"]) == ["1 level", "2 levels", "silence"]
    done = call("evaluate", "infill", *common, "--gap-length", 30, "--gap-length", 60)
    assert done.status == 0, done.err
    out = done.out.decode()
    for method in ("audiomask", "repeat", "autoregressive", "silence"):
        assert f"60 ms, {method}" in out
    again = call("evaluate", "infill", *common, "--gap-length", 30, "--gap-length", 60)
    assert again.out == done.out


@pytest.mark.slow
def test_a_broken_song_is_named_and_the_others_are_measured(run, data, tiny, tmp_path):
    data(*SONGS)
    # a header that is in order, and no samples that are
    (tmp_path / "data/test/c/bass.wav").write_bytes(
        (tmp_path / "data/test/c/bass.wav").read_bytes()[:4000]
    )
    soundfile.write(tmp_path / "data/test/d/bass.wav", np.ones(RATE), RATE // 2)
    done = run(
        "evaluate", "separate", "--data", "data", "--model", tiny, "--json", "--split", "all"
    )
    assert done.status == 1
    found = json.loads(done.out)
    assert "test/d" in found["failed"]
    assert set(found["songs"]) >= {"train/a", "train/b"}
    assert "test/d" in done.err
    assert "of 4 files failed" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["mlm", "--data", "music"], 1, "--split all"),
        (["separate", "--data", "music", "--split", "all"], 1, "recordings alone"),
        (["masks", "--data", "music", "--split", "all"], 1, "recordings alone"),
        (["vqvae", "--data", "empty"], 1, "empty"),
        (["vqvae", "--data", "nowhere"], 2, "--data nowhere"),
        (["vqvae"], 2, "--data"),
        (["opus", "--data", "music"], 2, "opus"),
        (
            ["opus", "--data", "music"],
            2,
            "there are: vqvae, mlm, masks, spectrogram, wave, lm, infill",
        ),
        (["mlm", "--data", "music", "--split", "rest"], 2, "rest"),
        (["mlm", "--data", "music", "--gap-length", "20"], 2, "evaluate infill"),
        (["separate", "--data", "music", "--method", "ar"], 2, "mask, wiener, tokens"),
        (["infill", "--data", "music", "--split", "all", "--method", "mask"], 2, "auto, tokens"),
        (["vqvae", "--data", "music", "--split", "all", "--levels", "9"], 2, "1 to 2"),
        (["vqvae", "--data", "music", "--limit", "0"], 2, "--limit"),
    ],
)
def test_what_cannot_be_measured_is_one_line(call, data, tiny, tmp_path, arguments, status, words):
    data("music/one.wav")
    (tmp_path / "empty").mkdir()
    done = call("evaluate", *arguments, "--model", tiny)
    assert done.status == status
    assert words in done.error_line()
    assert done.out == b""
