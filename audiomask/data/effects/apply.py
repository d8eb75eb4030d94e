"""Application of effects to lines, in mono or stereo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from audiomask.data.effects.dynamics import amplify, compress
from audiomask.data.effects.modulation import modulate
from audiomask.data.effects.params import EffectParams
from audiomask.data.effects.sweeps import sweep


def apply_effects(lines: Tensor, effects: EffectParams) -> Tensor:
    """Lines with effects; those without any stay unchanged.

    Args:
        lines: [L, 1, T] or [L, C, T].
        effects: their parameters, for C channels.

    Returns:
        [L, C, T]
    """
    out = lines.clone()
    compressed = effects.threshold.isfinite()
    if compressed.any():
        out[compressed] = compress(
            out[compressed], effects.threshold[compressed], effects.ratio[compressed]
        )
    swept = effects.sweep_stages != 0
    if swept.any():
        out[swept] = sweep(
            out[swept],
            effects.sweep_stages[swept],
            effects.sweep_mix[swept],
            effects.sweep_low[swept],
            effects.sweep_high[swept],
            effects.sweep_rate[swept],
            effects.sweep_phase[swept],
        )
    modulated = effects.mod_mix > 0
    if modulated.any():
        out[modulated] = modulate(
            out[modulated],
            effects.mod_mix[modulated],
            effects.mod_delay[modulated],
            effects.mod_depth[modulated],
            effects.mod_rate[modulated],
            effects.mod_phase[modulated],
        )
    driven = effects.drive >= 0
    if driven.any():
        toned = _apply_curve(out[driven], effects.tone[driven])
        out[driven] = amplify(toned, effects.drive[driven], effects.bias[driven])
    panned = out * effects.gain[..., None]
    filtered = (
        (effects.wet > 0)
        | (effects.curve != 1).any(dim=1)
        | (effects.echo_gain > 0)
        | (effects.spread > 0)
    )
    if filtered.any():
        panned[filtered] = _filter_lines(out[filtered], _select(effects, filtered))
    return panned


def _select(effects: EffectParams, rows: Tensor) -> EffectParams:
    """The parameters of the lines in a bool [L], with all rooms."""
    chosen = {
        name: value if name == "reverb" else value[rows]
        for name, value in effects._asdict().items()
    }
    return EffectParams(**chosen)


def _apply_curve(lines: Tensor, curve: Tensor) -> Tensor:
    """Lines [L, C, T] filtered with zero phase by gains over frequency [L, EQ_POINTS]."""
    length = lines.shape[-1]
    size = next_fast_len(length, real=True)
    spectrum = torch.fft.rfft(lines, n=size)
    spectrum *= _resample_curve(curve, spectrum.shape[-1])[:, None]
    shaped: Tensor = torch.fft.irfft(spectrum, n=size)[..., :length]
    return shaped


def _resample_curve(curve: Tensor, bins: int) -> Tensor:
    """Gains over frequency [L, EQ_POINTS], interpolated to [L, bins]."""
    return F.interpolate(curve[:, None], bins, mode="linear", align_corners=True)[:, 0]


def _filter_lines(lines: Tensor, effects: EffectParams) -> Tensor:
    """Equalizer, cabinet, echo, spread, reverb and panning in one filter.

    Echoes beyond the end wrap around to the beginning.

    Args:
        lines: [L, 1, T] or [L, C, T].
        effects: their parameters, for C channels.

    Returns:
        [L, C, T]
    """
    length = lines.shape[-1]
    size = next_fast_len(length + effects.reverb.shape[-1], real=True)
    spectrum = torch.fft.rfft(lines, n=size)
    bins = spectrum.shape[-1]
    common = _resample_curve(effects.curve, bins).to(spectrum.dtype)
    echoing = effects.echo_gain > 0
    if echoing.any():
        repeat = effects.echo_gain[echoing, None] * _delay_phases(
            effects.echo_time[echoing], bins, size
        )
        common[echoing] /= 1 - repeat
    response = effects.gain[..., None].to(spectrum.dtype).expand(-1, -1, bins).clone()
    spread = effects.spread > 0
    if spread.any() and response.shape[1] == 2:
        copy = effects.spread[spread, None] * _delay_phases(effects.spread_time[spread], bins, size)
        response[spread] *= torch.stack([1 + copy, 1 - copy], dim=1)
    wet = effects.wet > 0
    if wet.any():
        reverb = torch.fft.rfft(effects.reverb, n=size)[effects.room[wet]]
        response[wet] += effects.wet[wet, None, None] * reverb
    response *= common[:, None]
    filtered: Tensor = torch.fft.irfft(spectrum * response, n=size)[..., :length]
    return filtered


def _delay_phases(delay: Tensor, bins: int, size: int) -> Tensor:
    """Frequency responses [L, bins] of delays [L] in samples, for an FFT of ``size``."""
    cycles = delay[:, None].double() * torch.arange(bins, device=delay.device) / size
    angle = -2 * torch.pi * cycles.frac().float()
    return torch.polar(torch.ones_like(angle), angle)
