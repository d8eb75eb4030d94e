"""Pairs of passages: is the second the continuation of the first?

BERT's next sentence prediction for music, as the frame transformer has it: a separator of
alternating ones and zeros lies between the halves of a window, and the frames on either side of it
are hidden, so that the joint itself tells nothing. Level and tone of the second half are matched to
the first's in all pairs, true ones too, so that loudness and timbre of a mix do not tell either.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.features import compress, reference
from audiomask.networks.spectrogram.masking import mask_value

#: bands over which the tone is averaged, as a share of all; largest change of it, in dB
_TONE_SHARE, _MOST_TONE_DB = 1 / 8, 15.0
#: power below which a band counts as silent, as a share of the mean
_FLOOR = 1e-6


def match(second: Tensor, first: Tensor) -> Tensor:
    """The second passage with the level and the broad spectrum of the first.

    Args:
        second, first: power [F, bands].

    Returns:
        power [F, bands] of the second passage.
    """
    levels = []
    for power in (first, second):
        mean = power.mean(dim=0)
        total = mean.mean().clamp_min(1e-12)
        levels.append((_smooth(mean) / total + _FLOOR, total))
    (tone, level), (other_tone, other_level) = levels
    most = 10 ** (_MOST_TONE_DB / 10)
    changed = second * (tone / other_tone).clamp(1 / most, most)
    # the level is exact whatever the tone's limits are
    own = changed.mean().clamp_min(1e-12)
    silent = (level <= 1e-12) | (other_level <= 1e-12)
    return torch.where(silent, second, changed * (level / own))


def _smooth(spectrum: Tensor) -> Tensor:
    """The average of a spectrum [bands] around each band."""
    half = max(1, round(len(spectrum) * _TONE_SHARE / 2))
    return F.avg_pool1d(spectrum[None], 2 * half + 1, 1, half, count_include_pad=False)[0]


def margin(config: SpectrogramConfig) -> int:
    """Frames beside a passage that its spectrum's windows reach into.

    Without them an end of a passage shows where it was cut.
    """
    return -(-config.stft_size // (2 * config.hop_length))


def middle(config: SpectrogramConfig) -> slice:
    """The frames in the middle of a window of halves that are separator or hidden."""
    reach = config.separator // 2 + config.blank
    half = config.window // 2
    return slice(half - reach, half + reach)


def separator(config: SpectrogramConfig) -> Tensor:
    """What the model gets in the middle of a window of halves, [frames of ``middle``, bands]."""
    span = middle(config)
    frames = torch.full((span.stop - span.start, config.bands), mask_value(config))
    alternating = (torch.arange(config.bands) + 1) % 2
    frames[config.blank : config.blank + config.separator] = alternating.to(frames.dtype)
    return frames


def join(first: Tensor, second: Tensor) -> Tensor:
    """A window of two halves, the second matched to the first, without separator.

    Args:
        first, second: power [window / 2, bands].

    Returns:
        power [window, bands].
    """
    return torch.cat([first, match(second, first)])


def pair_inputs(power: Tensor, config: SpectrogramConfig) -> Tensor:
    """What the model gets of joined halves: magnitudes, with separator and blanks in the middle.

    Args:
        power: of ``join``, [B, window, bands].
        config: of the model.

    Returns:
        [B, window, bands].
    """
    span = middle(config)
    known = torch.ones(power.shape[:2], dtype=torch.bool, device=power.device)
    known[:, span] = False
    features = compress(power, reference(power, known), config.exponent)
    features[:, span] = separator(config).to(features.device)
    return features
