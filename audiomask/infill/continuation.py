"""Continuation of recordings by the language model (AudioLM, Borsos et al. 2022, section III).

Semantic tokens of the last seconds go on; coarse acoustic tokens follow them; fine ones complete
these, by a stage of the language model or, in parallel, by the masked language model (SoundStorm,
Borsos et al. 2023). Then the tokens are decoded in phase with the end of the recording.

Tokens are of the mean channel: all channels get the same continuation, each at its own level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.codec.semantic import semantic_tokens
from audiomask.errors import ConfigError
from audiomask.infill.choice import Choice
from audiomask.infill.context import GapContext, ramp
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.ranking import Ranker
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.networks.lm.model import TokenLM
from audiomask.networks.lm.sampling import generate
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches

#: seconds of sound whose level a continuation takes, over which that sets in, and by how many dB it
#: is raised at most
_LEVEL_SECONDS, _ONSET, _RAISED = 10.0, 0.25, 12.0
#: power of silence
_SILENCE = 1e-10


@dataclass(frozen=True)
class Stages:
    """The models of a continuation, in evaluation mode.

    Attributes:
        coarse: the stage coarse, or acoustic where there is no plan.
        semantic, spectrogram: the stage semantic and what its tokens are made by; None without a
            plan.
        fine: the stage fine; None where the masked language model takes its place.

    Raises:
        ConfigError: they do not fit together.
    """

    coarse: TokenLM
    semantic: TokenLM | None = None
    spectrogram: SpectrogramModel | None = None
    fine: TokenLM | None = None

    def __post_init__(self) -> None:
        own = self.coarse.config.coarse_levels
        if self.fine is not None and self.fine.config.coarse_levels != own:
            raise ConfigError(
                f"coarse_levels is {self.fine.config.coarse_levels} in lm-fine, but {own} in "
                f"lm-{self.coarse.config.stage}"
            )


class Continuer(Infiller):
    """Fills the room after recordings.

    Args:
        stages: of the language model.
        vqvae, mlm, device, settings, batches, ranking: as of ``Infiller``; the MLM makes fine
            levels where there is no stage for that.
    """

    def __init__(
        self,
        stages: Stages,
        vqvae: AnyVQVAE,
        mlm: MaskedLM | None,
        device: torch.device,
        settings: InfillSettings,
        batches: AdaptiveBatches | None = None,
        ranking: Ranker | None = None,
    ) -> None:
        super().__init__(vqvae, mlm, device, settings, batches, ranking=ranking)
        self.stages, self.tokenizer = stages, vqvae
        self.rate, self.hop = vqvae.config.sample_rate, vqvae.config.hop_length

    @property
    def levels(self) -> int:
        """Levels of tokens that are written: all, but where the MLM knows fewer."""
        if self.stages.fine is not None or self.mlm is None:
            return self.tokenizer.config.levels
        return super().levels

    @property
    def reach(self) -> int:
        """Frames of the recording that are read: as many as any of the models sees."""
        coarse, semantic = self.stages.coarse.config, self.stages.semantic
        windows = [coarse.window]
        if semantic is not None:
            windows.append(coarse.condition_step * (semantic.config.window + 2))
        if self.mlm is not None:
            windows.append(super().reach)
        return max(windows)

    def fill_gap(
        self,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        fades: tuple[int, int],
        choice: Choice,
    ) -> Filling:
        """The filling of the room after a recording, or of a part of it."""
        filling = super().fill_gap(source, gap, gaps, fades, choice)
        return replace(filling, method=str(InfillMethod.lm))

    def _match_level(
        self, made: Tensor, span: Gap, source: AudioSource, gap: Gap, gaps: Sequence[Gap]
    ) -> Tensor:
        """A continuation [C, n] as loud as the sound before it, channel by channel.

        It may have dynamics of its own: one gain is for all of it, and sets in after its beginning.
        """
        rate = source.sample_rate
        before = source.read(max(gap.start - round(_LEVEL_SECONDS * rate), 0), gap.start)
        goal = before.nan_to_num().square().mean(dim=1, keepdim=True) + _SILENCE
        own = made.square().mean(dim=1, keepdim=True) + _SILENCE
        decibels = (10 * (goal / own).log10()).clamp_max(_RAISED)
        share = torch.ones(made.shape[1])
        onset = min(round(_ONSET * rate), made.shape[1])
        share[:onset] = ramp(onset)
        return made * 10 ** (decibels * share / 20)

    def _predict_gap_tokens(
        self, codes: Tensor, vectors: Tensor, context: GapContext, gap: Gap
    ) -> int:
        """Fill continuations' codes and vectors in place; returns 1.

        Args:
            codes: [candidates * C, levels, F].
            vectors: code vectors [candidates * C, F, D].
            context: the frames' context.
            gap: its start and the seed decide the random numbers.
        """
        mono = context.samples.mean(dim=0, keepdim=True)
        with torch.inference_mode():
            # the encoder reaches into the room, which holds a mirror image
            near = (context.first + self.tokenizer.config.context) * self.hop
            known = self.tokenizer.encode(mono[:, :near].to(self.device), self.levels).long()
            known = known[..., : context.first]
            channels = len(context.samples)
            new = slice(context.first, context.last)
            for number in range(len(codes) // channels):
                seed = (1009 * self.settings.seed + number << 20) ^ gap.start
                draw = torch.Generator().manual_seed(seed)
                made = self._continue(known, mono, context, draw)
                rows = slice(number * channels, (number + 1) * channels)
                vectors[rows, new] = self.tokenizer.vectors(made)
                codes[rows, : made.shape[1], new] = made.to(codes.dtype)
        return 1

    def _continue(
        self, known: Tensor, mono: Tensor, context: GapContext, draw: torch.Generator
    ) -> Tensor:
        """New codes [1, levels, F] of the frames [first, last).

        Args:
            known: codes of the frames before, [1, levels, first].
            mono: the samples [1, T] of all frames; those of the new ones are not read.
            context: says which frames are new.
            draw: random numbers.
        """
        stage = self.stages.coarse
        config, number = stage.config, context.last - context.first
        # from where frames are whole semantic tokens, counted from the recording's beginning
        unit = config.condition_step
        skipped = -(context.offset // self.hop) % unit
        begin = skipped + max(context.first - skipped - config.window, 0) // unit * unit
        condition = torch.zeros(1, 0, 0, dtype=torch.int64, device=self.device)
        if self.stages.semantic is not None:
            plan = self._plan(mono, skipped, context, draw)
            condition = plan[..., (begin - skipped) // unit :]
        coarse = known[:, : config.coarse_levels]
        coarse = torch.cat(
            [coarse, self._sample(stage, coarse[..., begin:], condition, number, draw)], dim=2
        )
        fine = self.stages.fine
        if fine is not None:
            start = max(context.first - fine.config.window, 0)
            prompt = known[:, config.coarse_levels :, start:]
            rest = self._sample(fine, prompt, coarse[..., start:], number, draw)
            return torch.cat([coarse[..., context.first :], rest], dim=1)
        if self.mlm is None:
            return coarse[..., context.first :]
        return self._complete(self.mlm, known, coarse, draw)

    def _sample(
        self, stage: TokenLM, prompt: Tensor, condition: Tensor, steps: int, draw: torch.Generator
    ) -> Tensor:
        """New tokens of a stage; see ``generate``."""
        settings = self.settings
        return generate(stage, prompt, condition, steps, settings.temperature, settings.top_p, draw)

    def _plan(
        self, mono: Tensor, skipped: int, context: GapContext, draw: torch.Generator
    ) -> Tensor:
        """Semantic tokens [1, 1, N] from frame ``skipped`` to the last new frame, at least."""
        semantic, spectrogram = self.stages.semantic, self.stages.spectrogram
        assert semantic is not None
        assert spectrogram is not None
        hop = semantic.config.hop_length
        unit = hop // self.hop
        number = (context.first - skipped) // unit
        begin = skipped * self.hop
        sound = mono[:, begin : begin + number * hop]
        prompt = torch.zeros(1, 1, 0, dtype=torch.int64)
        if number:
            source = MemorySource(sound, self.rate)
            prompt = semantic_tokens(spectrogram, source, self.device, "").codes.long()
        prompt = prompt.to(self.device)
        steps = -(-(context.last - skipped) // unit) - number
        none = prompt[:, :0]
        return torch.cat([prompt, self._sample(semantic, prompt, none, steps, draw)], dim=2)

    def _complete(
        self, mlm: MaskedLM, known: Tensor, coarse: Tensor, draw: torch.Generator
    ) -> Tensor:
        """New codes [1, levels, F] of coarse ones, the fine levels by the MLM, all at once.

        Args:
            mlm: the masked language model.
            known: codes of the frames before, [1, levels, first].
            coarse: of all frames, [1, coarse levels, frames].
            draw: random numbers.
        """
        first, frames, window = known.shape[2], coarse.shape[2], mlm.config.window
        blank = known.new_full((1, self.levels, frames), mlm.vocabulary.mask)
        blank[..., :first] = known
        blank[:, : coarse.shape[1]] = coarse
        half = max(window // 2, 1)
        for start in range(first, frames, half):
            stop = min(start + half, frames)
            low = max(min(start - (window - (stop - start)) // 2, frames - window), 0)
            view = slice(low, low + window)
            inside = torch.zeros(1, blank[..., view].shape[2], dtype=torch.bool, device=self.device)
            inside[:, start - low : stop - low] = True
            found = iterative_decode(
                mlm,
                blank[..., view],
                inside,
                self.settings.steps,
                self.settings.temperature,
                PerRecordingNoise([(draw, 1, 1)]),
                known_levels=coarse.shape[1],
            )
            blank[..., start:stop] = found.ids[..., start - low : stop - low]
        return blank[..., first:]
