"""What the decoder knows of a patch's past before it learns anything: predictions and residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.networks.wave.config import WaveConfig
from audiomask.networks.wave.mulaw import QUIETEST, step_at
from audiomask.networks.wave.predictors import Predictor, combine, combining_weights, gather

#: samples that a level is measured over, and those of the faster measure of residuals
LEVEL, FAST = 2048, 16


class PatchFeatures(NamedTuple):
    """Features of the samples of patches, all known before the sample itself.

    Attributes:
        past: normalized samples and residuals, [M, 1 + J, history + S - 1]: what each of the S
            samples of a patch sees is the ``history`` of them that end before it.
        numbers: others, [M, S, F].
        means: predictions, of all predictors combined and of each, [M, S, J].
        log_scales: natural logarithms of the residuals' usual size, [M, S, J].
    """

    past: Tensor
    numbers: Tensor
    means: Tensor
    log_scales: Tensor


def lines_of(config: WaveConfig) -> int:
    """How many predictions a sample has, J: of each predictor, and of all combined."""
    return len(config.orders) + 1


def number_of(config: WaveConfig) -> int:
    """How many ``numbers`` a sample has, F."""
    return 3 * lines_of(config) + 3


@torch.no_grad()
def patch_features(
    samples: Tensor, first: Tensor, number: int, config: WaveConfig
) -> PatchFeatures:
    """Features of the patches of some runs, which lie side by side in windows.

    Args:
        samples: the windows, [B, T].
        first: int64 [B, R], first patches of the runs.
        number: patches of a run.
        config: of the model.

    Returns:
        M = B * R * number patches, those of a run one after the other.
    """
    size, history = config.patch, config.history

    def windows(run: Tensor) -> Tensor:
        """Each patch of [B * R, before + number * size], and the ``history`` before it."""
        last = number * size + history
        return run[:, -last:].unfold(1, history + size, size).flatten(0, 1)

    starts = first * size
    own = windows(gather(samples, starts, history, number * size).flatten(0, 1))
    begins = (starts[..., None] + torch.arange(number, device=first.device) * size).flatten(1)
    level = gather(samples, begins, LEVEL, 0).flatten(0, 1).square().mean(dim=-1)
    level = level.sqrt().clamp_min(QUIETEST)[:, None]
    past, means, scales, fast = [torch.asinh(own / level)], [], [], []
    found = predict(samples, starts, number * size, config)
    for line in (found.combined, *found.refined):
        predicted = windows(line)
        error = own - predicted
        usual = error[:, :history].abs().mean(dim=-1, keepdim=True).clamp_min(QUIETEST)
        past.append(torch.asinh(error / usual))
        means.append(predicted[:, history:])
        sums = torch.nn.functional.pad(error.abs().double().cumsum(dim=-1), (1, 0))
        until = sums[:, history:-1]
        scales.append((until - sums[:, :size]) / history)
        fast.append((until - sums[:, history - FAST : history - FAST + size]) / FAST)
    past_all = torch.stack(past, dim=1)[..., :-1]
    return assemble(past_all, means, scales, fast, level)


def assemble(
    past: Tensor,
    means: Sequence[Tensor],
    slow: Sequence[Tensor],
    fast: Sequence[Tensor],
    level: Tensor,
) -> PatchFeatures:
    """Features of samples from their predictions and the predictors' errors so far.

    Args:
        past: as in the features.
        means: of each predictor, [M, S].
        slow, fast: the means of each predictor's absolute errors on the last ``history`` samples,
            and on the last few, [M, S].
        level: of each patch, [M, 1].
    """
    mean = torch.stack(list(means), dim=-1)
    usual = torch.stack(list(slow), dim=-1).float().clamp_min(QUIETEST)
    quick = torch.stack(list(fast), dim=-1).float().clamp_min(QUIETEST)
    main = usual[..., :1]
    # the distance between two levels at the prediction: about what is known of past samples
    step = step_at(mean[..., :1])
    numbers = [
        torch.asinh((mean[..., 1:] - mean[..., :1]) / main),
        (quick / usual).log(),
        (usual[..., 1:] / main).log(),
        (step / main).log(),
        torch.asinh(mean[..., :1] / level[..., None]),
        (main / level[..., None]).log(),
        main.log() / 4 + 1.5,
        level.log()[..., None].expand_as(main) / 4 + 0.75,
    ]
    return PatchFeatures(past, torch.cat(numbers, dim=-1), mean, usual.log())


class Reach(NamedTuple):
    """Samples before a run that are predicted as well, in whole patches.

    Attributes:
        lines: of the combined prediction, whose errors the decoder sees.
        refined: of each predictor, from which the combination's weights are estimated.
        far: of the long predictors, from which the short ones are estimated.
    """

    lines: int
    refined: int
    far: int

    @classmethod
    def of(cls, config: WaveConfig) -> Reach:
        """Those that the configuration takes."""

        def whole(samples: int) -> int:
            return -(-samples // config.patch) * config.patch

        lines = whole(config.history)
        refined = whole(lines + config.combine_span)
        return cls(lines, refined, whole(refined + config.refine_span + config.refine_order))


class _Predictions(NamedTuple):
    """Predictions of runs, and of ``Reach`` samples before them, at the end of which a run is.

    Attributes:
        combined: of all predictors combined, [M, Reach.lines + length].
        refined: of each predictor, a long one with its short one, [M, Reach.refined + length].
        far: of each long predictor alone, [M, Reach.far + length].
    """

    combined: Tensor
    refined: list[Tensor]
    far: list[Tensor]


def predict(samples: Tensor, starts: Tensor, length: int, config: WaveConfig) -> _Predictions:
    """The predictions of runs of samples.

    A prediction depends on the samples before its block alone, and blocks are those of the patches,
    so that it does not matter in which run a sample is.

    Args:
        samples: [B, T].
        starts: int64 [B, R], first samples of the runs, each a patch's.
        length: samples of a run, whole patches; 0 to predict what is before alone.
        config: of the model.

    Returns:
        M = B * R runs.
    """
    reach = Reach.of(config)
    # silence before the window, into which the runs reach
    padded = torch.nn.functional.pad(samples, (reach.far, 0))
    starts = starts + reach.far
    short = Predictor(config.refine_order, config.refine_span)
    refined, alone = [], []
    for order, span, block in zip(config.orders, config.spans, config.blocks, strict=True):
        long = Predictor(order, span)
        if order <= short.order:
            refined.append(_by_blocks(padded, starts, long, block, reach.refined, length))
            continue
        far = _by_blocks(padded, starts, long, block, reach.far, length)
        left = gather(padded, starts, reach.far, length).flatten(0, 1) - far
        begin = torch.full_like(starts.reshape(-1, 1), reach.far)
        more = _by_blocks(left, begin, short, config.refine_block, reach.refined, length)
        alone.append(far)
        refined.append(far[:, reach.far - reach.refined :] + more)
    own = gather(padded, starts, reach.refined, length).flatten(0, 1)
    every = [*refined, *(far[:, reach.far - reach.refined :] for far in alone)]
    combined = _combine(own, torch.stack(every, dim=-1), reach, config)
    return _Predictions(combined, refined, alone)


def _by_blocks(
    signal: Tensor, starts: Tensor, predictor: Predictor, block: int, before: int, length: int
) -> Tensor:
    """Predictions [B * R, before + length] around the beginnings of runs, estimated by blocks."""
    offsets = torch.arange(-before, length, block, device=starts.device)
    blocks = (starts[..., None] + offsets).flatten(1)
    return predictor.predict(signal, blocks, block).reshape(starts.numel(), -1)


def _combine(own: Tensor, predicted: Tensor, reach: Reach, config: WaveConfig) -> Tensor:
    """The combined predictions [M, Reach.lines + length] of samples [M, Reach.refined + length].

    Args:
        own: the samples.
        predicted: all predictions of them, [M, Reach.refined + length, J].
        reach: of the runs.
        config: of the model.
    """
    span, block = config.combine_span, config.combine_block
    first, number = reach.refined - reach.lines, own.shape[1] - reach.refined + reach.lines
    # the samples that each block's weights are estimated from
    past = predicted[:, first - span : -block].unfold(1, span, block).mT
    known = own[:, first - span : -block].unfold(1, span, block)
    weights = combining_weights(known, past)
    blocks = predicted[:, first:].reshape(len(own), number // block, block, -1)
    return combine(blocks, weights).flatten(1)
