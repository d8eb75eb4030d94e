"""``tokenize --kind semantic``: names, formats, and what is refused."""

from pathlib import Path

import pytest
import torch
from tiny_spectrogram import GRID, SMALL

from audiomask.networks.spectrogram import build_spectrogram
from audiomask.tokens import load_tokens
from models import save


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spectrogram model that has semantic clusters."""
    folder = tmp_path_factory.mktemp("hearing")
    torch.manual_seed(0)
    model = build_spectrogram("default", SMALL | GRID)
    with torch.no_grad():
        features = model.semantic_features(torch.rand(8, 24, 16))
    model.semantic_clusters.find(features.flatten(0, 1))
    save(folder, "spectrogram", model)
    return folder


def test_both_formats_have_the_same_codes_and_say_what_they_are(call, wav, listing, hearing):
    wav("song.wav", seconds=2.0)
    common = ("--kind", "semantic", "--model", hearing, "--device", "cpu", "-q")
    assert call("tokenize", "song.wav", *common).status == 0
    assert call("tokenize", "song.wav", "--format", "text", *common).status == 0
    names = ["song.semantic.tokens.safetensors", "song.semantic.tokens.txt"]
    assert listing() == [*names, "song.wav"]
    first, second = map(load_tokens, names)
    assert torch.equal(first.codes, second.codes)
    assert first.kind == second.kind == "semantic"
    assert first.codes.shape == (1, 1, 44)  # of 88 200 samples, 2048 for each
    assert first.codebook_size == 6
    assert "# kind: semantic\n" in Path(names[1]).read_text()
    done = call("detokenize", names[0], "--model", hearing, "--device", "cpu", "-q")
    assert done.status == 1
    assert "these are semantic tokens, of which no sound can be made" in done.error_line()


def test_levels_and_stereo_are_of_the_other_kind(invoke, wav, listing):
    wav("song.wav")
    for words in (["--levels", "1"], ["--stereo", "mid-side"]):
        done = invoke("tokenize", "song.wav", "--kind", "semantic", *words)
        assert done.status == 2
        assert "--levels and --stereo belong to --kind acoustic" in done.error_line()
    assert listing() == ["song.wav"]


def test_a_model_that_cannot_is_named(call, wav, tiny):
    wav("song.wav")
    for folder, told in ((tiny, "has no semantic clusters"), (tiny / "masks", "'spectrogram'")):
        done = call("tokenize", "song.wav", "--kind", "semantic", "--model", folder, "-q")
        assert done.status == 1
        assert told in done.error_line()
