"""``audiomask separate``: what it asks of the engine, what it refuses, and its guarantees."""

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100
BITS = {"PCM_16": 16, "PCM_24": 24}


@pytest.fixture
def music(tmp_path):
    """``music("in/a.wav", 48000, 2, "PCM_24")``: some 0.4 s of notes and noise, as written."""

    def write(name, rate=RATE, channels=2, subtype="PCM_16", frames=None, gain=1.0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = round(0.4 * rate) + 7 if frames is None else frames
        time = np.arange(frames)[:, None] / rate
        notes = np.sin(2 * np.pi * 110 * np.arange(1, channels + 1) * time) * np.exp(-3 * time)
        noise = np.random.default_rng(rate).standard_normal((frames, channels))
        soundfile.write(path, gain * (0.3 * notes + 0.03 * noise), rate, subtype)
        return soundfile.read(path, always_2d=True)[0]

    return write


def stems_of(folder):
    """Every file of a folder of stems by its name, [T, C] each."""
    return {p.stem: soundfile.read(p, always_2d=True)[0] for p in sorted(Path(folder).iterdir())}


def worst(stems, mixture, subtype):
    """How far the stems' sum is from the mixture, as a part of what is allowed."""
    step = 2.0 ** (1 - BITS[subtype]) if subtype in BITS else 1e-4
    return np.abs(sum(stems.values()) - mixture).max() / step


# What is asked of the engine


def test_the_method_is_handed_on(invoke, wav, engine):
    wav("song.wav")
    assert invoke("separate", "song.wav", "--stem", "bass").status == 0
    for method in ("mask", "wiener", "tokens"):
        done = invoke("separate", "song.wav", "--stem", "bass", "--method", method, "--overwrite")
        assert done.status == 0
    methods = ("mask", "mask", "wiener", "tokens")
    assert engine.asked == [(("bass",), False, method) for method in methods]


def test_stems_are_those_of_the_method(invoke, wav, engine, monkeypatch):
    wav("song.wav")
    known = {"mask": ("voice", "choir"), "wiener": ("guitar",), "tokens": ("guitar",)}
    monkeypatch.setattr(engine, "stems", lambda self, method: known[method])
    for method, stems in known.items():
        assert invoke("separate", "song.wav", "--method", method, "-o", method).status == 0
        assert engine.asked[-1] == (stems, False, method)
    done = invoke("separate", "song.wav", "--stem", "guitar")
    assert done.status == 2
    assert "unknown stem 'guitar': choose from voice, choir, or all" in done.error_line()


def test_stems_are_written_as_loud_as_they_are_made(invoke, music):
    loud = music("loud.wav", subtype="FLOAT", gain=2.5)
    soft = music("soft.wav", gain=0.01)
    assert invoke("separate", "loud.wav", "soft.wav", "--stem", "bass").status == 0
    for name, mixture in (("loud", loud), ("soft", soft)):
        stem = stems_of(f"separated/{name}")["bass"]
        assert np.abs(stem - 0.5 * mixture).max() <= 0.5 / 2**15


def test_what_is_left_lacks_the_stems_that_are_skipped(call, music, tiny):
    music("song.wav")
    arguments = ("separate", "song.wav", "--stem", "guitar", "--residual", "--model", tiny)
    assert call(*arguments).status == 0
    rest = Path("separated/song/residual.wav")
    whole = rest.read_bytes()
    rest.unlink()
    done = call(*arguments, "--skip-existing")
    assert done.status == 0, done.err
    assert "-> separated/song/residual.wav (" in done.err
    assert rest.read_bytes() == whole


# What is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "ear"], "ear"),
        (["--template", "{track}/{stem}.aiff"], "--format from wav, flac, mp3, ogg"),
        (["--template", "{stem}.wav", "--format", "flac"], "names .wav files"),
        (["--stem", "residual"], "--residual writes the rest"),
        (["--stem", "bass", "--format", "flac", "--subtype", "FLOAT"], "FLAC cannot store FLOAT"),
        (["--stem", "bass", "-o", "-", "--format", "flac"], "takes only WAV"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(invoke, wav, listing, arguments, words):
    wav("song.wav")
    done = invoke("separate", "song.wav", *arguments)
    assert done.status == 2
    assert words in done.error_line()
    assert done.out == b""
    assert listing() == ["song.wav"]


@pytest.mark.parametrize(("rate", "channels"), [(96000, 2), (RATE, 6)])
def test_what_mp3_cannot_hold_is_one_line(invoke, music, listing, rate, channels):
    music("song.wav", rate, channels)
    done = invoke("separate", "song.wav", "--stem", "bass", "--format", "mp3")
    assert done.status == 1
    assert "bass.mp3" in done.error_line()
    assert listing() == ["song.wav"]


# Formats


@pytest.mark.parametrize(
    ("ext", "container", "subtype"),
    [
        ("wav", "WAV", "PCM_24"),
        ("flac", "FLAC", "PCM_24"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
        ("ogg", "OGG", "VORBIS"),
    ],
)
def test_every_format_keeps_rate_channels_and_length(invoke, music, ext, container, subtype):
    mixture = music("song.wav", 48000, 2, "PCM_24")
    assert invoke("separate", "song.wav", "--stem", "drums", "--format", ext).status == 0
    info = soundfile.info(f"separated/song/drums.{ext}")
    assert (info.format, info.subtype) == (container, subtype)
    assert (info.samplerate, info.channels, info.frames) == (48000, 2, len(mixture))
    stem = stems_of("separated/song")["drums"]
    # lossy ones too hold this sound, at its level and in its place
    assert np.corrcoef(stem[:, 0], mixture[:, 0])[0, 1] > 0.95
    assert np.sqrt(np.mean(stem**2) / np.mean(mixture**2)) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("method", "subtype"),
    # what a model that knows nothing makes of tokens may clip: then nothing sums to the song
    [
        *(("mask", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT")),
        *(("wiener", subtype) for subtype in ("PCM_16", "FLOAT")),
        ("tokens", "FLOAT"),
    ],
)
def test_stems_and_what_is_left_sum_to_the_song(call, music, tiny, method, subtype):
    mixture = music("song.wav", subtype="PCM_24", gain=0.1)
    done = call(
        *("separate", "song.wav", "--stem", "all", "--residual", "--subtype", subtype),
        *("--method", method, "--model", tiny),
    )
    assert done.status == 0, done.err
    assert "clipped" not in done.err
    stems = stems_of("separated/song")
    assert list(stems) == ["bass", "guitar", "residual"]
    assert all(soundfile.info(p).subtype == subtype for p in Path("separated/song").iterdir())
    assert all(stem.shape == mixture.shape and stem.any() for stem in stems.values())
    assert worst(stems, mixture, subtype) <= 1.001


def test_the_methods_differ(call, music, tiny):
    music("song.wav")
    found = []
    for method in ("mask", "wiener", "tokens"):
        arguments = ("--stem", "bass", "--method", method, "-o", method, "--model", tiny)
        assert call("separate", "song.wav", *arguments).status == 0
        found.append(stems_of(f"{method}/song")["bass"])
    for one, other in itertools.combinations(found, 2):
        assert np.abs(one - other).max() > 1e-3


# What there is


@pytest.mark.parametrize("itself", [False, True])
def test_masks_alone_separate(call, music, tiny, tmp_path, itself):
    mixture = music("song.wav")
    shutil.copytree(tiny / "masks", tmp_path / "models" / "masks")
    model = "models/masks" if itself else "models"
    done = call("separate", "song.wav", "--residual", "--model", model)
    assert done.status == 0, done.err
    assert worst(stems_of("separated/song"), mixture, "PCM_16") <= 1.001
    done = call("separate", "song.wav", "--model", model, "--method", "tokens", "-o", "other")
    assert done.status == 1
    assert "has no checkpoint 'mlm', which this needs (it has: masks)" in done.error_line()


def test_without_masks_it_is_said_what_separates(call, music, tiny, tmp_path, listing):
    music("song.wav")
    for kind in ("vqvae", "mlm"):
        shutil.copytree(tiny / kind, tmp_path / "models" / kind)
    before = listing()
    done = call("separate", "song.wav", "--model", "models")
    assert done.status == 1
    assert done.error_line() == (
        "audiomask: error: models: has no checkpoint 'masks' (audiomask train masks); "
        "with its mlm --method wiener or tokens separates"
    )
    assert listing() == before
    for method in ("wiener", "tokens"):
        arguments = ("--method", method, "-o", method, "--model", "models")
        assert call("separate", "song.wav", *arguments).status == 0


def test_a_checkpoint_of_version_0_1_is_one_line(call, music, tiny, tmp_path):
    music("song.wav")
    file = shutil.copytree(tiny, tmp_path / "models") / "mlm" / "config.json"
    entries = json.loads(file.read_text()) | {"format": 1}
    entries["vqvae"] = entries.pop("requires")["vqvae"]
    file.write_text(json.dumps(entries))
    done = call("separate", "song.wav", "--method", "wiener", "--model", "models")
    assert done.status == 1
    assert "is of audiomask 0.1, whose mlm held the masks too; train it anew" in done.error_line()


def test_clipped_stems_are_told_of(call, music, tiny):
    # 18 dB over full scale: a third of it for every stem is still too loud for whole numbers
    music("song.wav", subtype="FLOAT", gain=24.0)
    done = call("separate", "song.wav", "--model", tiny, "--subtype", "PCM_16", "-q")
    assert done.status == 0
    for stem, audio in stems_of("separated/song").items():
        full = int((np.abs(audio) >= 1 - 2**-15).sum())
        assert full > 100
        told = re.search(rf"separated/song/{stem}\.wav: (\d+) samples were clipped", done.err)
        assert told is not None, done.err
        assert int(told[1]) == pytest.approx(full, rel=0.01)
    done = call("separate", "song.wav", "--model", tiny, "-q", "--overwrite")
    assert done.err == ""


# The installed command


@pytest.mark.slow
def test_any_rate_and_channels_and_one_bad_file_among_them(run, music, tiny, tmp_path):
    songs = {
        "low.wav": (8000, 1, "PCM_16"),
        "half.flac": (22050, 2, "PCM_24"),
        "surround.wav": (48000, 6, "PCM_24"),
        "live/high.wav": (96000, 2, "FLOAT"),
        "live/top.flac": (192000, 1, "PCM_16"),
    }
    mixtures = {name: music(f"in/{name}", *form) for name, form in songs.items()}
    songs["one.wav"] = (RATE, 2, "PCM_16")
    mixtures["one.wav"] = music("in/one.wav", frames=1)
    (tmp_path / "in/live/bad.wav").write_text("la la la\n")
    done = run("separate", "in", "-o", "out", "--residual", "--model", tiny)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "1 of 7 files failed" in done.err
    assert done.err.splitlines()[-2].startswith("in/live/bad.wav ")
    for name, (rate, channels, subtype) in songs.items():
        folder = (tmp_path / "out" / name).with_suffix("")
        stems = stems_of(folder)
        assert list(stems) == ["bass", "guitar", "residual"]
        for path in folder.iterdir():
            info = soundfile.info(path)
            assert (info.format, info.subtype) == ("WAV", subtype)
            assert (info.samplerate, info.channels) == (rate, channels)
            assert info.frames == len(mixtures[name])
        assert worst(stems, mixtures[name], subtype) <= 1.001
    assert not (tmp_path / "out/live/bad").exists()


@pytest.mark.slow
def test_progress_is_in_seconds_of_audio(script, wav, tiny, tmp_path):
    wav("song.wav", seconds=60.0, channels=1)
    leader, follower = os.openpty()
    started = subprocess.Popen(
        [script, "separate", "song.wav", "--stem", "bass", "--model", str(tiny)],
        stderr=follower,
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 4096):
            shown += part
    except OSError:  # its other end was closed
        pass
    os.close(leader)
    assert started.wait(timeout=60) == 0
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    done = [float(number) for number in re.findall(r"([\d.]+) of 60\.0 s", plain)]
    assert done == sorted(done)
    assert any(0 < number < 60 for number in done)
    assert "song.wav -> separated/song/bass.wav (60.0 s of audio in " in plain
