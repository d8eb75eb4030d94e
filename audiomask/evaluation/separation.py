"""Evaluation of separation: improvements of SI-SDR and SDR over the mixture.

All channels of a song are measured as one signal:

- SI-SDR, the scale-invariant signal-to-distortion ratio of the whole song;
- SDR as the museval package defines it, the median over windows of a second.

Baselines are the ideal ratio mask, an oracle, and for the bass a lowpass at 200 Hz. Stems below
-60 dBFS are silent and have no ratio; the level of the model's estimate is measured instead. Stems
that play alone are left out, as the mixture equals them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.errors import DataError
from audiomask.evaluation.baselines import CUTOFF, lowpass, ratio_mask
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.examples import stems_example
from audiomask.evaluation.metrics import SILENCE, level, sdr, si_sdr
from audiomask.evaluation.options import EvaluateOptions, given
from audiomask.evaluation.report import SPREAD, Report, Summary, Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.separation.settings import SeparationMethod

#: dB under the mixture below which a leak counts as none
_LOWEST_LEAK = -120.0
#: SI-SDR of the mixture, in dB, above which a stem plays alone
ALONE = 40.0
#: keys of the metrics, and their names
_MEASURES = {"si_sdr": "SI-SDR", "sdr": "SDR"}
#: the stem of the lowpass baseline
_LOW = "bass"
#: systems, and the keys of their improvements over the mixture
_MIXTURE, _MODEL, _LOWPASS, _ORACLE = "mixture", "model", "lowpass", "ratio_mask"
_IMPROVEMENTS = {
    _MODEL: "improvement",
    _LOWPASS: "lowpass_improvement",
    _ORACLE: "ratio_mask_improvement",
}
#: keys of a metric's values
_COLUMNS = (_MIXTURE, *_IMPROVEMENTS, *_IMPROVEMENTS.values())

_Row = dict[str, Any]


class SeparationEvaluator(Evaluator):
    """Evaluates the separation of an engine.

    Args:
        engine: the models.
        method: of separation.

    Raises:
        CheckpointError: there is no checkpoint for the method.
        DataError: museval is not installed.
    """

    options = ("method",)

    def __init__(self, engine: Engine, method: str = SeparationMethod.mask.value) -> None:
        self.engine, self.method = engine, method
        self.names = engine.stems(method)
        self.rows: list[_Row] = []
        self.speeds: list[float] = []
        engine.open_separator(method)  # loaded before the time of songs is measured

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator of the options."""
        return cls(engine, **given(method=options.method))

    @classmethod
    def stems(cls, engine: Engine, options: EvaluateOptions) -> tuple[str, ...]:
        """The stems that the method separates."""
        return engine.stems(options.method or SeparationMethod.mask)

    def add(self, song: Song) -> str | None:
        """Separate a song and measure its stems.

        Returns:
            Why the song is left out, if it is.
        """
        if level(song.mixture) < SILENCE:
            return SILENT
        began = time.perf_counter()
        estimates = self.separate(song)
        taken = time.perf_counter() - began
        rows = compare(song, estimates)
        if not any(_MODEL in row.get("si_sdr", ()) for row in rows):
            return f"none of {', '.join(self.names)} plays in it with other stems"
        self.speeds.append(song.mixture.shape[-1] / song.sample_rate / taken)
        self.rows += rows
        if self.hear is not None:
            ratios = {row["stem"]: row["si_sdr"][_MODEL] for row in rows if "si_sdr" in row}
            self.hear(stems_example(song, estimates, ratios))
        return None

    def separate(self, song: Song) -> dict[str, Tensor]:
        """The engine's stems, [C, T] each."""
        source = MemorySource(song.mixture, song.sample_rate)
        blocks = list(self.engine.separate(source, self.names, method=self.method))
        return {stem: torch.cat([block[stem] for block in blocks], dim=-1) for stem in self.names}

    def finish(self) -> Report:
        """The report, with tables by stem."""
        found = {
            name: {stem: _summaries(self.rows, stem, name) for stem in self.names}
            for name in _MEASURES
        }
        leaks = {
            stem: summarize(known)
            for stem in self.names
            if (known := _values(self.rows, stem, "leak"))
        }
        tables = [
            table
            for name, entries in found.items()
            for table in (self.improvement_table(name, entries), _baseline_table(name, entries))
        ]
        if leaks:
            tables.append(_leakage_table(leaks))
        speed = summarize(self.speeds)
        notes = [
            f"method: {self.method}",
            f"speed: {speed.median:.1f} s of audio a second, all stems at once (median)",
        ]
        for reason in ("silent", "alone", "unknown"):
            if number := sum(reason in row for row in self.rows):
                notes.append(f"stems left out because they are {reason}: {number}")
        data: dict[str, Any] = {"method": self.method} | {
            name: {"stems": entries, "mean_of_stems": _over_stems(entries)}
            for name, entries in found.items()
        }
        return Report(data | {"leak": leaks, "speed": speed, "rows": self.rows}, tables, notes)

    def improvement_table(self, measure: str, found: dict[str, dict[str, Summary]]) -> Table:
        """The improvements of a metric by stem, and the song with the least."""
        lines = []
        for stem, entry in found.items():
            if "improvement" not in entry:
                continue
            rows = [row for row in self.rows if row["stem"] == stem and measure in row]
            rows = [row for row in rows if "improvement" in row[measure]]
            worst = min(rows, key=lambda row: float(row[measure]["improvement"]))["song"]
            better = sum(row[measure]["improvement"] > 0 for row in rows)
            cells = entry["improvement"].cells()
            lines.append([stem, str(len(rows)), *cells, f"{better}/{len(rows)}", worst])
        if lines:
            mean = _over_stems(found)["improvement"]
            both = (f"{mean['median']:.2f}", f"{mean['mean']:.2f}")
            lines.append(["mean of stems", "", *both, "", "", "", "", ""])
        headings = ["stem", "songs", *SPREAD, "above 0", "least in"]
        return Table(f"{_MEASURES[measure]} improvement over the mixture, dB", headings, lines)


def compare(song: Song, estimates: dict[str, Tensor]) -> list[_Row]:
    """A row for every stem of a song: metrics, or why there are none.

    Args:
        song: with its stems.
        estimates: the model's stems, [C, T] each.
    """
    rows: dict[str, _Row] = {stem: {"song": song.name, "stem": stem} for stem in estimates}
    measured: dict[str, dict[str, Tensor]] = {}
    for stem, row in rows.items():
        true = song.stems.get(stem)
        if true is None and not song.complete:
            row["unknown"] = True
        elif true is None or level(true) < SILENCE:
            row["silent"] = True
            row["leak"] = max(level(estimates[stem]) - level(song.mixture), _LOWEST_LEAK)
        elif si_sdr(song.mixture, true) > ALONE:
            row["alone"] = True
        else:
            measured[stem] = {_MIXTURE: song.mixture, _MODEL: estimates[stem]}
    if not measured:
        return list(rows.values())
    for stem, audio in ratio_mask(song.mixture, song.stems).items():
        if stem in measured:
            measured[stem][_ORACLE] = audio
    if _LOW in measured:
        measured[_LOW][_LOWPASS] = lowpass(song.mixture, song.sample_rate)
    for stem, systems in measured.items():
        known = {name: si_sdr(audio, song.stems[stem]) for name, audio in systems.items()}
        rows[stem]["si_sdr"] = _improved(known)
    targets = [song.stems[stem] for stem in measured]
    # with the mixture as the other stems' lowpass, so that all systems have the same windows
    medians = {
        name: sdr(
            [systems.get(name, song.mixture) for systems in measured.values()],
            targets,
            song.sample_rate,
        )
        for name in (_MIXTURE, *_IMPROVEMENTS)
        if any(name in systems for systems in measured.values())
    }
    for number, (stem, systems) in enumerate(measured.items()):
        rows[stem]["sdr"] = _improved({name: medians[name][number] for name in systems})
    return list(rows.values())


def _improved(known: dict[str, float]) -> dict[str, float]:
    """Ratios of mixture, model and baselines, with improvements; empty if one is NaN."""
    if any(value != value for value in known.values()):
        return {}
    return known | {
        key: known[name] - known[_MIXTURE] for name, key in _IMPROVEMENTS.items() if name in known
    }


def _values(rows: Sequence[_Row], stem: str, key: str) -> list[Any]:
    """The values of a key in a stem's rows."""
    return [row[key] for row in rows if row["stem"] == stem and key in row]


def _summaries(rows: Sequence[_Row], stem: str, measure: str) -> dict[str, Summary]:
    """Summaries of the values of a metric of a stem, by key."""
    entries = _values(rows, stem, measure)
    columns = {name: [entry[name] for entry in entries if name in entry] for name in _COLUMNS}
    return {name: summarize(found) for name, found in columns.items() if found}


def _over_stems(found: dict[str, dict[str, Summary]]) -> dict[str, dict[str, float]]:
    """Means over the stems of their means and medians, by key, for keys that all stems have."""
    known = [entry for entry in found.values() if entry]
    return {
        name: {
            "mean": sum(entry[name].mean for entry in known) / len(known),
            "median": sum(entry[name].median for entry in known) / len(known),
        }
        for name in (_COLUMNS if known else ())
        if all(name in entry for entry in known)
    }


def _baseline_table(measure: str, found: dict[str, dict[str, Summary]]) -> Table:
    """The metric of the model, the mixture and the baselines, median / mean."""
    shown = {
        _MIXTURE: "mixture",
        _MODEL: "model",
        _IMPROVEMENTS[_MODEL]: "improvement",
        _IMPROVEMENTS[_LOWPASS]: f"lowpass {CUTOFF} Hz's improvement",
        _IMPROVEMENTS[_ORACLE]: "ideal ratio mask's improvement",
    }
    columns = [name for name in shown if any(name in entry for entry in found.values())]
    headings = ["stem", *(shown[name] for name in columns)]
    lines = [
        [
            stem,
            *(
                f"{entry[name].median:.2f} / {entry[name].mean:.2f}" if name in entry else ""
                for name in columns
            ),
        ]
        for stem, entry in found.items()
        if entry
    ]
    title = f"{_MEASURES[measure]} and baselines, dB, median / mean"
    return Table(title, headings, lines)


def _leakage_table(leaks: dict[str, Summary]) -> Table:
    """Levels of the model's estimates of silent stems."""
    lines = [[stem, str(entry.number), *entry.cells()] for stem, entry in leaks.items()]
    return Table(
        "Level of stems that are silent, dB over the mixture", ("stem", "songs", *SPREAD), lines
    )


def check_stems(known: Sequence[str], stems: Sequence[str], where: str) -> None:
    """Check that data has any of a model's stems.

    Args:
        known: the stems of the data.
        stems: the model's.
        where: name of the data.

    Raises:
        DataError: it has none.
    """
    if not set(known) & set(stems):
        there = ", ".join(known) or "none"
        raise DataError(
            f"{where}: has none of the stems that this model separates ({', '.join(stems)}); "
            f"it has: {there}"
        )
