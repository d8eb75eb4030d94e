"""The Python API: names that come when they are asked for, whole recordings in one call."""

import importlib.metadata
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

import audiomask
from audiomask import Engine, Gap, MemorySource, TokenDataset, Tokens
from audiomask.errors import CheckpointError, TokensError, UsageError

RATE = 44100


@pytest.fixture(scope="module")
def engine(tiny):
    return Engine(str(tiny))


@pytest.fixture
def song(tmp_path):
    """Samples [2, T], and the file that holds them."""
    time = torch.arange(round(0.6 * RATE)) / RATE
    notes = 0.2 * torch.sin(2 * torch.pi * torch.tensor([[110.0], [220.0]]) * time)
    noise = 0.02 * torch.randn(notes.shape, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "song.wav"
    soundfile.write(path, (notes + noise).T.numpy(), RATE, "FLOAT")
    return notes + noise, path


def test_import_is_light():
    code = "import sys, audiomask; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", audiomask.__all__)
def test_every_name_is_there(name):
    assert getattr(audiomask, name) is not None
    assert name in dir(audiomask)


def test_unknown_name():
    with pytest.raises(AttributeError, match="nonsense"):
        audiomask.nonsense  # noqa: B018


def test_version_is_the_installed_one():
    assert audiomask.__version__ == importlib.metadata.version("audiomask")


@pytest.mark.parametrize("first", ["", "import audiomask.infill.gaps", "audiomask.Engine"])
def test_infill_is_called_whatever_was_imported_before(first):
    code = f"import audiomask\n{first}\nassert callable(audiomask.infill)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Separation


def test_stems_of_files_arrays_and_tensors_are_the_same(engine, song):
    samples, path = song
    stems = audiomask.separate(path, engine=engine)
    assert list(stems) == ["guitar", "bass"]
    assert stems.sample_rate == RATE
    for audio in (samples, samples.numpy(), samples.double()):
        again = audiomask.separate(audio, ["guitar"], sample_rate=RATE, engine=engine)
        assert list(again) == ["guitar"]
        assert torch.equal(again["guitar"], stems["guitar"])
    text = audiomask.separate(str(path), "guitar", engine=engine)
    assert torch.equal(text["guitar"], stems["guitar"])


def test_one_channel_may_be_flat(engine, song):
    mono = song[0][0]
    flat = audiomask.separate(mono, "bass", sample_rate=RATE, engine=engine)["bass"]
    row = audiomask.separate(mono[None], "bass", sample_rate=RATE, engine=engine)["bass"]
    assert flat.shape == mono.shape
    assert torch.equal(flat, row[0])


def test_integers_are_at_full_scale(engine, song):
    whole = (song[0] * 2**15).round().short()
    made = audiomask.separate(whole, "bass", sample_rate=RATE, engine=engine)["bass"]
    same = whole.float() / 2**15
    expected = audiomask.separate(same, "bass", sample_rate=RATE, engine=engine)["bass"]
    assert torch.equal(made, expected)


def test_stems_residual_and_minus_sum_to_the_song(engine, song):
    samples, path = song
    found = audiomask.separate(path, ["guitar"], residual=True, minus="bass", engine=engine)
    assert list(found) == ["guitar", "residual", "no bass"]
    assert (found["guitar"] + found["residual"] - samples).abs().max() < 1e-5
    bass = audiomask.separate(path, "bass", engine=engine)["bass"]
    assert (bass + found["no bass"] - samples).abs().max() < 1e-5


def test_stems_are_saved(engine, song, tmp_path):
    stems = audiomask.separate(song[1], engine=engine)
    stems.save(tmp_path / "stems", "flac")
    assert sorted(p.name for p in (tmp_path / "stems").iterdir()) == ["bass.flac", "guitar.flac"]
    assert soundfile.info(tmp_path / "stems" / "bass.flac").frames == song[0].shape[1]


# Infill


def test_gaps_are_pairs_of_seconds_or_of_samples(engine, song):
    samples, path = song
    start, stop = round(0.2 * RATE), round(0.25 * RATE)
    filled, rate = audiomask.infill(path, [(0.2, 0.25)], engine=engine)
    assert rate == RATE
    fade = round(0.02 * RATE)
    assert torch.equal(filled[:, : start - fade], samples[:, : start - fade])
    assert torch.equal(filled[:, stop + fade :], samples[:, stop + fade :])
    assert not torch.equal(filled[:, start:stop], samples[:, start:stop])
    same = audiomask.infill(samples, [Gap(start, stop)], sample_rate=RATE, engine=engine)
    assert torch.equal(same.samples, filled)


def test_a_gap_of_one_channel_leaves_the_other(engine, song):
    samples, _ = song
    gap = Gap(10_000, 12_000, (1,))
    filled = audiomask.infill(samples, [gap], sample_rate=RATE, engine=engine).samples
    assert torch.equal(filled[0], samples[0])
    assert not torch.equal(filled[1], samples[1])


def test_damage_is_found_in_files(engine, song, tmp_path):
    damaged = song[0].clone()
    damaged[:, 10_000:11_000] = 0
    path = tmp_path / "damaged.wav"
    soundfile.write(path, damaged.T.numpy(), RATE, "FLOAT")
    filled = audiomask.infill(path, engine=engine)
    assert filled.samples[:, 10_100:10_900].abs().mean() > 0.05
    filled.save(tmp_path / "filled.wav", "FLOAT")
    assert np.array_equal(soundfile.read(tmp_path / "filled.wav")[0].T, filled.samples.numpy())
    with pytest.raises(UsageError, match="in files only"):
        audiomask.infill(damaged, sample_rate=RATE, engine=engine)


# Tokens


def test_tokens_go_to_files_and_back(engine, song, tmp_path):
    samples, path = song
    tokens = audiomask.tokenize(path, engine=engine)
    assert torch.equal(tokens.codes, engine.tokenize(MemorySource(samples, RATE)).codes)
    for name in ("song.tokens.safetensors", "song.tokens.txt"):
        tokens.save(tmp_path / name)
        assert torch.equal(Tokens.load(str(tmp_path / name)).codes, tokens.codes)
    sound, rate = audiomask.detokenize(tokens, engine=engine)
    assert (sound.shape, rate) == (samples.shape, RATE)
    again = audiomask.detokenize(tmp_path / "song.tokens.txt", engine=engine)
    assert torch.equal(again.samples, sound)


def test_token_files_are_a_dataset(engine, song, tmp_path):
    samples, _ = song
    for name, length in (("a", 26_000), ("b/c", 20_000)):
        tokens = audiomask.tokenize(samples[:, :length], sample_rate=RATE, engine=engine)
        (tmp_path / "tokens" / name).parent.mkdir(parents=True, exist_ok=True)
        tokens.save(tmp_path / "tokens" / f"{name}.tokens.txt")
    whole = TokenDataset(tmp_path / "tokens")
    assert [codes.shape[0] for codes in whole] == [2, 2]
    windows = TokenDataset(tmp_path / "tokens", frames=8)
    expected = [
        codes[channel, :, start : start + 8]
        for codes in whole
        for channel in range(2)
        for start in range(0, codes.shape[-1] - 7, 8)
    ]
    assert len(windows) == len(expected) > 8
    assert all(map(torch.equal, windows, expected))
    assert torch.equal(windows[-1], expected[-1])
    batch = next(iter(DataLoader(windows, batch_size=4)))
    assert batch.shape == (4, whole[0].shape[1], 8)
    with pytest.raises(IndexError):
        windows[len(windows)]


def test_tokens_of_different_models_are_no_dataset(engine, song, tmp_path):
    tokens = audiomask.tokenize(song[1], engine=engine)
    tokens.save(tmp_path / "a.tokens.txt")
    audiomask.tokenize(song[1], levels=1, engine=engine).save(tmp_path / "b.tokens.txt")
    with pytest.raises(TokensError, match=r"b\.tokens\.txt: 1 levels"):
        TokenDataset(tmp_path)
    with pytest.raises(TokensError, match="no token files"):
        TokenDataset(tmp_path / "nowhere")


# Engines


def test_engines_are_pickled_and_go_to_other_processes(engine, song, tmp_path):
    again = pickle.loads(pickle.dumps(engine))
    assert again.library.folder == engine.library.folder
    one, other = (audiomask.separate(song[1], "bass", engine=e)["bass"] for e in (engine, again))
    assert torch.equal(one, other)
    kept = tmp_path / "engine"
    kept.write_bytes(pickle.dumps(engine))
    code = "import pickle, sys; print(*pickle.load(open(sys.argv[1], 'rb')).stems())"
    words = [sys.executable, "-c", code, str(kept)]
    other_process = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert other_process.stdout.split() == ["guitar", "bass"]


def test_an_engine_of_a_folder(tiny):
    assert Engine.from_pretrained(tiny).stems() == ("guitar", "bass")
    with pytest.raises(CheckpointError, match="nowhere"):
        Engine.from_pretrained("nowhere").stems()


# What is refused


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, e: audiomask.separate(x, engine=e), "need their sample_rate"),
        (lambda x, e: audiomask.separate(x.T, sample_rate=RATE, engine=e), r"not \[T, channels\]"),
        (lambda x, e: audiomask.separate(x[None], sample_rate=RATE, engine=e), r"\[1, 2, 26460\]"),
        (lambda x, e: audiomask.separate(x[:, :0], sample_rate=RATE, engine=e), "and some"),
        (lambda x, e: audiomask.separate(x > 0, sample_rate=RATE, engine=e), "not torch.bool"),
        (lambda x, e: audiomask.separate(x, "flute", sample_rate=RATE, engine=e), "'flute'"),
        (lambda x, e: audiomask.separate("a.wav", sample_rate=RATE, engine=e), "has its own"),
        (lambda x, e: audiomask.infill(x, [(0.5, 9)], sample_rate=RATE, engine=e), "gap 0.5:9"),
        (
            lambda x, e: audiomask.infill(x, [Gap(0, 10**6)], sample_rate=RATE, engine=e),
            "outside the recording",
        ),
    ],
)
def test_what_cannot_be_says_why(engine, song, call, words):
    with pytest.raises(UsageError, match=words):
        call(song[0], engine)


def test_a_missing_file_is_named(engine):
    with pytest.raises(audiomask.errors.AudioFileError, match=r"nowhere\.wav"):
        audiomask.tokenize(Path("nowhere.wav"), engine=engine)
