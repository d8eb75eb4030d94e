"""Engine: several recordings at once are as each alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audiomask import Engine, InfillSettings
from audiomask.audio.gaps import Gap
from audiomask.audio.source import MemorySource
from audiomask.errors import AudiomaskError


def noise(samples: int, channels: int) -> MemorySource:
    audio = 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(samples))
    return MemorySource(audio, 44_100)


def test_gaps_of_several_recordings_are_filled_as_if_alone(tiny: Path) -> None:
    engine = Engine(tiny, "cpu")
    settings = InfillSettings("tokens", temperature=1.0, steps=2)
    work = [
        (noise(60_000, 1), [Gap(10_000, 15_000), Gap(30_000, 42_000)]),
        (noise(50_000, 2), [Gap(20_000, 26_000)]),
        (noise(40_000, 1), []),
        (noise(9000, 1), [Gap(4000, 5000)]),  # shorter than the model's window
    ]
    together = engine.infill_together(work, settings)
    assert [len(fillings) for fillings in together] == [2, 1, 0, 1]
    for (source, gaps), fillings in zip(work, together, strict=True):
        alone = list(engine.infill(source, gaps, settings))
        assert [filling.gap for filling in fillings] == gaps
        for one, other in zip(alone, fillings, strict=True):
            assert one.start == other.start
            assert torch.allclose(one.samples, other.samples, atol=1e-4)


def test_a_recording_that_is_all_gap_stops_the_others_too(tiny: Path) -> None:
    engine = Engine(tiny, "cpu")
    with pytest.raises(AudiomaskError, match="whole recording"):
        engine.infill_together([(noise(5000, 1), [Gap(0, 5000)])])
    assert engine.infill_group == 1


def test_loading_leaves_the_compiler_alone(tiny: Path) -> None:
    """Checking a checkpoint's shapes must not import what takes torch a second to import."""
    code = (
        "import sys; from pathlib import Path; from audiomask import Engine\n"
        f"engine = Engine(Path({str(tiny)!r}), 'cpu'); engine.vqvae; engine.mlm\n"
        "sys.exit(int('torch._dynamo' in sys.modules or 'sympy' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
