"""Leftovers: files in a folder of songs that are not used."""

from __future__ import annotations

from pathlib import Path

from audiomask.audio.names import AUDIO_ENDINGS, ending_counts
from audiomask.data.layouts.banks import FONT_SUFFIXES, MIDI_SUFFIXES, find_scores
from audiomask.data.layouts.problems import summarize
from audiomask.data.layouts.walk import walk_files


def non_audio(folder: Path) -> tuple[str, ...]:
    """A line about files that are not audio by their endings, if there are any."""
    known = (*AUDIO_ENDINGS, *MIDI_SUFFIXES, *FONT_SUFFIXES)
    others = walk_files(folder, lambda file: file.suffix.lower() not in known)
    if not others:
        return ()
    what = "file that is" if len(others) == 1 else "files that are"
    return (f"passed over {len(others):,} {what} no audio by name: {ending_counts(others)}",)


def scores_beside_audio(folder: Path) -> tuple[str, ...]:
    """A line about MIDI songs and SoundFonts beside audio, if there are any."""
    songs, fonts = find_scores(folder)
    return summarize(
        folder,
        sorted(songs + fonts),
        "MIDI file or SoundFont lies beside the audio and is left out; give it its own folder",
        "MIDI files and SoundFonts lie beside the audio and are left out; give them their own "
        "folder",
    )
