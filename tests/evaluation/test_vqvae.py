"""VQ-VAE: bitrates by hand, measures that agree with the engine's own sound, and silence."""

import dataclasses
import json
import math

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.audio.spectra import mel_distance
from audiomask.engine import Engine
from audiomask.errors import UsageError
from audiomask.evaluation.metrics import si_sdr
from audiomask.evaluation.mos import TOO_SHORT, MOSPredictor
from audiomask.evaluation.report import as_json
from audiomask.evaluation.songs import Song
from audiomask.evaluation.vqvae import VQVAEEvaluator

RATE = 44_100


def song(channels: int = 1, seconds: float = 1.0, rate: int = RATE) -> Song:
    generator = torch.Generator().manual_seed(channels)
    audio = 0.1 * torch.randn(channels, round(seconds * rate), generator=generator)
    return Song(f"{channels} channels", audio, {}, rate)


def test_measures_are_those_of_the_decoded_sound(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine)
    one = song(channels=2)
    assert measurement.add(one) is None
    tokens = engine.tokenize(MemorySource(one.mixture, RATE))
    decoded = torch.cat(list(engine.detokenize(tokens)), dim=-1)
    row = next(row for row in measurement.rows if row["system"] == "2 levels")
    assert row["mel_distance"] == pytest.approx(
        float(mel_distance(one.mixture, decoded, RATE).mean())
    )
    assert row["si_sdr"] == pytest.approx(si_sdr(decoded, one.mixture))
    silent = next(row for row in measurement.rows if row["system"] == "silence")
    # of noise at -20 dBFS and silence at the floor of 1e-4, in log10
    assert silent["mel_distance"] > 2
    assert silent["si_sdr"] == -math.inf
    assert [row["system"] for row in measurement.rows] == ["1 level", "2 levels", "silence"]


def test_bitrates_by_hand(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine)
    for channels in (1, 2):
        measurement.add(song(channels))
    report = measurement.finish()
    frames = RATE / 512
    for levels in (1, 2):
        found = report.data["bitrates"][levels - 1]
        assert found["kbps"] == pytest.approx(levels * math.log2(32) * frames / 1000)
        bits = sum(book["bits"] for book in report.data["codebooks"][:levels])
        assert found["entropy_kbps"] == pytest.approx(bits * frames / 1000)
    title, rows = report.tables[0].title, report.tables[0].rows
    assert title == "Bitrate, kbit/s"
    assert [row[:2] for row in rows] == [
        ["1 level", "0.43"],
        ["1 level, 2 channels", "0.86"],
        ["2 levels", "0.86"],
        ["2 levels, 2 channels", "1.72"],
    ]


def test_codes_are_counted_over_all_songs_and_channels(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine)
    codes = []
    for channels in (1, 2):
        one = song(channels)
        measurement.add(one)
        codes.append(engine.tokenize(MemorySource(one.mixture, RATE)).codes.long())
    for level, book in enumerate(measurement.finish().data["codebooks"]):
        counted = torch.cat([part[:, level].flatten() for part in codes])
        assert book["tokens"] == len(counted) == 3 * 87
        assert book["dead"] == 32 - len(counted.unique())
        assert book["used"] == pytest.approx(len(counted.unique()) / 32)


def test_fewer_levels(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine, levels=1)
    measurement.add(song())
    data = json.loads(as_json(measurement.finish().data))
    assert list(data["levels"]) == ["1 level", "silence"]
    assert "si_sdr" not in data["levels"]["silence"]
    assert len(data["codebooks"]) == 1
    with pytest.raises(UsageError, match="1 to 2"):
        VQVAEEvaluator(engine, levels=3)


class Peaks(MOSPredictor):
    """MOSPredictor whose opinion is the decoded sound's greatest sample, and ten times that."""

    def __init__(self) -> None:
        """Nothing has to be installed."""

    def visqol(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        assert decoded.any()
        return float(decoded.max())

    def zimtohrli(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        assert sample_rate == RATE
        return 10 * float(decoded.max())


def test_opinions_of_every_number_of_levels_where_asked_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomask.evaluation.vqvae.MOSPredictor", Peaks)
    measurement = VQVAEEvaluator(engine, opinion=True)
    one = song(channels=2)
    measurement.add(one)
    report = measurement.finish()
    found = json.loads(as_json(report.data))
    tokens = engine.tokenize(MemorySource(one.mixture, RATE))
    for number, name in enumerate(("1 level", "2 levels"), start=1):
        part = dataclasses.replace(tokens, codes=tokens.codes[:, :number].contiguous())
        peak = float(torch.cat(list(engine.detokenize(part)), dim=-1).max())
        assert found["levels"][name]["visqol"]["median"] == pytest.approx(peak)
        assert found["levels"][name]["zimtohrli"]["median"] == pytest.approx(10 * peak)
        row = next(row for row in found["rows"] if row["system"] == name)
        assert (row["visqol"], row["zimtohrli"]) == pytest.approx((peak, 10 * peak))
    # of silence only the one who can has an opinion
    assert "visqol" not in found["levels"]["silence"]
    assert found["levels"]["silence"]["zimtohrli"]["median"] == 0
    names = {table.title.split(",")[0]: [row[0] for row in table.rows] for table in report.tables}
    assert names["ViSQOL"] == ["1 level", "2 levels"]
    assert names["Zimtohrli"] == ["1 level", "2 levels", "silence"]


def test_no_opinions_where_not_asked_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomask.evaluation.vqvae.MOSPredictor", None)
    measurement = VQVAEEvaluator(engine)
    measurement.add(song())
    report = measurement.finish()
    assert not {"visqol", "zimtohrli"} & report.data["levels"]["2 levels"].keys()
    assert not [table for table in report.tables if "ViSQOL" in table.title]


def test_what_is_too_short_for_an_opinion_is_left_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomask.evaluation.vqvae.MOSPredictor", Peaks)
    measurement = VQVAEEvaluator(engine, opinion=True)
    assert measurement.add(song(seconds=0.9)) == TOO_SHORT
    assert not measurement.rows
    assert measurement.add(song(seconds=1.0)) is None


def test_other_rates_are_measured_at_the_models(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine)
    assert measurement.add(song(rate=22_050)) is None
    assert measurement.counts[0].sum() == 87
    assert all(math.isfinite(row["mel_distance"]) for row in measurement.rows)


def test_silence_is_left_out(engine: Engine) -> None:
    measurement = VQVAEEvaluator(engine)
    silent = Song("silent", torch.full((1, RATE), 1e-5), {}, RATE)
    assert measurement.add(silent) == "silent"
    assert not measurement.rows
