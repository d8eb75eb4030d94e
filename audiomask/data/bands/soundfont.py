"""SoundFonts: their programs, their usual folders, and rendering by the fluidsynth command."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import soundfile as sf

from audiomask.errors import DataError, why

if TYPE_CHECKING:
    import mido

#: folders of SoundFonts on Linux, macOS and Homebrew
FOLDERS = (
    "/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts",
    "/usr/local/share/soundfonts", "/usr/local/share/sounds/sf2", "/usr/local/share/fluidsynth",
    "/opt/homebrew/share/soundfonts", "/opt/homebrew/share/sounds/sf2",
    "/opt/homebrew/share/fluid-synth/sf2", "/usr/local/share/fluid-synth/sf2",
    "~/Library/Audio/Sounds/Banks", "~/.local/share/soundfonts", "~/.local/share/sounds/sf2",
)  # fmt: skip
#: by stem: first General MIDI program, Slakh2100's instrument class, names of the programs
_PROGRAMS: dict[str, list[tuple[int, str, str]]] = {
    "piano": [(0, "Piano", "Acoustic Grand Piano,Bright Acoustic Piano,Electric Grand Piano,"
               "Honky-tonk Piano,Electric Piano 1,Electric Piano 2,Harpsichord,Clavinet")],
    "guitar": [(24, "Guitar", "Acoustic Guitar (nylon),Acoustic Guitar (steel),"
                "Electric Guitar (jazz),Electric Guitar (clean),Electric Guitar (muted),"
                "Overdriven Guitar,Distortion Guitar,Guitar Harmonics")],
    "bass": [(32, "Bass", "Acoustic Bass,Electric Bass (finger),Electric Bass (pick),"
              "Fretless Bass,Slap Bass 1,Slap Bass 2,Synth Bass 1,Synth Bass 2")],
    "other": [
        (8, "Chromatic Percussion", "Celesta,Glockenspiel,Music Box,Vibraphone,Marimba"),
        (16, "Organ", "Drawbar Organ,Percussive Organ,Rock Organ,Church Organ,Reed Organ"),
        (40, "Strings", "Violin,Viola,Cello"),
        (48, "Strings (continued)", "String Ensemble 1,String Ensemble 2,Synth Strings 1,"
         "Synth Strings 2,Choir Aahs,Voice Oohs"),
        (56, "Brass", "Trumpet,Trombone"), (60, "Brass", "French Horn,Brass Section"),
        (64, "Reed", "Soprano Sax,Alto Sax,Tenor Sax"), (68, "Reed", "Oboe"),
        (71, "Reed", "Clarinet"), (73, "Pipe", "Flute,Recorder,Pan Flute"),
        (80, "Synth Lead", "Lead 1 (square),Lead 2 (sawtooth),Lead 3 (calliope)"),
        (88, "Synth Pad", "Pad 1 (new age),Pad 2 (warm),Pad 3 (polysynth),Pad 4 (choir)"),
    ],
}  # fmt: skip


@dataclass(frozen=True)
class SoundFont:
    """A SoundFont.

    Attributes:
        path: its file.
        programs: of bank 0.
        kits: drum kits, the programs of bank 128.
    """

    path: Path
    programs: frozenset[int]
    kits: frozenset[int]

    @property
    def complete(self) -> bool:
        """Whether it has programs for all stems."""
        return all(programs_for(stem, self) for stem in (*_PROGRAMS, "drums"))


def read_soundfont(path: Path) -> SoundFont:
    """Read the presets of an sf2 or sf3 file.

    Raises:
        DataError: it cannot be read or is no SoundFont.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read SoundFont {path}: {why(error)}") from error
    begin = content.rfind(b"phdr") + 8
    if content[:4] != b"RIFF" or content[8:12] != b"sfbk" or begin < 8:
        raise DataError(f"{path} is no SoundFont; give an .sf2 or .sf3 file")
    size = int.from_bytes(content[begin - 4 : begin], "little")
    found: dict[int, set[int]] = {0: set(), 128: set()}
    for at in range(begin, begin + size - 38, 38):  # the last record is a terminator
        program, bank = np.frombuffer(content, "<u2", 2, at + 20).tolist()
        found.setdefault(bank, set()).add(program)
    return SoundFont(path, frozenset(found[0]), frozenset(found[128]))


def find_soundfonts() -> list[SoundFont]:
    """The complete SoundFonts in ``FOLDERS``, each file once.

    Raises:
        DataError: there are none.
    """
    files = {
        file.resolve()
        for folder in FOLDERS
        for pattern in ("*.sf2", "*.sf3")
        for file in Path(folder).expanduser().glob(pattern)
        if file.is_file()
    }
    fonts = [font for font in map(read_soundfont, sorted(files)) if font.complete]
    if not fonts:
        raise DataError(
            "no General MIDI SoundFont found; install one (Debian: apt install fluid-soundfont-gm)"
            " or name one with --soundfont"
        )
    return fonts


def programs_for(stem: str, font: SoundFont) -> list[tuple[int, str, str]]:
    """The programs of a font for a stem: program or drum kit, Slakh2100's class, name."""
    if stem == "drums":
        # kits after 48, the orchestra's, are sound effects
        return [(kit, "Drums", "Drums") for kit in sorted(font.kits) if kit <= 48]
    return [
        (first + number, kind, name)
        for first, kind, names in _PROGRAMS[stem]
        for number, name in enumerate(names.split(","))
        if first + number in font.programs
    ]


def require_fluidsynth() -> None:
    """Raise DataError if the fluidsynth command is not installed."""
    if shutil.which("fluidsynth") is None:
        raise DataError(
            "the fluidsynth command is missing; install it"
            " (Debian: apt install fluidsynth, macOS: brew install fluid-synth)"
        )


def play_midi(
    midi: mido.MidiFile, font: Path, sample_rate: int, options: Sequence[str] = ()
) -> npt.NDArray[np.float32]:
    """Render a MIDI file with fluidsynth.

    Args:
        midi: the file.
        font: the SoundFont's file.
        sample_rate: in Hz.
        options: of the command, such as ``-R 0`` for no reverb.

    Returns:
        float32 [T, 2], with fluidsynth's tail.

    Raises:
        DataError: it fails or is not installed.
    """
    require_fluidsynth()
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "score.mid", Path(folder) / "sound.wav"
        midi.save(score)
        command = ["fluidsynth", "-ni", "-q", "-g", "0.4", "-O", "float", "-T", "wav", *options]
        command += ["-r", str(sample_rate), "-F", str(sound), str(font), str(score)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not sound.is_file():
            reason = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
            raise DataError(f"fluidsynth failed on {font.name}: {reason}")
        audio, _ = sf.read(sound, dtype="float32", always_2d=True)
    return np.asarray(audio, dtype=np.float32)
