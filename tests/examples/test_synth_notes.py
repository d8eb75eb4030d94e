"""The script that synthesizes basses: notes at their pitch and loudness, the same every time."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

SCRIPT = Path(__file__).parents[2] / "examples" / "synth_notes.py"


@pytest.fixture(scope="module")
def script():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("synth_notes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["synth_notes"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["synth_notes"]


def plain(script, **settings):
    """A synthesizer of one saw without effects."""
    usual = {
        **{"shape": "saw", "voices": 1, "detune": 0.0, "sub": 0.0, "modulation": 0.0},
        **{"ratio": 1.0, "cutoff": 8.0, "sweep": 0.0, "sweep_decay": 0.1, "resonance": 0.7},
        **{"decay": 30.0, "drive": 0.0, "click": 0.0},
    }
    return script.Synth(**usual | settings)


def loudest_hz(script, note):
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
    return np.argmax(spectrum) * script.SAMPLE_RATE / len(note)


@pytest.mark.parametrize("shape", ["saw", "pulse", "triangle", "sine"])
def test_a_note_has_its_pitch(script, shape):
    note = script.render(plain(script, shape=shape), 45, 100, default_rng(0))
    assert loudest_hz(script, note) == pytest.approx(110, abs=1)
    assert len(note) == script.LENGTH
    assert note[-1] == 0


def test_a_harder_note_is_louder(script):
    soft, hard = (script.render(plain(script), 45, v, default_rng(0)) for v in (40, 120))
    assert np.abs(soft).max() < np.abs(hard).max() < 1


def test_the_filter_sweeps_down(script):
    synth = plain(script, cutoff=1.5, sweep=5.0, sweep_decay=0.2)
    note = script.render(synth, 33, 120, default_rng(0))
    above = []
    for start in (0.02, 1.5):
        part = note[int(start * script.SAMPLE_RATE) :][: script.SAMPLE_RATE // 5]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        at = np.fft.rfftfreq(len(part), 1 / script.SAMPLE_RATE)
        above.append(power[at > 440].sum() / power.sum())
    assert above[0] > 10 * above[1]


def test_the_same_seed_draws_the_same_synthesizer(script):
    drawn = [script.draw(default_rng((seed, 3))) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_existing_libraries_are_kept(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PITCHES", (40,))
    monkeypatch.setattr(script, "VELOCITIES", (100,))
    kept = tmp_path / "bass" / "synth0"
    kept.mkdir(parents=True)
    script.main(tmp_path, basses=2)
    assert not list(kept.iterdir())
    assert [p.name for p in (tmp_path / "bass" / "synth1").iterdir()] == ["40_v100.ogg"]
