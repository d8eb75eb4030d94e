"""Faults in files: every depth of bits, and lossy and coarse codings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from faults_found import told
from signals import STEP

from audiomask.audio.files import AudioFile
from audiomask.infill.detection.detect import REST, detect_faults
from audiomask.infill.detection.exact import EXACT


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
    ],
)
def test_files_of_every_depth(name: str, subtype: str, tmp_path: Path) -> None:
    """One recording in them all; what was clipped at 16 bits is found in the deeper ones."""
    audio = np.random.default_rng(0).choice([-0.25, 0.25, 0.5], (44_100, 2))
    audio[10_000:12_000] = audio[30_000:44_000] = 0
    audio[15_000:16_000] = -0.75, 0.5
    audio[18_000:18_010, 0], audio[18_015:18_020, 0] = 1 - STEP, -1
    full = 1 - 2.0**-7 if subtype == "PCM_U8" else 1 - STEP
    audio[18_000:18_010, 0] = full
    audio[18_040:18_060, 1] = full - (2.0**-7 if subtype == "PCM_U8" else STEP)
    floating = subtype in ("FLOAT", "DOUBLE")
    if floating:
        audio[20_000:21_000, 1] = np.nan
    if subtype == "DOUBLE":
        audio[22_000, 0] = 1e300  # read as float32 it is not finite
    soundfile.write(tmp_path / name, audio, 44_100, subtype=subtype)
    with AudioFile(tmp_path / name) as file:
        found = told(detect_faults(file, kinds=EXACT))
    expected = [
        (10_000, 12_000, "silence"),
        (15_000, 16_000, "stuck"),
        (18_000, 18_010, "clipped", 0),
        (18_015, 18_020, "clipped", 0),
    ]
    expected += [(20_000, 21_000, "nan", 1)] * floating
    expected += [(22_000, 22_001, "nan", 0)] * (subtype == "DOUBLE")
    assert found == [*expected, (30_000, 44_000, "silence")]


def test_quiet_sound_of_8_bits_rests_on_larger_steps(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).choice([-0.25, 0.25], 9000)
    audio[2000:7000] = np.repeat([0, 1, 2, 1, 0, -1, 0, 1, 0, 0], 500) / 128
    soundfile.write(tmp_path / "a.wav", audio, 8000, subtype="PCM_U8")
    with AudioFile(tmp_path / "a.wav") as file:
        found = told(detect_faults(file, kinds=EXACT))
    # where the quiet part begins and ends, the recording does jump, but on one side only
    assert found == [(2000, 2500, "silence", REST), (6000, 7000, "silence", REST)]


@pytest.mark.slow
def test_lossy_files_allow_for_the_coding(tmp_path: Path) -> None:
    time = np.arange(88_200) / 44_100
    audio = np.stack([np.sin(2 * np.pi * f * time) for f in (440, 445)], 1) * 0.7
    audio[30_000:60_000] = 0
    crests = np.flatnonzero(np.abs(audio[:25_000] * 2).max(1) >= 1)
    for name in ("a.mp3", "a.ogg"):
        for gain in (1, 2):
            soundfile.write(tmp_path / name, np.clip(audio * gain, -1, 1), 44_100)
            with AudioFile(tmp_path / name) as file:
                faults = detect_faults(file, min_gap=0.1, kinds=("silence", "stuck", "clipped"))
            (silence,) = (fault.gap for fault in faults if fault.kind == "silence")
            assert 30_000 - 100 <= silence.start <= 32_000
            assert 58_000 <= silence.stop <= 60_100
            clipped = [fault.gap for fault in faults if fault.kind == "clipped"]
            if gain == 1:
                assert len(faults) == 1
                continue
            inside = np.concatenate([np.arange(gap.start, gap.stop) for gap in clipped])
            assert np.isin(crests, inside).mean() > 0.4


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_coarse_codings_end_below_full_scale(subtype: str, tmp_path: Path) -> None:
    audio = np.random.default_rng(0).choice([-0.25, 0.25, 0.5], 8000)
    audio[2000:2010], audio[4000:4200] = 1, 0.3
    soundfile.write(tmp_path / "a.wav", audio, 8000, subtype=subtype)
    with AudioFile(tmp_path / "a.wav") as file:
        found = told(detect_faults(file, kinds=EXACT))
    assert found == [(2000, 2010, "clipped"), (4000, 4200, "stuck")]
