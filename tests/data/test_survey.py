"""Survey: the numbers of the table, read back."""

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from audiomask.data.layouts import recognize
from audiomask.data.recorded import RecordedSource
from audiomask.data.sources import Source
from audiomask.data.survey import hours_of, show
from audiomask.data.tracks import Track

Sound = Callable[..., Path]


def shown(*sources: Source, width: int = 160) -> list[str]:
    """The lines that ``show`` prints."""
    out = io.StringIO()
    show(sources, Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def cells(line: str) -> list[str]:
    """The cells of a line; two blanks or more part them."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def songs(number: int, split: str, *stems: str, seconds: float = 60.0) -> list[Track]:
    return [
        Track(f"{split} {n}", split, {name: (Path("x"),) for name in stems}, None, seconds)
        for n in range(number)
    ]


def test_tracks_are_counted_by_split_and_stem() -> None:
    tracks = (
        *songs(1289, "train", "drums", "bass"),
        *songs(70, "validation", "drums"),
        *songs(1, "test", "guitar"),
    )
    heading, row = shown(RecordedSource(Path("/data/My Songs"), "track folders", tracks))
    assert cells(heading) == [
        "data", "layout", "of", "train", "validation", "test", "hours", "stems",
    ]  # fmt: skip
    assert cells(row) == [
        "My Songs", "track folders", "tracks", "1,289", "70", "1", "22.7",
        "drums 1,359, bass 1,289, guitar 1",
    ]  # fmt: skip


def test_bands_are_endless_and_recordings_have_no_stems(
    bank: Path, sound: Sound, tmp_path: Path
) -> None:
    sound(tmp_path / "recordings" / "a.wav", 36.0)
    for name in ("m/a.mid", "m/b.mid", "f/a.sf2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = (bank, tmp_path / "recordings", tmp_path / "m", tmp_path / "f")
    _, *rows = shown(*map(recognize, folders))
    assert [cells(row)[1:] for row in rows] == [
        ["note bank", "instruments", "7", "0", "0", "endless",
         "guitar 2, bass 1, drums 1, other 1, piano 1, vocals 1"],
        ["recordings", "tracks", "1", "0", "0", "0.01", "–"],
        ["MIDI songs", "songs", "2", "0", "0", "–", "–"],
        ["SoundFonts", "fonts", "1", "0", "0", "endless", "–"],
    ]  # fmt: skip


def test_a_source_of_several_kinds_has_a_row_for_each(sound: Sound, tmp_path: Path) -> None:
    sound(tmp_path / "bank" / "guitar" / "a" / "60_v90.wav")
    (tmp_path / "bank" / "a.mid").touch()
    _, *rows = shown(recognize(tmp_path / "bank"))
    assert [cells(row)[:3] for row in rows] == [
        ["bank", "note bank", "instruments"],
        ["bank", "MIDI songs", "songs"],
    ]


def test_many_stems_are_cut_short() -> None:
    names = [f"s{n:02d}" for n in range(40)]
    _, row = shown(
        RecordedSource(Path("x"), "track folders", tuple(songs(1, "train", *names))), width=300
    )
    assert cells(row)[-1].startswith("s00 1, s01 1, ")
    assert cells(row)[-1].endswith("s11 1, and 28 more")


def test_problems_are_warnings_of_one_line_each() -> None:
    odd = "[red]3 files[/red] cannot be read " + "and " * 40
    source = RecordedSource(
        Path("/data/[x]"), "recordings", tuple(songs(1, "train")), problems=(odd, "b")
    )
    _, row, *warnings = shown(source, width=60)
    assert cells(row)[0] == "[x]"  # names are no markup
    assert warnings == [f"warning: /data/[x]: {odd.strip()}", "warning: /data/[x]: b"]


def test_hours() -> None:
    assert [hours_of(s) for s in (0, 36, 3_600, 522_720, 4e7)] == [
        "0", "0.01", "1.0", "145.2", "11,111.1"
    ]  # fmt: skip
