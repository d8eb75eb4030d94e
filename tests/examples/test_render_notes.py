"""The note bank that a SoundFont becomes is one that training reads."""

import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

import render_notes  # noqa: E402


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "render_notes.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_notes_are_cut_apart_and_named_for_the_loader(tmp_path: Path, monkeypatch) -> None:
    from audiomask.training.data.notes import read_library

    rate = render_notes.SAMPLE_RATE

    def play(midi: object, font: Path, sample_rate: int, options: object) -> np.ndarray:
        """A font whose n-th note is a tone of n + 1 hundredths, and whose third is silent."""
        notes = len(render_notes.PITCHES["bass"]) * len(render_notes.VELOCITIES)
        audio = np.zeros((round(notes * render_notes.SPACING * rate), 2), dtype=np.float32)
        for number in range(notes):
            start = round(number * render_notes.SPACING * rate)
            if number != 2:
                audio[start : start + rate // 2] = 0.01 * (number + 1)
        return audio

    monkeypatch.setattr(render_notes, "play_midi", play)
    folder = tmp_path / "bass" / "font-033"
    written = render_notes.render_program("bass", 33, tmp_path / "font.sf2", folder)
    notes = read_library(folder).notes
    expected = len(render_notes.PITCHES["bass"]) * len(render_notes.VELOCITIES) - 1
    assert written == len(notes) == expected
    first = min(notes, key=lambda note: (note.pitch, note.velocity))
    assert first.pitch == render_notes.PITCHES["bass"][0]
    assert first.velocity == render_notes.VELOCITIES[0]
    assert abs(len(first.samples) - rate // 2) < 2000


def test_what_is_no_soundfont_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_text("no font")
    done = run(str(tmp_path / "bank"), "--soundfont", str(tmp_path / "font.sf2"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error" in done.stderr
