"""Semantic tokens: their rate, their windows, and files of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_spectrogram import SMALL

from audiomask.audio.source import MemorySource
from audiomask.codec.semantic import semantic_tokens
from audiomask.engine import Engine
from audiomask.errors import CheckpointError, TokensError
from audiomask.networks.spectrogram import build_spectrogram
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.tokens import SEMANTIC, Format, load_tokens, save_tokens

CPU, RATE, HOP = torch.device("cpu"), SMALL["sample_rate"], SMALL["hop_length"]


@pytest.fixture(scope="module")
def model() -> SpectrogramModel:
    torch.manual_seed(0)
    found = build_spectrogram("default", SMALL).eval()
    with torch.no_grad():
        features = found.semantic_features(torch.rand(4, 48, 16))
    found.semantic_clusters.find(features.flatten(0, 1))
    return found


def music(seconds: float, channels: int = 1, rate: int = RATE) -> MemorySource:
    draw = torch.Generator().manual_seed(0)
    loud = torch.linspace(0, 40, round(seconds * rate)).sin().square()
    return MemorySource(0.1 * loud * torch.randn(channels, len(loud), generator=draw), rate)


@pytest.mark.parametrize("seconds", [0.05, 1.0, 3.3])
def test_a_token_for_every_other_frame(model: SpectrogramModel, seconds: float) -> None:
    source = music(seconds, channels=2, rate=11_025)
    tokens = semantic_tokens(model, source, CPU, "abc")
    tokens.validate()
    assert tokens.codes.shape == (1, 1, -(-round(seconds * RATE) // (2 * HOP)))
    assert (tokens.kind, tokens.fingerprint, tokens.codebook_size) == (SEMANTIC, "abc", 6)
    assert (tokens.sample_rate, tokens.num_samples) == (11_025, source.frames)
    assert len(tokens.codes.unique()) > 1 or seconds < 1


def test_codes_are_those_of_a_window_around_them(model: SpectrogramModel) -> None:
    source = music(5.0)
    codes = semantic_tokens(model, source, CPU, "abc").codes[0, 0].long()
    # the third window's middle half: tokens 24 to 36, of a window of 24 from 18 on
    samples = source.read(18 * 2 * HOP, 42 * 2 * HOP)[0]
    power = BandSpectrum(model.config)(samples)
    features = compress(power, reference(power), model.config.exponent)
    with torch.no_grad():
        expected = model.semantic_clusters(model.semantic_features(features[None]))[0]
    assert torch.equal(codes[24:36], expected[6:18])


def test_progress_is_the_whole_recording(model: SpectrogramModel) -> None:
    done: list[float] = []
    semantic_tokens(model, music(3.3), CPU, "abc", done.append)
    assert sum(done) == pytest.approx(3.3, abs=1e-3)
    assert len(done) > 2


@pytest.mark.parametrize(("format", "name"), [("safetensors", "a.safetensors"), ("text", "a.txt")])
def test_files_tell_what_they_are(
    model: SpectrogramModel, format: Format, name: str, tmp_path: Path
) -> None:
    tokens = semantic_tokens(model, music(2.0), CPU, "abc")
    save_tokens(tokens, tmp_path / name, format)
    found = load_tokens(tmp_path / name)
    assert torch.equal(found.codes, tokens.codes)
    assert (found.kind, found.fingerprint, found.hop_length) == (SEMANTIC, "abc", 2 * HOP)
    # files of before have no kind, and those of a VQ-VAE still have none
    save_tokens(replace(tokens, kind="acoustic"), tmp_path / f"b-{name}", format)
    assert b"kind" in (tmp_path / name).read_bytes()
    assert b"kind" not in (tmp_path / f"b-{name}").read_bytes()
    assert load_tokens(tmp_path / f"b-{name}").kind == "acoustic"


def test_a_kind_that_nobody_knows(model: SpectrogramModel) -> None:
    tokens = replace(semantic_tokens(model, music(1.0), CPU, "abc"), kind="smell")
    with pytest.raises(TokensError, match="kind is 'smell', not acoustic or semantic"):
        tokens.validate()


def test_no_sound_is_made_of_them(model: SpectrogramModel, tiny: Path) -> None:
    tokens = semantic_tokens(model, music(1.0), CPU, "abc")
    with pytest.raises(TokensError, match="these are semantic tokens"):
        list(Engine(tiny, "cpu").detokenize(tokens))


def test_a_model_whose_training_has_not_ended(tiny: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no semantic clusters.*--resume its run"):
        Engine(tiny, "cpu").tokenize_semantic(music(1.0))
