"""Linear predictors that adapt backwards: each is estimated from past samples alone.

The coefficients of a block of samples are those that suit the samples before it best, by the
autocorrelation method with a window that weighs the newest samples most. Whoever knows the past can
repeat the estimate, so nothing has to be told: a code length by these predictions is a true one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

#: share of the power that is added as white noise, which keeps the estimate well-conditioned
_NOISE = 1e-6
#: power below which there is nothing to predict
_FLOOR = 1e-9
#: share of the window that falls to its newest sample
_FALL = 1 / 16
#: ridge of a combination, as a share of the energy that the mean prediction leaves over
_RIDGE = 0.1


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
        size = next_fast_len(self.window + self.order, real=True)
        spectrum = torch.fft.rfft(past, size)
        power = spectrum.real.square() + spectrum.imag.square()
        lags = torch.fft.irfft(power, size)[..., : self.order + 1].double()
        lags[..., 0] = lags[..., 0] * (1 + _NOISE) + _FLOOR * self.window
        weights = levinson(lags).float()
        # rounded lags of pure tones may belong to no signal: such a predictor predicts nothing
        return torch.where(weights.isfinite().all(dim=-1, keepdim=True), weights, 0)

    def predict(self, samples: Tensor, starts: Tensor, length: int) -> Tensor:
        """Predictions [B, N, length] of the samples of blocks, each given all before it.

        Args:
            samples: [B, T].
            starts: int64 [B, N], first samples of the blocks.
            length: samples of a block.
        """
        weights = self.coefficients(samples, starts)
        past = gather(samples, starts - 1, self.order - 1, length)
        # a product of spectra is a convolution, as long as its end does not meet its beginning
        size = next_fast_len(past.shape[-1], real=True)
        spectrum = torch.fft.rfft(past, size) * torch.fft.rfft(weights, size)
        found: Tensor = torch.fft.irfft(spectrum, size)
        return found[..., self.order - 1 : past.shape[-1]]


def combining_weights(known: Tensor, predicted: Tensor) -> Tensor:
    """Weights [..., J] of several predictions' differences from their mean, by least squares.

    They are those that predict the newest samples best, newer ones more so. A ridge, relative to
    the error of the mean, keeps them small where predictions are nearly alike.

    Args:
        known: past samples, [..., span].
        predicted: the predictions of each, [..., span, J], made before it was known.
    """
    mean = predicted.mean(dim=-1, keepdim=True)
    apart, left = (predicted - mean).double(), (known[..., None] - mean).double()
    span = known.shape[-1]
    newer = ((torch.arange(span, device=known.device) + 0.5) / span).sqrt().double()[:, None]
    weighted = (apart * newer).mT
    energy = (left.square() * newer).sum(dim=(-2, -1))
    ridge = _RIDGE * energy + _FLOOR * span
    square = weighted @ apart
    square.diagonal(dim1=-2, dim2=-1).add_(ridge[..., None])
    weights: Tensor = torch.linalg.solve(square, weighted @ left)[..., 0]
    return weights.float()


def combine(predicted: Tensor, weights: Tensor) -> Tensor:
    """Combined predictions [..., T] of several [..., T, J], by weights [..., J]."""
    mean = predicted.mean(dim=-1, keepdim=True)
    found: Tensor = mean[..., 0] + ((predicted - mean) @ weights[..., None])[..., 0]
    return found


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

    The split Levinson recursion (Delsarte and Genin 1986, "The split Levinson algorithm"), which
    takes a third of the time of Levinson's and Durbin's: it is about the symmetric polynomials
    p_k(z) = a_k(z) + reversed a_k(z), of which half the coefficients are enough,

        p_k+1(z) = (1 + 1/z) p_k(z) - alpha_k / z p_k-1(z).

    Args:
        lags: [..., order + 1], positive definite.
    """
    order = lags.shape[-1] - 1
    # rows are next to each other, so that each step is about a few whole blocks of memory
    c = lags.reshape(-1, order + 1).T.contiguous()
    backwards = c.flip(0)
    before, now, after, sums = c.new_zeros(4, order // 2 + 2, c.shape[1]).unbind(0)
    before[0], now[0], least = 2, 1, c[0]
    for k in range(1, order + 1):
        half, middle = (k + 1) // 2, k // 2
        torch.add(c[:half], backwards[order - k : order - k + half], out=sums[:half])
        told = sums[:half].mul_(now[:half]).sum(dim=0)
        if half == middle:  # the coefficient in the middle is its own mirror image
            told = told + c[middle] * now[middle]
        else:
            now[half] = now[middle]
        after[0] = now[0]
        torch.add(now[1 : half + 1], now[:half], out=after[1 : half + 1])
        after[1 : half + 1].addcmul_(before[:half], told / least, value=-1)
        before, now, after, least = now, after, before, told
    last, one_before = _mirrored(now, order + 1), _mirrored(before, order)
    # (1 - 1/z) a(z) = p_order+1(z) - factor / z p_order(z), and vanishes at z = 1
    last[1:] -= one_before * (last.sum(dim=0) / one_before.sum(dim=0))
    weights: Tensor = -last.cumsum(dim=0)[1 : order + 1]
    return weights.T.reshape(*lags.shape[:-1], order)


def _mirrored(half: Tensor, degree: int) -> Tensor:
    """All coefficients of a symmetric polynomial, [degree + 1, ...], of its first half."""
    middle = degree // 2
    return torch.cat([half[: middle + 1], half[: degree - middle].flip(0)])


def _window(length: int, device: torch.device) -> Tensor:
    """Weights [length] of past samples: a slow rise, and a fast fall at the newest ones."""
    fall = max(round(length * _FALL), 1)
    rise = length - fall
    up = torch.sin(torch.pi / 2 * (torch.arange(rise, device=device) + 0.5) / rise)
    down = torch.cos(torch.pi / 2 * (torch.arange(fall, device=device) + 0.5) / fall)
    return torch.cat([up, down])
