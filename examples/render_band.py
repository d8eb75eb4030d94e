"""Compose random songs for a band, render them with fluidsynth, and write them as training data.

    python examples/render_band.py band/ --songs 100 --seconds 60 --soundfont FluidR3_GM.sf2

composes songs (or arranges those of ``--midi FOLDER``) and writes them in the layout of Slakh2100:
``TrackNNNNN/{all_src.mid, metadata.yaml, MIDI/SXX.mid, mix.flac, stems/SXX.flac}``, 44.1 kHz,
16 bit. Every mix is the exact sum of its stems. Song NNNNN depends on the options and on
(seed, NNNNN) alone, so the same command gives the same songs; existing songs are kept.
It needs audiomask's ``train`` extra, the fluidsynth command and a General MIDI SoundFont.

If OUT ends in .wav, the mix of one song is written to it. The two songs in this folder are from

    python examples/render_band.py examples/song.wav --seconds 12 --stereo --seed 491 \
        --soundfont MuseScore_General.sf3 --full
    python examples/render_band.py examples/gap.wav --seconds 12 --stereo --seed 491 \
        --soundfont MuseScore_General.sf3 --full \
        --gap 2.5:2.54 --gap 5:5.3 --gap 8:9

with the MuseScore_General.sf3 of Debian's musescore-general-soundfont-small (MIT licence) and
fluidsynth 2.3. No one else has rights in them, as this project's code composed them.
"""

from __future__ import annotations

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import mido
import numpy as np
import numpy.typing as npt
import soundfile as sf
import torch
import typer
import yaml
from rich.console import Console
from rich.progress import track

from audiomask.audio.atomic import AtomicFile
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.bands.arrangement import Arrangement, compose, read_midi
from audiomask.data.bands.rendition import (
    LOUDNESS,
    PEAK_DB,
    TICKS,
    Part,
    assign_programs,
    loudness,
    render_parts,
    score,
)
from audiomask.data.bands.soundfont import (
    SoundFont,
    find_soundfonts,
    read_soundfont,
    require_fluidsynth,
)
from audiomask.errors import AudiomaskError, DataError, UsageError
from audiomask.infill.gaps import parse_gap

BAND = {"guitar", "piano", "bass", "drums"}


@dataclass(frozen=True)
class Settings:
    """The options of songs.

    Attributes:
        fonts: SoundFonts to choose from.
        seconds: duration of a song.
        seed: decides the songs.
        songs: MIDI files to arrange; none to compose songs.
        stereo: whether stems are panned; mono otherwise.
        full: whether guitar, piano, bass and drums all play throughout.
    """

    fonts: list[SoundFont]
    seconds: float
    seed: int
    songs: list[Path]
    stereo: bool
    full: bool


def arrange(settings: Settings, rng: np.random.Generator) -> tuple[Arrangement, str | None]:
    """The notes of a song, and the name of its MIDI file, if any.

    Raises:
        DataError: 1000 tries gave no song with enough notes.
    """
    for _ in range(1000):
        if settings.songs:
            source = settings.songs[rng.integers(len(settings.songs))]
            start = float(rng.uniform(0.0, 150.0))
            song, name = read_midi(source, rng, start, settings.seconds), source.name
        else:
            song, name = compose(rng, settings.seconds), None
        # seconds with a note's onset
        active = {s: len({int(note.onset) for note in notes}) for s, notes in song.items()}
        if settings.full:
            if set(song) == BAND and min(active.values()) >= 0.9 * settings.seconds:
                return song, name
        elif sum(active.values()) >= settings.seconds:
            return song, name
    raise DataError("no song with enough notes found in 1000 tries; try other MIDI files or a seed")


def make_song(
    settings: Settings, number: int
) -> tuple[list[Part], list[npt.NDArray[np.int16]], dict[str, object]]:
    """Song ``number``: its parts, their samples [T, C], and the song's metadata."""
    rng = np.random.default_rng([settings.seed, number])
    song, source = arrange(settings, rng)
    parts, stems, gain = render_parts(
        assign_programs(song, settings.fonts, rng),
        settings.seconds,
        settings.stereo,
        3.0 if settings.full else 7.0,
        rng,
    )
    details: dict[str, object] = {
        "UUID": uuid.UUID(bytes=rng.bytes(16), version=4).hex,
        "audio_dir": "stems",
        "lmd_midi_dir": source,
        "midi_dir": "MIDI",
        "normalization_factor": LOUDNESS,
        "normalized": True,
        "overall_gain": round(gain, 6),
        "target_peak": PEAK_DB,
        "stems": {
            f"S{index:02d}": {
                "audio_rendered": True,
                "inst_class": part.kind,
                "integrated_loudness": round(loudness((audio / 32768).astype(np.float32)), 3),
                "is_drum": part.stem == "drums",
                "midi_program_name": part.name,
                "midi_saved": True,
                "plugin_name": part.font.path.name,
                "program_num": 128 if part.stem == "drums" else part.program,
            }
            for index, (part, audio) in enumerate(zip(parts, stems, strict=True))
        },
    }
    return parts, stems, details


def write_track(settings: Settings, number: int, folder: Path) -> None:
    """Render song ``number`` and write it to a folder, atomically."""
    parts, stems, details = make_song(settings, number)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for name in ("MIDI", "stems"):
            (partial / name).mkdir(parents=True)
        together = mido.MidiFile(ticks_per_beat=TICKS)
        for index, (part, audio) in enumerate(zip(parts, stems, strict=True)):
            alone = mido.MidiFile(ticks_per_beat=TICKS)
            alone.tracks.append(score(part, 0))
            together.tracks.append(score(part, index))
            alone.save(partial / "MIDI" / f"S{index:02d}.mid")
            sf.write(partial / "stems" / f"S{index:02d}.flac", audio, DEFAULT_SAMPLE_RATE, "PCM_16")
        together.save(partial / "all_src.mid")
        mix = np.asarray(np.sum(stems, axis=0, dtype=np.int16))
        sf.write(partial / "mix.flac", mix, DEFAULT_SAMPLE_RATE, "PCM_16")
        (partial / "metadata.yaml").write_text(yaml.safe_dump(details), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_wav(settings: Settings, path: Path, gaps: list[str], overwrite: bool) -> None:
    """Render song 1 and write its mix, silent in ``gaps``, which are START:END in seconds."""
    file = AtomicFile(path, overwrite)  # fails before the song is rendered
    frames = round(settings.seconds * DEFAULT_SAMPLE_RATE)
    silences = [parse_gap(text, DEFAULT_SAMPLE_RATE, frames) for text in gaps]
    _, stems, _ = make_song(settings, 1)
    mix = np.asarray(np.sum(stems, axis=0, dtype=np.int16))
    for gap in silences:
        mix[gap.start : gap.stop] = 0
    with file as partial:
        sf.write(partial, mix, DEFAULT_SAMPLE_RATE, "PCM_16", format="WAV")


def write_tracks(
    settings: Settings, out: Path, numbers: range, jobs: int, overwrite: bool, console: Console
) -> int:
    """Write songs to folders in ``out``, ``jobs`` in parallel, and return how many failed."""
    wanted = {number: out / f"Track{number:05d}" for number in numbers}
    missing = {n: folder for n, folder in wanted.items() if overwrite or not folder.exists()}
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    pool = ThreadPoolExecutor(jobs)
    try:
        work = {pool.submit(write_track, settings, n, folder): n for n, folder in missing.items()}
        for done in track(as_completed(work), "rendering", len(work), console=console):
            try:
                done.result()
            except AudiomaskError as error:
                failed += 1
                console.print(f"render_band: song {work[done]}: {error}", markup=False)
    finally:
        pool.shutdown(cancel_futures=True)
    kept = len(wanted) - len(missing)
    console.print(f"{len(missing) - failed} songs written, {kept} kept, {failed} failed in {out}")
    return failed


def main(
    out: Annotated[Path, typer.Argument(help="A folder of tracks, or a .wav file for one mix.")],
    songs: Annotated[int, typer.Option(min=1, help="How many songs.")] = 10,
    first: Annotated[int, typer.Option(min=1, help="Number of the first song.")] = 1,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of every song.")] = 60.0,
    midi: Annotated[Path | None, typer.Option(help="Arrange this folder's MIDI files.")] = None,
    soundfont: Annotated[
        list[Path] | None, typer.Option(help="An sf2 or sf3 file (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Other seed, other songs.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Songs rendered in parallel.")] = 2,
    stereo: Annotated[bool, typer.Option(help="Pan the stems in stereo; otherwise mono.")] = False,
    full: Annotated[
        bool,
        typer.Option(help="Only songs in which guitar, piano, bass and drums play throughout."),
    ] = False,
    gap: Annotated[
        list[str] | None,
        typer.Option(help="START:END in seconds, to silence in a .wav (repeatable)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing songs.")] = False,
) -> None:
    """Compose songs, render them with fluidsynth, and write them in Slakh2100's layout."""
    console = Console(stderr=True, soft_wrap=True)
    torch.set_num_threads(1)
    try:
        require_fluidsynth()
        fonts = [read_soundfont(path) for path in soundfont] if soundfont else find_soundfonts()
        scores = sorted(midi.rglob("*.mid")) if midi is not None else []
        if midi is not None and not scores:
            raise DataError(f"no .mid files in {midi}")
        settings = Settings(fonts, seconds, seed, scores, stereo, full)
        if out.suffix.lower() == ".wav":
            write_wav(settings, out, gap or [], overwrite)
        elif gap:
            raise UsageError("--gap needs an OUT that ends in .wav")
        elif write_tracks(settings, out, range(first, first + songs), jobs, overwrite, console):
            raise typer.Exit(1)
    except AudiomaskError as error:
        console.print(f"render_band: error: {error}", markup=False)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
