"""Sums of bins into mel-spaced bands, and interpolation of bands onto bins, in blocks.

A bin belongs to two bands, so that the matrix of all bins by all bands is nearly all zeros. It is
cut into blocks of neighbouring bins and their few bands. Spectra are frame by frame, each bin's
real and imaginary part next to each other, as FFTs return them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: most bands of a block: small products, and few of them
BLOCK_BANDS = 32


@dataclass(frozen=True)
class _BandBlock:
    """Neighbouring bins and the bands that they belong to.

    Attributes:
        parts: range of the bins' real and imaginary parts in a frame.
        bands: range of the bands.
        weights: [bands, parts].
    """

    parts: slice
    bands: slice
    weights: Tensor


class Bands:
    """The weights of bins in bands, as blocks.

    Args:
        weights: [bins, bands], as ``band_weights`` gives them: a bin's bands are neighbours.
    """

    def __init__(self, weights: Tensor) -> None:
        bins, self.number = weights.shape
        self.parts = 2 * bins
        self.blocks: list[_BandBlock] = []
        used = weights.cpu() != 0
        lowest = used.int().argmax(dim=1).tolist()
        above = (self.number - used.flip(1).int().argmax(dim=1)).tolist()
        idle = (~used.any(dim=1)).tolist()
        begin = 0
        while begin < bins:
            low, high, end = self.number, 0, begin
            while end < bins:
                if not idle[end]:
                    lower, upper = min(low, lowest[end]), max(high, above[end])
                    if upper - lower > BLOCK_BANDS and high:
                        break
                    low, high = lower, upper
                end += 1
            bands = slice(min(low, high), high)
            block = weights[begin:end, bands].T.repeat_interleave(2, dim=1).contiguous()
            self.blocks.append(_BandBlock(slice(2 * begin, 2 * end), bands, block))
            begin = end

    def to_bins(self, values: Tensor, out: Tensor) -> None:
        """Interpolate bands onto bins, each value twice: for the real and the imaginary part.

        Args:
            values: [F, bands].
            out: receives the result, [F, 2 * bins].
        """
        for block in self.blocks:
            torch.mm(values[:, block.bands], block.weights, out=out[:, block.parts])

    def to_bands(self, squares: Tensor) -> Tensor:
        """Sum the squares of real and imaginary parts [F, 2 * bins] into bands [F, bands]."""
        found = squares.new_zeros(len(squares), self.number)
        for block in self.blocks:
            found[:, block.bands].addmm_(squares[:, block.parts], block.weights.T)
        return found


def as_parts(spectrum: Tensor) -> Tensor:
    """View of a contiguous spectrum [..., bins] as real and imaginary parts [..., 2 * bins]."""
    return torch.view_as_real(spectrum).flatten(-2)


def as_complex(parts: Tensor) -> Tensor:
    """View of contiguous real and imaginary parts [..., 2 * bins] as a spectrum [..., bins]."""
    return torch.view_as_complex(parts.view(*parts.shape[:-1], -1, 2))
