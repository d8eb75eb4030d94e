"""SoundFonts become note banks, once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomask.data.bands import fonts
from audiomask.data.bands.notes import read_library
from audiomask.data.bands.soundfont import SoundFont
from audiomask.errors import DataError

NOTES = len(fonts.PITCHES["bass"]) * len(fonts.VELOCITIES)


@pytest.fixture
def font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A font of one bass: its n-th note is a tone of n + 1 hundredths, its third is silent."""

    def play(midi: Any, font: Path, sample_rate: int, options: Any) -> np.ndarray[Any, Any]:
        audio = np.zeros((round(NOTES * fonts.SPACING * sample_rate), 2), dtype=np.float32)
        for number in range(NOTES):
            start = round(number * fonts.SPACING * sample_rate)
            if number != 2:
                audio[start : start + sample_rate // 2] = 0.01 * (number + 1)
        return audio

    monkeypatch.setattr(fonts, "play_midi", play)
    monkeypatch.setattr(fonts, "require_fluidsynth", lambda: None)
    monkeypatch.setattr(
        fonts, "read_soundfont", lambda path: SoundFont(path, frozenset({33}), frozenset())
    )
    file = tmp_path / "My Font.sf2"
    file.write_bytes(b"font")
    return file


def test_notes_are_cut_apart_and_named_for_the_loader(font: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bass" / "font-033"
    written = fonts.render_program("bass", 33, font, folder)
    notes = read_library(folder).notes
    assert written == len(notes) == NOTES - 1
    first = min(notes, key=lambda note: (note.pitch, note.velocity))
    assert first.pitch == fonts.PITCHES["bass"][0]
    assert first.velocity == fonts.VELOCITIES[0]
    assert abs(len(first.samples) - 22_050) < 2_000


def test_a_font_is_rendered_once_and_again_when_it_changes(
    font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    libraries = fonts.render_fonts([font], cache)
    assert [path.name for path in libraries] == ["My Font-033"]
    assert [path.parent.name for path in libraries] == ["bass"]
    assert len(read_library(libraries[0]).notes) == NOTES - 1
    rendered = []
    monkeypatch.setattr(fonts, "render_program", lambda *which: rendered.append(which) or 0)
    assert fonts.render_fonts([font], cache) == libraries
    assert not rendered
    monkeypatch.undo()
    assert len(list((cache / "fonts").iterdir())) == 1  # nothing half-made beside it


def test_a_failure_leaves_nothing(
    font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*which: Any) -> int:
        raise DataError("fluidsynth: no")

    monkeypatch.setattr(fonts, "render_program", fail)
    with pytest.raises(DataError, match="fluidsynth: no"):
        fonts.render_fonts([font], tmp_path / "cache")
    assert list((tmp_path / "cache" / "fonts").iterdir()) == []


def test_a_font_needs_somewhere_to_keep_its_notes(font: Path) -> None:
    with pytest.raises(DataError, match="add --cache"):
        fonts.render_fonts([font], None)
