"""Bands in blocks: the same as by the whole matrix."""

import pytest
import torch

from audiomask.audio import bands as module
from audiomask.audio.bands import Bands, as_complex, as_parts
from audiomask.audio.spectra import band_weights, from_bands, to_bands


@pytest.fixture(params=[(129, 4000.0, 64), (2049, 22050.0, 256), (2241, 96000.0, 256)])
def weights(request: pytest.FixtureRequest) -> torch.Tensor:
    bins, nyquist, number = request.param
    return band_weights(bins, nyquist, number, 22050.0)


def test_spread_over_bins(weights: torch.Tensor) -> None:
    values = torch.rand(9, weights.shape[1])
    out = torch.full((9, 2 * len(weights)), torch.nan)
    Bands(weights).to_bins(values, out)
    expected = from_bands(values.T, weights).T
    assert torch.allclose(out[:, ::2], expected, atol=1e-6)
    assert torch.equal(out[:, ::2], out[:, 1::2])


def test_collected_from_bins(weights: torch.Tensor) -> None:
    squares = torch.rand(9, 2 * len(weights))
    power = squares[:, ::2] + squares[:, 1::2]
    found = Bands(weights).to_bands(squares)
    assert torch.allclose(found, to_bands(power.T, weights).T, rtol=1e-5, atol=1e-5)


def test_bins_of_no_band_get_nothing() -> None:
    weights = band_weights(129, 4000.0, 64, 4000.0).clone()
    weights[:3] = weights[50] = weights[-1] = 0
    out = torch.full((2, 258), torch.nan)
    Bands(weights).to_bins(torch.ones(2, 64), out)
    assert torch.allclose(out[0, ::2], weights.sum(dim=1))


def test_pieces_cover_all_bins_with_few_bands_each(weights: torch.Tensor) -> None:
    blocks = Bands(weights).blocks
    assert [p.parts.start for p in blocks[1:]] == [p.parts.stop for p in blocks[:-1]]
    assert (blocks[0].parts.start, blocks[-1].parts.stop) == (0, 2 * len(weights))
    assert max(p.bands.stop - p.bands.start for p in blocks) <= module.BLOCK_BANDS


def test_parts_of_complex_numbers_are_the_same_memory() -> None:
    spectrum = torch.randn(2, 3, 5, dtype=torch.complex64)
    parts = as_parts(spectrum)
    assert parts.shape == (2, 3, 10)
    assert torch.equal(parts[..., ::2], spectrum.real)
    parts *= 2
    assert torch.equal(as_complex(parts), spectrum)
    assert as_complex(parts).data_ptr() == spectrum.data_ptr()
