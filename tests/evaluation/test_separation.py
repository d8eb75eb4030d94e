"""Separation: ratios of estimates that are known, and what is left out."""

import json
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.errors import DataError
from audiomask.evaluation.report import as_json
from audiomask.evaluation.separation import SeparationEvaluator, check_stems, compare
from audiomask.evaluation.songs import Song

RATE = 8000
#: the mixture's SI-SDR, and SDR, where the other stem is as loud
EVEN = 0.0


def tone(cycles: int, channels: int = 1) -> Tensor:
    """Two seconds of a sine that fits into them: two of these are orthogonal."""
    time = torch.arange(2 * RATE, dtype=torch.double) / RATE
    return (0.1 * torch.sin(2 * torch.pi * cycles * time)).float().expand(channels, -1)


STEMS = {"guitar": tone(500), "bass": tone(50)}
MIXTURE = STEMS["guitar"] + STEMS["bass"]


def song(name: str = "one", complete: bool = True, **stems: Tensor) -> Song:
    known = stems or STEMS
    mixture = torch.stack(list(known.values())).sum(dim=0)
    return Song(name, mixture, known, RATE, complete)


class Knowing:
    """An engine that knows STEMS, and leaves a tenth of the others' power in each."""

    leak = math.sqrt(0.1)

    def __init__(self) -> None:
        self.methods: set[str] = set()
        self.opened: list[str] = []

    def stems(self, method: str) -> tuple[str, ...]:
        return ("guitar", "bass", "drums")

    def open_separator(self, method: str) -> None:
        self.opened.append(method)

    def separate(
        self, source: AudioSource, stems: Sequence[str], method: str
    ) -> Iterator[dict[str, Tensor]]:
        self.methods.add(method)
        for start in range(0, source.frames, 5000):
            stop = min(start + 5000, source.frames)
            mixture = source.read(start, stop)
            found = {}
            for stem in stems:
                true = STEMS.get(stem, 0 * MIXTURE)[:, start:stop]
                found[stem] = true + self.leak * (mixture - true)
            yield found


@pytest.fixture
def measurement() -> SeparationEvaluator:
    return SeparationEvaluator(Knowing())  # type: ignore[arg-type]


def test_ratios_of_known_estimates(measurement: SeparationEvaluator) -> None:
    assert measurement.add(song()) is None
    guitar, bass, drums = measurement.rows
    for row in (guitar, bass):
        for measure in ("si_sdr", "sdr"):
            found = row[measure]
            assert found["mixture"] == pytest.approx(EVEN, abs=0.01)
            assert found["model"] == pytest.approx(10, abs=0.05)
            assert found["improvement"] == pytest.approx(10, abs=0.05)
            assert found["ratio_mask_improvement"] > 20
    # a lowpass, which parts tones of 50 and 500 Hz, is for the bass alone
    for measure in ("si_sdr", "sdr"):
        assert bass[measure]["lowpass"] > 20
        gain = bass[measure]["lowpass"] - bass[measure]["mixture"]
        assert bass[measure]["lowpass_improvement"] == pytest.approx(gain)
        assert "lowpass" not in guitar[measure]
    # drums are rendered at a tenth of the mixture's power, where there are none
    assert drums["silent"]
    assert drums["leak"] == pytest.approx(-10, abs=0.01)
    assert "si_sdr" not in drums


def test_the_report(measurement: SeparationEvaluator) -> None:
    for name in ("one", "two"):
        measurement.add(song(name))
    report = measurement.finish()
    data = json.loads(as_json(report.data))
    assert data["si_sdr"]["stems"]["guitar"]["improvement"]["mean"] == pytest.approx(10, abs=0.05)
    assert data["si_sdr"]["stems"]["guitar"]["improvement"]["number"] == 2
    assert data["si_sdr"]["stems"]["drums"] == {}
    assert data["sdr"]["mean_of_stems"]["improvement"]["median"] == pytest.approx(10, abs=0.05)
    assert data["si_sdr"]["stems"]["bass"]["lowpass_improvement"]["number"] == 2
    # guitar has none, and a mean of stems is one of all
    assert "lowpass_improvement" not in data["si_sdr"]["mean_of_stems"]
    assert data["leak"]["drums"]["number"] == 2
    assert data["speed"]["number"] == 2
    assert [row["song"] for row in data["rows"]] == ["one"] * 3 + ["two"] * 3
    titles = [table.title for table in report.tables]
    assert titles[0] == "SI-SDR improvement over the mixture, dB"
    assert titles[2] == "SDR improvement over the mixture, dB"
    first = report.tables[0]
    assert first.rows[0][:4] == ["guitar", "2", "10.00", "10.00 ± 0.00"]
    assert first.rows[0][-2:] == ["2/2", "one"]
    assert first.rows[-1][0] == "mean of stems"
    beside = report.tables[1]
    column = list(beside.headings).index("lowpass 200 Hz's improvement")
    guitar, bass = beside.rows
    assert guitar[column] == ""
    assert float(bass[column].split(" / ")[0]) > 20
    assert all(len(row) == len(s.headings) for s in report.tables for row in s.rows)
    assert "stems left out because they are silent: 2" in report.notes


@pytest.mark.parametrize("method", ["mask", "wiener", "tokens"])
def test_the_method_is_handed_on_and_told(method: str) -> None:
    engine = Knowing()
    measurement = SeparationEvaluator(engine, method)  # type: ignore[arg-type]
    assert engine.opened == [method], "loaded before a song's time is taken"
    measurement.add(song())
    assert engine.methods == {method}
    report = measurement.finish()
    assert report.data["method"] == method
    assert f"method: {method}" in report.notes


def test_without_a_bass_there_is_no_lowpass(measurement: SeparationEvaluator) -> None:
    measurement.add(song(guitar=STEMS["guitar"], flute=tone(900)))
    report = measurement.finish()
    assert not any("lowpass" in heading for table in report.tables for heading in table.headings)
    assert all("lowpass" not in row.get("si_sdr", ()) for row in measurement.rows)


def test_what_a_layout_does_not_tell_is_unknown_rather_than_silent() -> None:
    estimates = dict.fromkeys(("guitar", "drums"), MIXTURE)
    guitar, drums = compare(song(complete=False), estimates)
    assert "si_sdr" in guitar
    assert drums == {"song": "one", "stem": "drums", "unknown": True}


def test_a_stem_that_plays_alone_is_left_out(measurement: SeparationEvaluator) -> None:
    alone = song(guitar=STEMS["guitar"], bass=1e-4 * STEMS["bass"])
    rows = compare(alone, dict.fromkeys(("guitar", "bass"), alone.mixture))
    assert rows[0]["alone"]
    assert rows[1]["silent"]
    reason = measurement.add(alone)
    assert reason is not None
    assert "guitar, bass, drums" in reason
    assert not measurement.rows


def test_silence_is_left_out(measurement: SeparationEvaluator) -> None:
    silent = song(guitar=1e-5 * STEMS["guitar"], bass=1e-5 * STEMS["bass"])
    assert measurement.add(silent) == "silent"


def test_other_stems_count_as_the_rest() -> None:
    flute = tone(900)
    rows = compare(song(**STEMS, flute=flute), {"guitar": MIXTURE + flute})
    assert [row["stem"] for row in rows] == ["guitar"]
    # two others as loud
    assert rows[0]["si_sdr"]["mixture"] == pytest.approx(-10 * math.log10(2), abs=0.01)
    assert rows[0]["si_sdr"]["improvement"] == pytest.approx(0, abs=1e-4)


def test_no_stem_in_common() -> None:
    check_stems(["bass", "vocals"], ["guitar", "bass"], "data")
    with pytest.raises(DataError, match=r"data: has none of .*guitar, bass.*it has: vocals"):
        check_stems(["vocals"], ["guitar", "bass"], "data")
