from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from audiomask.audio.pcm import BITS, count_clipped, quantize, requantize, to_floats, to_integers

WRITABLE = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"]
SAMPLES = npst.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 50)),
    elements=st.floats(-1.5, 1.5, width=32),
)


@pytest.mark.parametrize("subtype", sorted(BITS))
@given(samples=SAMPLES)
def test_quantising_first_changes_nothing_in_what_is_written(
    subtype: str, samples: np.ndarray
) -> None:
    audio = torch.from_numpy(samples)
    settled = quantize(audio, subtype)
    written = to_integers(audio, subtype)
    assert np.array_equal(to_integers(settled, subtype), written)
    assert np.array_equal(to_floats(written).astype(np.float32).T, settled.numpy())
    assert torch.equal(quantize(settled, subtype), settled)
    inside = audio.clamp(-1, 1)
    assert (settled - inside).abs().max() <= 1 / 2 ** (BITS[subtype] - 1)


@pytest.mark.parametrize("subtype", WRITABLE)
def test_integers_survive_libsndfile(subtype: str, tmp_path) -> None:
    audio = torch.empty(2, 999).uniform_(-1.2, 1.2, generator=torch.Generator().manual_seed(1))
    raw = to_integers(audio, subtype)
    soundfile.write(tmp_path / "a.wav", raw, 8000, subtype=subtype)
    back, _ = soundfile.read(tmp_path / "a.wav", dtype="int32")
    assert np.array_equal(back, raw)
    floats, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.array_equal(floats.T, quantize(audio, subtype).numpy())


def test_rounds_half_to_even_and_clips() -> None:
    step = 1 / 32768
    audio = torch.tensor([[0.5 * step, 1.5 * step, 2.5 * step, -0.5 * step, 7.0, -7.0]])
    raw = to_integers(audio, "PCM_16")[:, 0] >> 16
    assert raw.tolist() == [0, 2, 2, 0, 32767, -32768]


def test_what_is_no_number_becomes_silence_and_infinity_full_scale() -> None:
    audio = torch.tensor([[torch.nan, torch.inf, -torch.inf]])
    assert (to_integers(audio, "PCM_16")[:, 0] >> 16).tolist() == [0, 32767, -32768]


def test_floating_and_lossy_subtypes_leave_samples_alone() -> None:
    audio = torch.tensor([[0.1, 3.0]])
    for subtype in ("FLOAT", "DOUBLE", "VORBIS"):
        assert torch.equal(quantize(audio, subtype), audio)
    double = torch.tensor([[0.1]], dtype=torch.float64)
    assert torch.equal(quantize(double, "FLOAT"), double.float().double())
    with pytest.raises(ValueError, match="does not store integers"):
        to_integers(audio, "FLOAT")


def test_counts_samples_beyond_full_scale() -> None:
    audio = torch.tensor([[1.0, -1.0, 1.0001], [-2.0, 0.0, torch.nan]])
    assert count_clipped(audio, "PCM_16") == 2
    assert count_clipped(audio, "FLOAT") == 0


@given(
    raw=npst.arrays(np.int32, st.tuples(st.integers(0, 20), st.integers(1, 2))),
    subtype=st.sampled_from(WRITABLE),
)
def test_requantising_agrees_with_rounding_the_floats(raw: np.ndarray, subtype: str) -> None:
    exact = torch.from_numpy(to_floats(raw).T.copy())
    settled = requantize(raw, subtype)
    assert np.array_equal(settled, to_integers(exact, subtype))
    assert requantize(settled, subtype) is settled
