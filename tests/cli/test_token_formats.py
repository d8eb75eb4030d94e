"""The endings and formats of token files, and names that promise something else."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomask.tokens import load_tokens


@pytest.mark.slow
def test_an_array_by_its_name_its_format_and_through_a_pipe(run, wav, tiny):
    wav("song.wav")
    common = ("--model", tiny, "--device", "cpu", "-q")
    for words in (("-o", "a.npy"), ("--format", "npy"), ("-o", "out/", "--format", "npy")):
        done = run("tokenize", "song.wav", *words, *common)
        assert (done.status, done.err) == (0, "")
    piped = run("tokenize", "song.wav", "-o", "-", "--format", "npy", *common)
    run("tokenize", "song.wav", *common)
    folder = Path(wav("song.wav")).parent
    codes = np.load(folder / "a.npy", allow_pickle=False)
    assert codes.dtype == np.int16
    assert codes.flags.c_contiguous
    tokens = load_tokens(folder / "song.tokens.safetensors")
    assert torch.equal(torch.from_numpy(codes), tokens.codes)
    assert codes.shape == (2, 2, tokens.frames)
    assert np.array_equal(np.load(io.BytesIO(piped.out), allow_pickle=False), codes)
    for name in ("song.tokens.npy", "out/song.tokens.npy"):
        assert (folder / name).read_bytes() == (folder / "a.npy").read_bytes()
    done = run("detokenize", "a.npy", "-o", "back.wav", *common)
    assert done.status == 1
    assert "a.npy: is a NumPy array, which holds codes alone" in done.error_line()
    assert ".safetensors or .txt" in done.error_line()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "a.pt"], "a.pt: tokens are written as .safetensors, .txt, .npy"),
        (["-o", "a.npz"], "a.npz: tokens are written as"),
        (["-o", "a.json", "--format", "text"], "a.json: tokens are written as"),
        (["-o", "a.wav"], "a.wav: tokens are written as"),
        (["-o", "a.txt", "--format", "npy"], "--format npy writes .npy, not .txt"),
        (["-o", "a.NPY", "--format", "text"], "--format text writes .txt, not .npy"),
        (
            ["-o", "a.npy", "--format", "safetensors"],
            "--format safetensors writes .safetensors, not .npy",
        ),
    ],
)
def test_names_that_promise_something_else(invoke, wav, listing, words, told):
    wav("song.wav")
    done = invoke("tokenize", "song.wav", *words, "--overwrite")
    assert done.status == 2
    assert told in done.error_line()
    assert listing() == ["song.wav"]


def test_names_that_promise_nothing(invoke, wav):
    wav("in/song.wav")
    for place in ("plain", "folder.npy/", os.devnull):
        assert invoke("tokenize", "in/song.wav", "-o", place, "--overwrite").status == 0
    assert load_tokens("plain").levels == 4
    assert load_tokens("folder.npy/song.tokens.safetensors").levels == 4
    Path("other.txt").mkdir()
    assert invoke("tokenize", "in", "-o", "other.txt").status == 0
    assert load_tokens("other.txt/song.tokens.safetensors").levels == 4


@pytest.mark.parametrize("name", ["{track}-{stem}.txt", "{track}-{stem}.xyz", "{stem}.npy"])
def test_stems_are_no_other_kind_of_file(invoke, wav, name, listing):
    wav("song.wav")
    done = invoke("separate", "song.wav", "--template", name)
    assert done.status == 2
    assert "end it with .{ext}" in done.error_line()
    assert listing() == ["song.wav"]
    for fine in ("{track}.{stem}", "{stem} of take 1.2"):
        assert invoke("separate", "song.wav", "--template", fine).status == 0


@pytest.mark.parametrize("name", ["told.wav", "told.FLAC", "told.npy"])
def test_a_report_is_no_recording(invoke, wav, name, listing):
    wav("song.wav")
    done = invoke("infill", "song.wav", "--report", name)
    assert done.status == 2
    assert "end its name with .jsonl" in done.error_line()
    assert listing() == ["song.wav"]
