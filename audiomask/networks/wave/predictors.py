"""Linear predictors that adapt backwards: each is estimated from past samples alone.

The coefficients of a block of samples are those that suit the samples before it best, by the
autocorrelation method with a window that weighs the newest samples most. Whoever knows the past can
repeat the estimate, so nothing has to be told: a code length by these predictions is a true one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

#: share of the power that is added as white noise, which keeps the estimate well-conditioned
_NOISE = 1e-6
#: power below which there is nothing to predict
_FLOOR = 1e-9
#: share of the window that falls to its newest sample
_FALL = 1 / 16


class Predictor(NamedTuple):
    """A linear predictor.

    Attributes:
        order: number of past samples that a prediction is made of.
        window: samples before a block that its coefficients are estimated from.
    """

    order: int
    window: int

    def coefficients(self, samples: Tensor, starts: Tensor) -> Tensor:
        """Weights [B, N, order] of the past samples, the newest first.

        Args:
            samples: [B, T].
            starts: int64 [B, N], first samples of the blocks.
        """
        past = gather(samples, starts, self.window, 0) * _window(self.window, samples.device)
        size = 1 << (self.window + self.order).bit_length()
        spectrum = torch.fft.rfft(past, size)
        power = spectrum.real.square() + spectrum.imag.square()
        lags = torch.fft.irfft(power, size)[..., : self.order + 1].double()
        lags[..., 0] = lags[..., 0] * (1 + _NOISE) + _FLOOR * self.window
        return levinson(lags).float()

    def predict(self, samples: Tensor, starts: Tensor, before: int, length: int) -> Tensor:
        """Predictions [B, N, before + length] of the samples around the beginnings of blocks.

        Args:
            samples: [B, T].
            starts: int64 [B, N], first samples of the blocks.
            before: samples before a block to predict as well, by the block's own coefficients.
            length: samples of a block.
        """
        weights = self.coefficients(samples, starts)
        return self.apply(weights, samples, starts, before, length)

    def apply(
        self, weights: Tensor, samples: Tensor, starts: Tensor, before: int, length: int
    ) -> Tensor:
        """Predictions as ``predict`` makes them, by known coefficients [B, N, order]."""
        past = gather(samples, starts - 1, before + self.order - 1, length)
        # a product of spectra is a convolution, as long as its end does not meet its beginning
        size = 1 << (past.shape[-1] - 1).bit_length()
        spectrum = torch.fft.rfft(past, size) * torch.fft.rfft(weights, size)
        found: Tensor = torch.fft.irfft(spectrum, size)
        return found[..., self.order - 1 : past.shape[-1]]


def gather(samples: Tensor, starts: Tensor, before: int, after: int) -> Tensor:
    """Samples [start - before, start + after) around each start, zeros before the first one.

    Args:
        samples: [B, T].
        starts: int64 [B, N].

    Returns:
        [B, N, before + after].
    """
    padded = F.pad(samples, (before + 1, after))
    views = padded.unfold(-1, before + after, 1)
    rows = torch.arange(len(samples), device=samples.device)[:, None]
    return views[rows, starts + 1]


def levinson(lags: Tensor) -> Tensor:
    """The coefficients [..., order] of the best predictor of a signal with autocorrelations.

    Levinson's and Durbin's recursion: the order grows by one in every round.

    Args:
        lags: [..., order + 1], positive definite.
    """
    order = lags.shape[-1] - 1
    weights = torch.zeros_like(lags[..., :0])
    error = lags[..., :1]
    for n in range(order):
        told = (weights * lags[..., 1 : n + 1].flip(-1)).sum(-1, keepdim=True)
        reflection = (lags[..., n + 1 : n + 2] - told) / error
        weights = torch.cat([weights - reflection * weights.flip(-1), reflection], dim=-1)
        error = error * (1 - reflection.square()).clamp_min(1e-9)
    return weights


def _window(length: int, device: torch.device) -> Tensor:
    """Weights [length] of past samples: a slow rise, and a fast fall at the newest ones."""
    fall = max(round(length * _FALL), 1)
    rise = length - fall
    up = torch.sin(torch.pi / 2 * (torch.arange(rise, device=device) + 0.5) / rise)
    down = torch.cos(torch.pi / 2 * (torch.arange(fall, device=device) + 0.5) / fall)
    return torch.cat([up, down])
