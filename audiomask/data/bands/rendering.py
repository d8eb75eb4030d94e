"""Rendering: from plans and a note bank's samples to mixtures and stems.

Notes are placed in one of two ways with the same result: slice by slice with NumPy, the fastest
on a CPU, or all at once with gathers and scatters, which a GPU does for a whole batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiomask.data.bands.render_plan import FADE, RenderPlan
from audiomask.data.effects import apply_effects
from audiomask.data.excerpt import Excerpt, rms, scale_to_rms
from audiomask.data.mastering import master

_Audio = npt.NDArray[np.float32]

#: a sample of a bank's 16-bit integers
_STEP = 1 / 32768
#: a line quieter than this is not made loud
_SILENCE = 1e-5
#: the level of a note from when it is let go
_FALL = np.square(1 - np.arange(FADE, dtype=np.float32) / FADE)
#: samples gathered at once: about forty bytes of GPU memory each
CHUNK = 1 << 25


def render(plan: RenderPlan, notes: Tensor, stems: int, samples: int) -> Excerpt:
    """Play a plan.

    Args:
        plan: what is played, on the device of ``notes``.
        notes: the bank's samples, int16 [total].
        stems: how many places for stems there are, that of the rest included.
        samples: length T of an excerpt.

    Returns:
        Excerpts of I items: mixtures [I, C, T], stems [I, stems, C, T].
    """
    lines = apply_effects(_place_notes(plan, notes, samples)[:, None], plan.effects)
    loud = rms(lines)
    gain = torch.where(loud > _SILENCE, plan.level / loud.clamp_min(_SILENCE), 0)
    channels = lines.shape[1]
    out = lines.new_zeros(plan.items * stems, channels, samples)
    out.index_add_(0, plan.item * stems + plan.slot, lines * gain[:, None, None])
    balanced = out.view(plan.items, stems, channels, samples)
    return scale_to_rms(master(balanced, plan.master), plan.rms_db)


def _place_notes(plan: RenderPlan, notes: Tensor, samples: int) -> Tensor:
    """The lines [L, T] of a plan before any effect, notes int16 [total]."""
    if notes.is_cuda:
        return gather_notes(plan, notes, samples)
    return torch.from_numpy(add_notes(plan, notes.numpy(), samples))


def add_notes(plan: RenderPlan, notes: npt.NDArray[np.int16], samples: int) -> _Audio:
    """Place notes one after the other; each is resampled once per pitch, however often it comes."""
    out = np.zeros((plan.lines, samples), dtype=np.float32)
    columns = (plan.start, plan.ratio, plan.line, plan.onset, plan.length, plan.held, plan.gain)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    longest: dict[tuple[int, float], int] = {}
    for start, ratio, _, _, length, _, _ in rows:
        longest[start, ratio] = max(longest.get((start, ratio), 0), length)
    reach: dict[float, int] = {}
    for (_, ratio), length in longest.items():
        reach[ratio] = max(reach.get(ratio, 0), length)
    steps = {ratio: positions(ratio, length) for ratio, length in reach.items()}
    tones: dict[tuple[int, float], _Audio] = {}
    for start, ratio, line, onset, length, held, gain in rows:
        tone = tones.get((start, ratio))
        if tone is None:
            tone = read_note(notes, start, longest[start, ratio], ratio, *steps[ratio])
            tones[start, ratio] = tone
        first = max(-onset, 0)
        heard = np.float32(gain) * tone[first:length]
        if held < length:
            dying = max(held, first)
            heard[dying - first :] *= _FALL[dying - held : length - held]
        out[line, onset + first : onset + length] += heard
    return out


def positions(ratio: float, length: int) -> tuple[npt.NDArray[np.intp], _Audio]:
    """The recorded sample before each of ``length`` played ones, and how far behind it is."""
    where = np.arange(length) * ratio
    before = where.astype(np.intp)
    return before, (where - before).astype(np.float32)


def read_note(
    notes: npt.NDArray[np.int16],
    start: int,
    length: int,
    ratio: float,
    before: npt.NDArray[np.intp],
    behind: _Audio,
) -> _Audio:
    """``length`` samples of a note at another pitch, interpolated linearly."""
    if ratio == 1:
        return notes[start : start + length].astype(np.float32) * np.float32(_STEP)
    last = int(before[length - 1]) + 2 if length else 0
    source = notes[start : start + last].astype(np.float32)
    source *= np.float32(_STEP)
    tone = source[before[:length]]
    slope = np.diff(source)[before[:length]]
    slope *= behind[:length]
    tone += slope
    return tone


def gather_notes(plan: RenderPlan, notes: Tensor, samples: int) -> Tensor:
    """Place all notes at once, in chunks of at most about ``CHUNK`` samples.

    On a GPU, samples that coincide are added in no fixed order: the last bit may differ from one
    run to the next.
    """
    out = torch.zeros(plan.lines * samples, device=notes.device)
    ends = plan.length.cumsum(0)
    chunk = torch.div(ends, CHUNK, rounding_mode="floor")
    for number in torch.unique(chunk).tolist():
        which = chunk == number
        length, held = plan.length[which], plan.held[which]

        def repeat(values: Tensor, counts: Tensor = length) -> Tensor:
            return values.repeat_interleave(counts)

        begins = length.cumsum(0) - length
        index = torch.arange(int(length.sum()), device=notes.device) - repeat(begins)
        position = index * repeat(plan.ratio[which])
        before = position.long()
        behind = (position - before).float()
        source = repeat(plan.start[which]) + before
        value = notes[source].float()
        # a note played as recorded may end with its recording: nothing lies between its samples
        after = notes[torch.where(behind > 0, source + 1, source)].float()
        value = (value + behind * (after - value)) * (_STEP * repeat(plan.gain[which]))
        left = 1 - (index - repeat(held)).clamp_min(0) / FADE
        target = index + repeat(plan.onset[which])
        inside = (target >= 0) & (target < samples)
        target = target + repeat(plan.line[which]) * samples
        out.index_add_(0, target[inside], (value * left * left)[inside])
    return out.view(plan.lines, samples)
