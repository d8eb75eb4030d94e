"""The script that lets espeak-ng sing; where that or pyworld is missing, only its refusals run."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
import typer
from typer.testing import CliRunner, Result

from audiomask.data.layouts import recognize
from audiomask.data.layouts.splits import library_key

SCRIPT = Path(__file__).parents[2] / "examples" / "sing_notes.py"
RATE = 44100
PITCHES = {"high": (60, 67), "low": (48, 55), "speech": (60,)}
WORDS = dict.fromkeys(("en", "it", "de", "es"), "la du no so")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with few pitches and words."""
    spec = importlib.util.spec_from_file_location("sing_notes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "sing_notes", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PITCHES", PITCHES)
    monkeypatch.setattr(module, "WORDS", WORDS)
    return module


@pytest.fixture
def tools(peer: Callable[[str], str]) -> None:
    """Skips a test that cannot make sounds."""
    peer("espeak-ng")
    pytest.importorskip("pyworld", exc_type=ImportError)


def run(script: ModuleType, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(script.main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sounds(bank: Path) -> dict[str, npt.NDArray[np.float64]]:
    return {str(f.relative_to(bank)): sf.read(f)[0] for f in sorted(bank.rglob("*.ogg"))}


def pitch_of(audio: npt.NDArray[np.float64], lowest: float = 60, highest: float = 1000) -> float:
    """The MIDI pitch at which the middle of a sound resembles itself most."""
    middle = audio[len(audio) // 3 : len(audio) // 3 + 6000]
    power = np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2
    likeness = np.fft.irfft(power) / np.arange(2 * len(middle), 0, -1)  # fewer samples overlap
    lags = np.arange(int(RATE / highest), int(RATE / lowest))
    best = likeness[lags].max()
    lag = lags[np.argmax(likeness[lags] > 0.95 * best)]  # the first, not one of its multiples
    while likeness[lag + 1] > likeness[lag]:
        lag += 1
    return float(69 + 12 * np.log2(RATE / lag / 440))


@pytest.mark.usefixtures("tools")
def test_voices_sing_the_notes_they_are_named_after(script: ModuleType, tmp_path: Path) -> None:
    result = run(script, tmp_path, "--voices", 1, "--speakers", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    source = recognize(tmp_path)  # what training reads
    assert (source.layout, source.problems) == ("note bank", ())
    voice = tmp_path / "other" / "voice1-001"
    assert [folder for folder, _ in source.libraries] == [voice.with_name("speech1-001"), voice]

    notes = sounds(voice)
    assert list(notes) == [f"{p:03d}_v{v:03d}.ogg" for p in (60, 67) for v in (16, 48, 80, 112)]
    for audio in sounds(tmp_path).values():
        assert audio.ndim == 1
        assert len(audio) > 0.1 * RATE
        assert 0.3 < np.abs(audio).max() < 0.7
        assert np.abs(audio[-10:]).max() < 0.01, "the end is faded"
    away = [pitch_of(audio) - int(name[:3]) for name, audio in notes.items()]
    assert np.abs(away).max() < 0.7, away


@pytest.mark.usefixtures("tools")
def test_same_seed_same_voices(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PITCHES", dict.fromkeys(PITCHES, (60,)))
    for name, *options in (("a", "--jobs", 2), ("b", "--jobs", 1), ("c", "--seed", 5)):
        run(script, tmp_path / name, "--voices", 1, "--speakers", 1, *options)
    a, b, c = (sounds(tmp_path / name) for name in "abc")
    assert len(a) == 8
    assert a.keys() == b.keys() == c.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not any(np.array_equal(a[name], c[name]) for name in a)


def test_families_and_what_is_kept(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beep(number: int, seed: int) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
        yield f"{60 + number:03d}_v{seed:03d}", np.sin(np.arange(8000) / 20)

    for name, stand_in in {"sing_notes": beep, "speak_notes": beep, "world": lambda: None}.items():
        monkeypatch.setattr(script, name, stand_in)
    monkeypatch.setattr(script.shutil, "which", str)
    first = run(script, tmp_path, "--voices", 4, "--speakers", 5, "--seed", 7)
    assert first.exit_code == 0, first.output
    assert "9 notes" in first.stderr
    again = run(script, tmp_path, "--voices", 5, "--speakers", 5, "--seed", 8)
    assert "1 notes" in again.stderr
    assert "9 voices existed" in again.stderr
    assert list(sounds(tmp_path / "other")) == [
        "speech1-001/060_v007.ogg", "speech1-002/061_v007.ogg", "speech1-003/062_v007.ogg",
        "speech1-004/063_v007.ogg", "speech2-001/064_v007.ogg", "voice1-001/060_v007.ogg",
        "voice1-002/061_v007.ogg", "voice1-003/062_v007.ogg", "voice2-001/063_v007.ogg",
        "voice2-002/064_v008.ogg",
    ]  # fmt: skip
    keys = {library_key(folder) for folder, _ in recognize(tmp_path).libraries}
    assert keys == {"speech1", "speech2", "voice1", "voice2"}


def test_what_is_missing_is_said_in_one_line(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "espeak-ng"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setitem(sys.modules, "pyworld", None)
    results = {"the espeak-ng command is missing": run(script, tmp_path / "bank")}
    program.write_text("#!/bin/sh\necho no such voice >&2\nexit 1\n")
    program.chmod(0o755)
    results["pip install pyworld"] = run(script, tmp_path / "bank")
    assert not (tmp_path / "bank").exists()

    # a voice that fails leaves nothing behind
    monkeypatch.setitem(sys.modules, "pyworld", ModuleType("pyworld"))
    results["no such voice"] = run(script, tmp_path / "bank", "--voices", 1, "--speakers", 1)
    assert list((tmp_path / "bank" / "other").iterdir()) == []
    for words, result in results.items():
        assert result.exit_code == 1, words
        assert words in result.stderr
        assert "sing_notes: error" in result.stderr
        assert result.stderr.count("\n") == (2 if words == "no such voice" else 1), "and a bar"
