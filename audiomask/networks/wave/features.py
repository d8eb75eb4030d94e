"""What the decoder knows of a patch's past before it learns anything: predictions and residuals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.networks.wave.config import WaveConfig
from audiomask.networks.wave.mulaw import QUIETEST, step_at
from audiomask.networks.wave.predictors import Predictor, gather

#: samples that a level is measured over, and those of the faster measure of residuals
LEVEL, FAST = 2048, 16


class PatchFeatures(NamedTuple):
    """Features of the samples of patches, all known before the sample itself.

    Attributes:
        past: normalized samples and residuals, [M, 1 + J, history + S - 1]: what each of the S
            samples of a patch sees is the ``history`` of them that end before it.
        numbers: others, [M, S, F].
        means: linear predictions, [M, S, J].
        log_scales: natural logarithms of the residuals' usual size, [M, S, J].
    """

    past: Tensor
    numbers: Tensor
    means: Tensor
    log_scales: Tensor


def number_of(config: WaveConfig) -> int:
    """How many ``numbers`` a sample has, F."""
    return 3 * len(config.orders) + 3


@torch.no_grad()
def patch_features(samples: Tensor, patches: Tensor, config: WaveConfig) -> PatchFeatures:
    """Features of some patches of windows.

    Args:
        samples: the windows, [B, T].
        patches: int64 [B, N], numbers of patches.
        config: of the model.

    Returns:
        M = B * N patches.
    """
    size, history = config.patch, config.history
    starts = patches * size
    own = gather(samples, starts, history, size).flatten(0, 1)
    level = gather(samples, starts, LEVEL, 0).flatten(0, 1).square().mean(dim=-1)
    level = level.sqrt().clamp_min(QUIETEST)[:, None]
    past, means, scales, fast = [torch.asinh(own / level)], [], [], []
    for predicted in _predictions(samples, starts, config):
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


def _predictions(samples: Tensor, starts: Tensor, config: WaveConfig) -> Iterator[Tensor]:
    """Each predictor's predictions [M, history + S] of patches and of the samples before them.

    What longer predictors leave over is predicted once more, by a short one that adapts faster.
    """
    size, history = config.patch, config.history
    short = Predictor(config.refine_order, config.refine_span)
    for order, span, block in zip(config.orders, config.spans, config.blocks, strict=True):
        long = Predictor(order, span)
        if order <= short.order:
            yield _predict(samples, starts, long, block, size, history)
            continue
        before = short.window + short.order + history
        predicted = _predict(samples, starts, long, block, size, before)
        left = gather(samples, starts, before, size).flatten(0, 1) - predicted
        begins = torch.full_like(starts.reshape(-1, 1), before)
        more = _predict(left, begins, short, config.refine_block, size, history)
        yield predicted[:, before - history :] + more


def _predict(
    samples: Tensor, starts: Tensor, predictor: Predictor, block: int, size: int, before: int
) -> Tensor:
    """Predictions [M, before + size] of patches and of the samples before them.

    A patch is predicted block by block; the samples before it by its first block's coefficients.
    """
    rows, number = starts.shape
    offsets = torch.arange(0, size, block, device=starts.device)
    blocks = (starts[..., None] + offsets).flatten(1)
    found = predictor.predict(samples, blocks, before, block)
    whole = found.view(rows * number, len(offsets), before + block)
    return torch.cat([whole[:, 0, :before], whole[:, :, before:].flatten(1)], dim=-1)
