"""Opinion: who gets which sound to judge, with mos made up and with the real ones."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from audiomask.audio.files import read_audio
from audiomask.errors import DataError, DependencyError
from audiomask.evaluation.mos import OPINIONS, MOSPredictor

Signal = npt.NDArray[np.floating]
SONG = Path(__file__).parents[2] / "examples" / "song.wav"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Signal, Signal]]:
    """What made-up mos get, as (who, original, decoded); they answer the decoded peak."""
    calls: list[tuple[str, Signal, Signal]] = []

    class VisqolApi:
        def create(self, mode: str) -> None:
            assert mode == "audio"

        def measure_from_arrays(self, ref: Signal, deg: Signal, rate: int) -> SimpleNamespace:
            assert rate == 48_000
            assert ref.dtype == deg.dtype == np.float64
            calls.append(("visqol", ref, deg))
            # as the real one has it: no number for digital silence
            return SimpleNamespace(moslqo=np.abs(deg).max() if deg.any() else math.nan)

    def mos_from_signals(one: Signal, other: Signal) -> float:
        assert one.dtype == other.dtype == np.float32
        calls.append(("zimtohrli", one, other))
        return float(np.abs(other).max())

    for name, entry in (("visqol", VisqolApi), ("zimtohrli", mos_from_signals)):
        module = ModuleType(name)
        setattr(module, entry.__name__, entry)
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def steady(*levels: float, frames: int = 44_100) -> Tensor:
    """A channel at each level, [C, frames]."""
    return torch.tensor(levels, dtype=torch.float32)[:, None].expand(-1, frames)


def test_every_channel_is_judged_by_itself_at_48_khz(
    heard: list[tuple[str, Signal, Signal]],
) -> None:
    found = MOSPredictor().scores(steady(0.2, 0.4), steady(0.5, 0.7), 44_100)
    assert found.keys() == OPINIONS.keys()
    assert [who for who, *_ in heard] == ["visqol", "visqol", "zimtohrli", "zimtohrli"]
    for (_, original, decoded), (true, made) in zip(
        heard, [(0.5, 0.2), (0.7, 0.4)] * 2, strict=True
    ):
        assert original.shape == decoded.shape == (48_000,)
        assert original[24_000] == pytest.approx(true, abs=1e-3)
        assert decoded[24_000] == pytest.approx(made, abs=1e-3)
    peaks = {who: [decoded.max() for name, _, decoded in heard if name == who] for who in found}
    assert found == pytest.approx({who: sum(both) / 2 for who, both in peaks.items()})


def test_channels_that_are_silent_in_the_original_do_not_count(
    heard: list[tuple[str, Signal, Signal]],
) -> None:
    mos = MOSPredictor()
    found = mos.scores(
        steady(0.2, 0.4, 0.9, frames=48_000), steady(0, 0.7, 1e-4, frames=48_000), 48_000
    )
    assert found == pytest.approx({"visqol": 0.4, "zimtohrli": 0.4})
    with pytest.raises(DataError, match="silent in every channel"):
        mos.scores(steady(0.2), steady(0), 48_000)


def test_digital_silence_is_no_opinion_of_visqol(
    heard: list[tuple[str, Signal, Signal]],
) -> None:
    mos = MOSPredictor()
    with pytest.raises(DataError, match="digital silence"):
        mos.scores(steady(0), steady(0.5), 48_000)
    assert mos.zimtohrli(steady(0), steady(0.5), 48_000) == 0


@pytest.mark.parametrize("module", ["visqol", "zimtohrli"])
def test_what_is_not_installed_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, heard: list[tuple[str, Signal, Signal]], module: str
) -> None:
    MOSPredictor()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DependencyError, match=r"pip install .*visqol-python.*zimtohrli"):
        MOSPredictor()


@pytest.fixture(scope="module")
def judged() -> Callable[[float], dict[str, float]]:
    """``judged(ratio)``: real opinions on music with so much noise, or on the noise alone."""
    for module in ("visqol", "zimtohrli"):
        pytest.importorskip(module)
    mos = MOSPredictor()
    audio, rate = read_audio(SONG)
    music = audio[:1, 2 * rate : 4 * rate]
    noise = torch.randn(music.shape, generator=torch.Generator().manual_seed(0))
    noise *= music.square().mean().sqrt()

    def judge(ratio: float) -> dict[str, float]:
        decoded = noise if ratio == math.inf else music + ratio * noise
        return mos.scores(decoded, music, rate)

    return judge


@pytest.mark.parametrize("who", list(OPINIONS))
def test_real_listeners_tell_the_same_from_a_little_noise_from_noise_alone(
    who: str, judged: Callable[[float], dict[str, float]]
) -> None:
    same, mild, noise = (judged(ratio)[who] for ratio in (0.0, 0.01, math.inf))
    assert 4.6 < same <= 5
    assert noise < 3
    assert noise + 0.5 < mild < same
