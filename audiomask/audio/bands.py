"""Bands and bins beside each other: sums into mel-spaced bands, and masks to_bins over bins.

A bin belongs to two bands, so that a matrix of all bins by all bands is nearly all zeros. Here it
is cut into blocks: neighbouring bins with the few bands that they belong to. Spectra lie frame by
frame, each bin's real and imaginary part beside each other, as transforms leave them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: bands of a block at most: products of so few cost little, and so do so few products
BLOCK_BANDS = 32


@dataclass(frozen=True)
class BandBlock:
    """Neighbouring bins and the bands that they belong to.

    Attributes:
        parts: where the bins' real and imaginary parts lie in a frame.
        bands: where the bands lie.
        weights: of each band in each part, [bands, parts].
    """

    parts: slice
    bands: slice
    weights: Tensor


class Bands:
    """How bins share bands, as quick as it can be.

    Args:
        weights: [bins, bands], as ``band_weights`` gives them: a bin's bands are neighbours.
    """

    def __init__(self, weights: Tensor) -> None:
        bins, self.number = weights.shape
        self.parts = 2 * bins
        self.blocks: list[BandBlock] = []
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
            some = slice(min(low, high), high)
            own = weights[begin:end, some].T.repeat_interleave(2, dim=1).contiguous()
            self.blocks.append(BandBlock(slice(2 * begin, 2 * end), some, own))
            begin = end

    def to_bins(self, values: Tensor, out: Tensor) -> None:
        """Interpolate bands onto bins, each value twice: for the real and the imaginary part.

        Args:
            values: [F, bands].
            out: written to, [F, 2 * bins].
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
    """Real and imaginary parts [..., 2 * bins] of a contiguous spectrum [..., bins], in place."""
    return torch.view_as_real(spectrum).flatten(-2)


def as_complex(parts: Tensor) -> Tensor:
    """The spectrum [..., bins] that contiguous real and imaginary parts [..., 2 * bins] are."""
    return torch.view_as_complex(parts.view(*parts.shape[:-1], -1, 2))
