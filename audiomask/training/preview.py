"""Preview of training data: a page of excerpts to see and hear before a run is started."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from torch import Tensor

from audiomask.audio.atomic import AtomicFile
from audiomask.audio.writer import AudioWriter
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.excerpt import Excerpt
from audiomask.errors import AudioFileError, DataError, UsageError, why
from audiomask.page.document import write_page
from audiomask.page.parts import Picture, Table
from audiomask.page.tracks import Player, Track
from audiomask.training.spectrogram import draw_sheet

_PICTURE_FILE = "spectrograms.png"
_PAGE_FILE = "index.html"
_SILENT, _UNKNOWN = "silent", "not known"
_NOTE = (
    "Training excerpts after augmentation: each mixture and the stems it is the sum of. Levels are "
    "root mean squares in dB of full scale."
)
#: samples up to this are 0 in 16 bits
_QUIETEST = 0.5 / 32768


class _Sound(NamedTuple):
    """What sounds of an excerpt.

    Attributes:
        audio: [C, T].
        file: the name of its file.
        clipped: number of samples beyond full scale, which are clipped in the file.
    """

    audio: Tensor
    file: str
    clipped: int


#: a sound, or ``_SILENT`` or ``_UNKNOWN`` in its place
_Cell = _Sound | str


def write_preview(
    excerpts: Callable[[int], Excerpt],
    stems: Sequence[str],
    folder: Path,
    number: int = 6,
    sample_rate: int = DEFAULT_SAMPLE_RATE,
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
) -> list[Path]:
    """Write training excerpts as sound files, a picture of their spectra and a page with both.

    Files of an earlier preview with the same names are replaced; all others in the folder stay.
    The page is written last, so that it never names a missing file.

    Args:
        excerpts: returns excerpt i, mixture [C, T] and stems [S + 1, C, T].
        stems: the names of the first S stems.
        folder: of the files; made if missing.
        number: of excerpts.
        sample_rate: of the excerpts.
        tables: shown above them on the page.
        notes: sentences of the page.

    Returns:
        The files written: ``01-mixture.wav``, ``01-<stem>.wav`` (stems that sound, of excerpts
        whose parts are known) and so on, ``spectrograms.png``, ``index.html``.

    Raises:
        DataError: the folder cannot be written to.
    """
    if number < 1:
        raise ValueError(f"a preview of {number} excerpts shows nothing")
    columns = name_columns(stems)
    files = name_files(columns)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(number):
        excerpt = excerpts(index)  # outside of writing(): its errors are not the folder's
        with _writing(folder):
            rows.append(_write_row(excerpt, folder, f"{index + 1:02d}", files, sample_rate))
    if all(cell == _UNKNOWN for row in rows for cell in row[1:]):
        columns, rows = columns[:1], [row[:1] for row in rows]
    picture = draw_sheet([[_shown(cell) for cell in row] for row in rows], columns, sample_rate)
    with _writing(folder):
        with AtomicFile(folder / _PICTURE_FILE, overwrite=True) as path, warnings.catch_warnings():
            # a letter that matplotlib's font lacks is drawn as a box
            warnings.simplefilter("ignore", UserWarning)
            picture.savefig(path, format="png")
        seconds = max(
            len(cell.audio[0]) for row in rows for cell in row if isinstance(cell, _Sound)
        )
        write_page(
            folder / _PAGE_FILE,
            f"{number} training excerpts of {seconds / sample_rate:.1f} s",
            [
                *tables,
                *(
                    _player(f"excerpt {index}", columns, row, sample_rate)
                    for index, row in enumerate(rows, start=1)
                ),
                Picture("Mel spectrograms: a row an excerpt, a column a stem", _PICTURE_FILE),
            ],
            [*notes, _NOTE],
            sample_rate,
            overwrite=True,
        )
    sounds = [folder / cell.file for row in rows for cell in row if isinstance(cell, _Sound)]
    return [*sounds, folder / _PICTURE_FILE, folder / _PAGE_FILE]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn errors of writing to a folder into a DataError of one line."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written: {why(error)}; name another folder"
        ) from error
    except (AudioFileError, UsageError) as error:
        raise DataError(f"{error}; name another folder") from error


def name_columns(stems: Sequence[str]) -> list[str]:
    """The columns' names: the mixture, the stems, and a name for the rest that no stem has."""
    rest = next(name for name in ("other", "rest", "unnamed rest") if name not in stems)
    return ["mixture", *stems, rest]


def name_files(columns: Sequence[str]) -> list[str]:
    """A part of a file name for each column: allowed by all systems, and unique."""
    names: list[str] = []
    for column in columns:
        name = base = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", column)[:60]
        again = 2
        while name.casefold() in (other.casefold() for other in names):
            name, again = f"{base}-{again}", again + 1
        names.append(name)
    return names


def _write_row(
    excerpt: Excerpt, folder: Path, label: str, files: Sequence[str], sample_rate: int
) -> list[_Cell]:
    """Write the sounds of one excerpt; returns the cell of each column."""
    cells: list[_Cell] = []
    for column, (name, audio) in enumerate(
        zip(files, (excerpt.mixture, *excerpt.stems), strict=True)
    ):
        if column and not excerpt.has_stems:
            cells.append(_UNKNOWN)
        elif column and not _is_audible(audio):
            cells.append(_SILENT)
        else:
            cells.append(_write_sound(audio, folder, f"{label}-{name}.wav", sample_rate))
    return cells


def _write_sound(audio: Tensor, folder: Path, file: str, sample_rate: int) -> _Sound:
    """Write audio [C, T] as a WAV file of 16 bits."""
    with AudioWriter(folder / file, sample_rate, len(audio), "PCM_16", overwrite=True) as out:
        out.write(audio)
    return _Sound(audio, file, out.clipped)


def _is_audible(audio: Tensor) -> bool:
    """Whether audio has samples that are not 0 in 16 bits."""
    return bool(audio.abs().amax() > _QUIETEST)


def _shown(cell: _Cell) -> Tensor | str:
    """The content of a cell of the picture: audio, or text."""
    if isinstance(cell, str):
        return cell
    return cell.audio.mean(dim=0) if _is_audible(cell.audio) else _SILENT


def _player(title: str, columns: Sequence[str], row: Sequence[_Cell], sample_rate: int) -> Player:
    """An excerpt on the page: what sounds of it plays from the files beside."""
    tracks: list[Track] = []
    alone = sum(isinstance(cell, _Sound) for cell in row) > 1
    for name, cell in zip(columns, row, strict=True):
        if isinstance(cell, str):
            continue
        channels, samples = cell.audio.shape
        place = quote(cell.file)
        # with the mixture in the mix, stems would sound twice
        mixture = alone and not tracks
        with Track(name, samples, sample_rate, channels, None, place, alone=mixture) as track:
            track.write(cell.audio)
            track.finish()
        if cell.clipped:
            track.remark = f"{cell.clipped} samples clipped"
        tracks.append(track)
    lacking = {word: [name for name, cell in zip(columns, row, strict=True) if cell == word]
               for word in (_SILENT, _UNKNOWN)}  # fmt: skip
    facts = [(word, ", ".join(names)) for word, names in lacking.items() if names]
    return Player(title, samples / sample_rate, tracks, facts=facts)
