"""``audiomask info``: what is installed, and what files and checkpoints hold."""

import json
import shutil

import numpy as np
import pytest
import soundfile

import audiomask


def facts(done):
    """The lines of ``--json``, parsed."""
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.out.decode().splitlines()]


def test_without_inputs_it_tells_what_is_installed(call, tiny):
    (told,) = facts(call("info", "--model", tiny, "--json"))
    assert (told["name"], told["version"]) == ("audiomask", audiomask.__version__)
    assert told["device"].startswith(("cpu", "cuda"))
    assert told["checkpoints"] == str(tiny)
    assert list(told["models"]) == ["vqvae", "mlm", "masks", "spectrogram", "wave"]
    assert all("M parameters" in line for line in told["models"].values())
    ffmpeg = shutil.which("ffmpeg")
    assert told["ffmpeg"] == (ffmpeg or "not installed")
    text = call("info", "--model", tiny).out.decode()
    assert text.startswith("audiomask\n  version ")


def test_a_recording_with_tags(call, tmp_path):
    with soundfile.SoundFile("song.flac", "w", 48000, 2, "PCM_24") as file:
        file.title = "Söng\nof two lines"
        file.write(np.full((4800, 2), 0.1))
    (told,) = facts(call("info", "song.flac", "--json"))
    assert told["format"] == "FLAC PCM_24"
    assert (told["seconds"], told["samples"], told["channels"]) == (0.1, 4800, 2)
    assert told["tags"]["TITLE"] == "Söng\nof two lines"
    lines = call("info", "song.flac").out.decode().splitlines()
    assert "  tags TITLE     Söng of two lines" in lines


def test_a_token_file(call, wav, tiny):
    wav("song.wav", seconds=0.5)
    assert call("tokenize", "song.wav", "--model", tiny).status == 0
    assert call("tokenize", "song.wav", "--model", tiny, "--format", "text").status == 0
    for name in ("song.tokens.safetensors", "song.tokens.txt"):
        (told,) = facts(call("info", name, "--json"))
        (vqvae,) = facts(call("info", tiny / "vqvae", "--json"))
        assert told["fingerprint"] == vqvae["fingerprint"]
        assert (told["seconds"], told["channels"]) == (0.5, 2)


def test_checkpoints_alone_and_in_a_folder(call, tiny):
    (masks,) = facts(call("info", tiny / "masks", "--json"))
    assert masks["kind"] == "masks"
    assert masks["config"]["stems"] == ["guitar", "bass"]
    assert masks["parameters"] > 1000
    (several,) = facts(call("info", tiny, "--json"))
    assert set(several) == {"name", "vqvae", "mlm", "masks", "spectrogram", "wave"}
    assert several["masks"]["fingerprint"] == masks["fingerprint"]
    assert several["mlm"]["requires"] == {"vqvae": several["vqvae"]["fingerprint"]}


def test_standard_input(run, wav):
    place = wav("song.wav")
    done = run("info", "-", stdin=place.read_bytes())
    assert done.status == 0, done.err
    assert done.out.decode().splitlines()[0] == "standard input"


def test_what_cannot_be_read_fails_and_the_others_are_told(call, wav, tmp_path):
    wav("song.wav")
    (tmp_path / "empty").mkdir()
    done = call("info", "nowhere.wav", "song.wav", "empty")
    assert done.status == 1
    errors = done.err.splitlines()
    assert len(errors) == 2
    assert "nowhere.wav" in errors[0]
    assert "empty: not a checkpoint" in errors[1]
    assert done.out.decode().splitlines()[0] == "song.wav"


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_checkpoints_are_refused(call, tiny, tmp_path, damage):
    shutil.copytree(tiny / "masks", tmp_path / "masks")
    weights = tmp_path / "masks" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    if damage == "truncated":
        data = data[:-10]
    else:
        data[-1] ^= 1
    weights.write_bytes(data)
    done = call("info", "masks")
    assert done.status == 1
    assert "truncated or altered" in done.error_line()
