"""The script that makes songs; a stand-in for fluidsynth plays them, so that none is needed."""

import importlib.util
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import mido
import numpy as np
import pytest
import soundfile as sf
import typer
import yaml
from typer.testing import CliRunner, Result

from audiomask.audio.files import AudioFile
from audiomask.data.bands import soundfont as fonts
from audiomask.data.layouts import recognize
from audiomask.errors import DataError
from audiomask.infill.detection.detect import detect_faults

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 44100

# Plays every note as a decaying sine; drums an octave and a half up.
STAND_IN = """#!{python}
import sys, mido, numpy as np, soundfile as sf
args = sys.argv[1:]
midi = mido.MidiFile(args[-1])
out = np.zeros((round((midi.length + 2.0) * 44100), 2), np.float32)
now = 0.0
for message in midi:
    now += message.time
    if message.type == "note_on" and message.velocity:
        t = np.arange(11025) / 44100
        tone = np.sin(2 * np.pi * 440 * 2 ** ((message.note - 69) / 12) * t) * np.exp(-9 * t)
        at = round(now * 44100)
        part = out[at : at + len(tone)]
        part += (0.01 * message.velocity / 127 * tone[: len(part), None]).astype(np.float32)
sf.write(args[args.index("-F") + 1], out, 44100, "FLOAT")
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_band", EXAMPLES / "render_band.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["render_band"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def font(tmp_path: Path) -> Path:
    """A file with a SoundFont's list of presets, and no sound."""
    presets = [(program, 0) for program in range(128)] + [(0, 128), (8, 128), (56, 128)]
    records = b"".join(
        struct.pack("<20sHHHIII", b"x", program, bank, 0, 0, 0, 0)
        for program, bank in [*presets, (0, 0)]
    )
    path = tmp_path / "tiny.sf2"
    path.write_bytes(b"RIFF\0\0\0\0sfbk" + b"phdr" + struct.pack("<I", len(records)) + records)
    return path


@pytest.fixture
def fluidsynth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in, first on the PATH."""
    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def run(script: ModuleType, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(script.main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.usefixtures("fluidsynth")
def test_songs_have_slakhs_layout(script: ModuleType, font: Path, tmp_path: Path) -> None:
    out = tmp_path / "band"
    result = run(script, out, "--songs", 3, "--seconds", 5, "--soundfont", font, "--seed", 4)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert sorted(p.name for p in out.iterdir()) == [f"Track{n:05d}" for n in (1, 2, 3)]
    for folder in out.iterdir():
        details = yaml.safe_load((folder / "metadata.yaml").read_text())
        assert set(details) == {
            "UUID", "audio_dir", "lmd_midi_dir", "midi_dir", "normalization_factor",
            "normalized", "overall_gain", "stems", "target_peak",
        }  # fmt: skip
        total = np.zeros((5 * RATE, 1), dtype=np.int32)
        for name, stem in details["stems"].items():
            assert set(stem) == {
                "audio_rendered", "inst_class", "integrated_loudness", "is_drum",
                "midi_program_name", "midi_saved", "plugin_name", "program_num",
            }  # fmt: skip
            audio, rate = sf.read(folder / "stems" / f"{name}.flac", dtype="int16", always_2d=True)
            assert rate == RATE
            assert np.abs(audio).max() > 50, "a silent stem"
            total += audio
            score = mido.MidiFile(folder / "MIDI" / f"{name}.mid")
            notes = [m for m in score if m.type == "note_on"]
            assert notes
            assert {m.channel == 9 for m in notes} == {stem["is_drum"]}
            assert stem["plugin_name"] == "tiny.sf2"
            assert (stem["program_num"] == 128) == stem["is_drum"]
        mix, _ = sf.read(folder / "mix.flac", dtype="int16", always_2d=True)
        assert np.array_equal(mix, total)
        assert 0.5 * 32767 < np.abs(total).max() < 0.9 * 32767
        assert sf.info(folder / "mix.flac").subtype == "PCM_16"
        assert len(mido.MidiFile(folder / "all_src.mid").tracks) == len(details["stems"])
    source = recognize(out)  # what training reads
    assert (source.layout, source.problems) == ("Slakh2100", ())
    assert [track.name for track in source.tracks] == [f"Track{n:05d}" for n in (1, 2, 3)]
    assert [track.seconds for track in source.tracks] == [5.0] * 3
    assert all(track.mixture == out / track.name / "mix.flac" for track in source.tracks)


@pytest.mark.slow
@pytest.mark.usefixtures("fluidsynth")
def test_same_seed_same_songs_and_finished_ones_are_kept(
    script: ModuleType, font: Path, tmp_path: Path
) -> None:
    options = ["--seconds", 3, "--soundfont", font]
    run(script, tmp_path / "a", "--songs", 2, "--jobs", 2, *options)
    run(script, tmp_path / "b", "--songs", 1, "--first", 2, "--jobs", 1, *options)
    assert contents(tmp_path / "a" / "Track00002") == contents(tmp_path / "b" / "Track00002")
    assert contents(tmp_path / "a" / "Track00001") != contents(tmp_path / "a" / "Track00002")
    other = run(script, tmp_path / "c", "--songs", 1, "--seed", 1, *options)
    assert other.exit_code == 0
    one, two = (sf.read(tmp_path / x / "Track00001" / "mix.flac")[0] for x in "ac")
    assert not np.array_equal(one, two)

    mark = tmp_path / "a" / "Track00001" / "mark"
    mark.touch()
    assert "2 kept" in run(script, tmp_path / "a", "--songs", 2, *options).stderr
    assert mark.exists()
    run(script, tmp_path / "a", "--songs", 2, "--overwrite", *options)
    assert not mark.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("fluidsynth")
def test_one_mix_as_wav_with_gaps(script: ModuleType, font: Path, tmp_path: Path) -> None:
    whole, gappy = tmp_path / "whole.wav", tmp_path / "gappy.wav"
    options = ["--seconds", 6, "--soundfont", font, "--stereo", "--full"]
    assert run(script, whole, *options).exit_code == 0
    assert run(script, gappy, *options, "--gap", "2:2.04", "--gap", "3:4").exit_code == 0
    first, rate = sf.read(whole, dtype="int16")
    second, _ = sf.read(gappy, dtype="int16")
    assert (rate, first.shape) == (RATE, (6 * RATE, 2))
    assert not np.array_equal(first[:, 0], first[:, 1]), "nothing is panned"
    first[2 * RATE : 2 * RATE + 1764] = 0
    first[3 * RATE : 4 * RATE] = 0
    assert np.array_equal(first, second)

    again = run(script, whole, *options)
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    assert "--overwrite" in again.stderr


@pytest.mark.usefixtures("fluidsynth")
def test_midi_files_are_arranged(script: ModuleType, font: Path, tmp_path: Path) -> None:
    score = mido.MidiTrack([mido.MetaMessage("track_name", name="PIANO")])
    for index in range(400):
        pitch = 48 + 12 * (index % 3) + (0, 4, 7, 5)[index // 8 % 4]
        score.append(mido.Message("note_on", note=pitch, velocity=80))
        score.append(mido.Message("note_on", note=pitch, velocity=0, time=240))
    (tmp_path / "midi").mkdir()
    mido.MidiFile(ticks_per_beat=480, tracks=[score]).save(tmp_path / "midi" / "tune.mid")
    options = ["--midi", tmp_path / "midi", "--songs", 1, "--seconds", 4, "--soundfont", font]
    result = run(script, tmp_path / "band", *options)
    assert result.exit_code == 0, result.output
    details = yaml.safe_load((tmp_path / "band" / "Track00001" / "metadata.yaml").read_text())
    assert details["lmd_midi_dir"] == "tune.mid"


def test_what_is_missing_is_said_in_one_line(
    script: ModuleType, font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "band"
    real = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(tmp_path))
    results = {"fluidsynth": run(script, out, "--soundfont", font)}
    (tmp_path / "fluidsynth").write_text("#!/bin/sh\necho out of memory >&2\nexit 3\n")
    (tmp_path / "fluidsynth").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{real}")
    results["none.sf2"] = run(script, out, "--soundfont", tmp_path / "none.sf2")
    results["is no SoundFont"] = run(script, out, "--soundfont", __file__)
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path / "nowhere"),))
    results["--soundfont"] = run(script, out)
    results["no .mid files"] = run(script, out, "--soundfont", font, "--midi", tmp_path)
    for word, result in results.items():
        assert result.exit_code == 1, word
        assert word in result.stderr
        assert result.stderr.count("\n") == 1
        assert not out.exists()
    usage = run(script, out, "--soundfont", font, "--gap", "1:2")
    assert (usage.exit_code, usage.stderr.count("\n")) == (2, 1)

    # a song that fails leaves nothing behind, and the others are tried
    failed = run(script, out, "--soundfont", font, "--songs", 2, "--seconds", 2)
    assert failed.exit_code == 1
    assert failed.stderr.count("out of memory") == 2
    assert list(out.iterdir()) == []


def test_a_soundfont_is_read_and_found(font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fonts.read_soundfont(font)
    assert found.programs == set(range(128))
    assert found.kits == {0, 8, 56}
    assert [kit for kit, _, _ in fonts.programs_for("drums", found)] == [0, 8]
    (font.parent / "link.sf3").symlink_to(font)
    monkeypatch.setattr(fonts, "FOLDERS", (str(font.parent),))
    assert [f.path for f in fonts.find_soundfonts()] == [font.resolve()]


def test_the_example_songs() -> None:
    song, rate = sf.read(EXAMPLES / "song.wav", dtype="int16")
    assert (rate, song.shape) == (RATE, (12 * RATE, 2))
    assert sf.info(EXAMPLES / "song.wav").subtype == "PCM_16"
    assert 20000 < np.abs(song.astype(int)).max() < 32767
    with AudioFile(EXAMPLES / "gap.wav") as file:
        gaps = [fault.gap for fault in detect_faults(file)]
    assert [(gap.start / RATE, gap.length / RATE) for gap in gaps] == [
        (2.5, 0.04),
        (5, 0.3),
        (8, 1),
    ]
    for gap in gaps:
        song[gap.start : gap.stop] = 0
    assert np.array_equal(song, sf.read(EXAMPLES / "gap.wav", dtype="int16")[0])


def test_the_real_fluidsynth_plays_every_stem(
    script: ModuleType, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    peer("fluidsynth")
    try:
        fonts.find_soundfonts()
    except DataError:
        pytest.skip("no General MIDI SoundFont is installed")
    result = run(script, tmp_path, "--songs", 1, "--seconds", 4, "--full")
    assert result.exit_code == 0, result.output
    stems = sorted((tmp_path / "Track00001" / "stems").iterdir())
    assert len(stems) == 4
    for stem in stems:
        audio, _ = sf.read(stem)
        assert np.sqrt(np.mean(audio**2)) > 1e-3
        assert np.abs(audio[-1]) < 1e-3, "the end is faded"
