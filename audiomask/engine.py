"""The engine, which every subcommand uses: it loads the models and runs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from audiomask.audio.source import AudioSource
from audiomask.checkpoint import CheckpointLibrary, ModelLoader, bundled_folder, read_config
from audiomask.codec.semantic import semantic_tokens
from audiomask.codec.tokenizer import detokenize, tokenize
from audiomask.errors import CheckpointError, TokensError, UsageError
from audiomask.infill.by_stem import StemInfiller
from audiomask.infill.detection.surprise import Surprise, WaveCosts, find_surprises
from audiomask.infill.extension import ExtendedSource, Extension
from audiomask.infill.extension_plan import fill_extension
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.opening import open_infiller, sample_model
from audiomask.infill.settings import FORWARDS_ALONE, InfillMethod, InfillSettings
from audiomask.networks.masks import MaskUNet
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.networks.wave import AnyWave
from audiomask.runtime.device import choose_device
from audiomask.runtime.memory import AdaptiveBatches, device_errors
from audiomask.separation.activity import ActivityLog
from audiomask.separation.masks import MaskSeparator
from audiomask.separation.separator import Separator
from audiomask.separation.settings import Quality, SeparationMethod
from audiomask.separation.stems import stem_names
from audiomask.separation.tokens import TokenSeparator, WienerSeparator
from audiomask.tokens import SEMANTIC, SEPARATE, Tokens

logger = logging.getLogger(__name__)


class Engine:
    """Tokenizes, detokenizes, fills gaps and separates.

    Checkpoints are read when they are first needed. Several threads may share an engine.

    Args:
        model: a folder of checkpoints, each in a folder named by its kind, or one checkpoint; the
            bundled ones when None. What a checkpoint requires is looked for in its folder, beside
            it and among the bundled ones.
        device: "auto" (the first CUDA device, else the CPU), "cpu", "cuda" or "cuda:N".
        threads: CPU threads; PyTorch's choice when None.

    Raises:
        UsageError: there is no such device.
        CheckpointError: there is no such checkpoint, or it is broken.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        self._asked = (model, device, threads)
        if threads is not None:
            torch.set_num_threads(threads)
        self.library = CheckpointLibrary(bundled_folder() if model is None else Path(model))
        self._batches = AdaptiveBatches(self.device)
        self._models = ModelLoader(self.library, self.device)

    @classmethod
    def from_pretrained(cls, model: Path | str | None = None, **settings: Any) -> Self:
        """An engine, under the name that other libraries have for its constructor."""
        return cls(model, **settings)

    def __reduce__(self) -> tuple[type[Engine], tuple[Path | str | None, str, int | None]]:
        """An engine that another process makes anew reads its checkpoints itself.

        On another machine, too: its bundled checkpoints, its device where that is "auto".
        """
        return type(self), self._asked

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that there is a checkpoint of."""
        return self.library.kinds

    def load(self, kind: str) -> nn.Module:
        """The model of a kind, in evaluation mode on the engine's device; read once.

        A checkpoint that it requires must have the fingerprint of the one it was trained with.

        Raises:
            CheckpointError: there is none, it is broken, or what it requires is missing.
        """
        return self._models.load(kind)

    @property
    def vqvae(self) -> AnyVQVAE:
        """The VQ-VAE, ready to run."""
        return cast(AnyVQVAE, self.load("vqvae"))

    @property
    def mlm(self) -> MaskedLM:
        """The masked language model, ready to run."""
        return cast(MaskedLM, self.load("mlm"))

    @property
    def masks(self) -> MaskUNet:
        """The mask U-Net, ready to run."""
        return cast(MaskUNet, self.load("masks"))

    @property
    def spectrogram(self) -> SpectrogramModel:
        """The spectrogram model, ready to run."""
        return cast(SpectrogramModel, self.load("spectrogram"))

    @property
    def wave(self) -> AnyWave:
        """The raw-audio model, ready to run."""
        return cast(AnyWave, self.load("wave"))

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each checkpoint that is found and can be read, by its kind."""
        return self._models.fingerprints

    def fingerprint_of(self, kind: str) -> str:
        """What identifies the weights of a kind: the loaded ones, else those on the disk.

        Raises:
            CheckpointError: there is no checkpoint, or its config.json is malformed.
        """
        return self._models.fingerprint_of(kind)

    def stems(self, method: str = SeparationMethod.mask) -> tuple[str, ...]:
        """The names of the stems that a method separates, read from config.json alone.

        Raises:
            CheckpointError: there is no checkpoint for the method.
        """
        folder = self._separating(method)
        return stem_names(folder, read_config(folder)["config"])

    def _separating(self, method: str) -> Path:
        """The folder of the checkpoint that separates by a method."""
        if method not in tuple(SeparationMethod):
            known = ", ".join(SeparationMethod)
            raise UsageError(f"no method '{method}' (there are: {known})")
        if method != SeparationMethod.mask:
            return self.library.folder_of("mlm")
        if "masks" not in self.library.own and "mlm" in self.library.own:
            raise CheckpointError(
                f"{self.library.folder}: has no checkpoint 'masks' (audiomask train masks); "
                "with its mlm --method wiener or tokens separates"
            )
        return self.library.folder_of("masks")

    def tokenize(
        self,
        source: AudioSource,
        levels: int | None = None,
        progress: Callable[[float], None] | None = None,
        stereo: str = SEPARATE,
    ) -> Tokens:
        """Tokens of a recording.

        Args:
            source: at any sample rate, with any number of channels.
            levels: how many of the first levels to keep; all when None.
            progress: called with the seconds of audio just done.
            stereo: "separate" codes each channel by itself, "mid-side" the mean of left and right
                and half their difference. Only recordings of two channels have mid and side.

        Raises:
            UsageError: the VQ-VAE has fewer levels.
        """
        vqvae, made_by = self.vqvae, self.fingerprint_of("vqvae")
        with device_errors(self.device):
            return tokenize(
                vqvae, made_by, source, self.device, levels, stereo, progress, self._batches
            )

    def tokenize_semantic(
        self, source: AudioSource, progress: Callable[[float], None] | None = None
    ) -> Tokens:
        """Semantic tokens of a recording, of all channels as one.

        Args:
            source: at any sample rate, with any number of channels.
            progress: called with the seconds of audio just done.

        Raises:
            CheckpointError: there is no spectrogram model, or its training has not ended.
        """
        model, made_by = self.spectrogram, self.fingerprint_of("spectrogram")
        if not model.semantic_clusters.found:
            raise CheckpointError(
                f"{self.library.folder_of('spectrogram')}: has no semantic clusters, which are "
                "found when training ends; --resume its run"
            )
        with device_errors(self.device):
            return semantic_tokens(model, source, self.device, made_by, progress)

    def detokenize(self, tokens: Tokens) -> Iterator[Tensor]:
        """The audio of tokens: consecutive blocks [C, n], ``tokens.num_samples`` samples in all.

        Raises:
            TokensError: they are semantic, or another VQ-VAE made them.
        """
        if tokens.kind == SEMANTIC:
            raise TokensError(
                "these are semantic tokens, of which no sound can be made; tokenize the recording "
                "without --kind semantic"
            )
        vqvae, made_by = self.vqvae, self.fingerprint_of("vqvae")
        with device_errors(self.device):
            yield from detokenize(vqvae, made_by, tokens, self._batches)

    def separate(
        self,
        source: AudioSource,
        stems: Sequence[str],
        residual: bool = False,
        subtype: str = "FLOAT",
        method: str = SeparationMethod.mask,
        quality: str = Quality.normal,
        log: ActivityLog | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """Stems of a recording: consecutive blocks [C, n] each, of its own rate and length.

        Args:
            source: at any sample rate, with any number of channels.
            stems: the names of those wanted.
            residual: also yield "residual", the recording minus these stems.
            subtype: of the files that stems are written to. They are rounded to it, so that stems
                and residual sum to the recording.
            method: see :class:`audiomask.separation.settings.SeparationMethod`.
            quality: of masks, see :class:`audiomask.separation.settings.Quality`; ignored by other
                methods.
            log: records the stems' activity (see :meth:`activity_log`); ignored by other methods.

        Raises:
            UsageError: the model does not know a stem, or there is no such method or quality.
        """
        known = self.stems(method)
        for stem in stems:
            if stem not in known:
                raise UsageError(f"unknown stem '{stem}' (this model knows: {', '.join(known)})")
        names = [*stems, *(["residual"] if residual else [])]
        with device_errors(self.device):
            numbers = [known.index(stem) for stem in stems]
            separator = self.open_separator(method, quality, log)
            for block in separator.blocks(source, numbers, residual, subtype):
                yield dict(zip(names, block, strict=True))

    def activity_log(self) -> ActivityLog:
        """An empty log of the stems' activity, for :meth:`separate` by masks."""
        config = self.masks.config
        return ActivityLog(config.stems, config.hop_length / config.sample_rate)

    def open_separator(
        self,
        method: str,
        quality: str = Quality.normal,
        log: ActivityLog | None = None,
    ) -> Separator:
        """The separator of a method, its models loaded.

        A language model that reads drafts gets those of the masks in its folder; where there are
        none, it separates without, and a warning says so.

        Raises:
            UsageError: there is no such quality.
            CheckpointError: a model is missing.
        """
        if method == SeparationMethod.mask:
            if quality not in tuple(Quality):
                raise UsageError(f"no quality '{quality}' (there are: {', '.join(Quality)})")
            return MaskSeparator(self.masks, self.device, Quality(quality), log)
        separator = TokenSeparator if method == SeparationMethod.tokens else WienerSeparator
        drafts = None
        if self.mlm.config.draft and "masks" in self.library.kinds:
            drafts = MaskSeparator(self.masks, self.device)
        elif self.mlm.config.draft:
            logger.warning(
                "%s: has no mask U-Net ('audiomask train masks' makes one), whose estimates the "
                "language model reads as drafts; it goes without",
                self.library.folder,
            )
        return separator(self.vqvae, self.mlm, self.device, self._batches, drafts)

    def infill(
        self,
        source: AudioSource,
        gaps: Sequence[Gap],
        settings: InfillSettings | None = None,
        other: AudioSource | None = None,
    ) -> Iterator[Filling]:
        """Fillings of a recording's gaps, in order, each with its crossfades.

        Args:
            source: the recording.
            gaps: in order, without overlaps.
            settings: how they are filled; the defaults when None.
            other: another recording that passages may come from, such as another take.

        Raises:
            AudiomaskError: the gaps are the whole recording.
            CheckpointError: a model is missing.
        """
        if gaps:
            chosen = InfillSettings() if settings is None else settings
            infiller = self.open_infiller(chosen)
            if chosen.by_stem:
                infiller = StemInfiller(infiller, self._split)
            with device_errors(self.device):
                yield from infiller.fill(source, gaps, other)

    def open_infiller(self, settings: InfillSettings) -> Infiller:
        """What fills gaps as these settings say, its models loaded.

        Where several fillings are drawn, a spectrogram model and a raw-audio model in the folder
        choose among them.

        Raises:
            CheckpointError: a model is missing, the spectrogram model predicts no magnitudes, or
                the raw-audio model only one sample a window.
        """
        return open_infiller(self, settings, self._batches)

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self.library.folder

    def _split(self, source: AudioSource) -> dict[str, Tensor]:
        """All stems of a recording, and its residual, in memory: [C, T] each."""
        blocks = list(self.separate(source, self.stems(), residual=True))
        return {name: torch.cat([block[name] for block in blocks], dim=1) for name in blocks[0]}

    def find_surprises(self, source: AudioSource, channels: Sequence[int] = ()) -> list[Surprise]:
        """Damage of a recording that the raw-audio model finds unlikely, forwards and backwards.

        Args:
            source: at any sample rate, with any number of channels.
            channels: to be searched; all when empty.

        Raises:
            CheckpointError: there is no raw-audio model, or it predicts one sample a window.
        """
        model = sample_model(self, "--detect-kind surprise")
        with device_errors(self.device):
            return find_surprises(source, WaveCosts(model, self.device), channels)

    def extend(
        self,
        source: AudioSource,
        extension: Extension,
        settings: InfillSettings | None = None,
        other: AudioSource | None = None,
    ) -> Iterator[Filling]:
        """What comes before and after a recording, or makes its end run into its beginning.

        Args:
            source: the recording, which stays as it is but for a loop's seam.
            extension: how many samples are added.
            settings: how they are made; the defaults when None.
            other: another recording that passages may come from.

        Yields:
            Fillings in order, at places of the extended recording.

        Raises:
            AudiomaskError: the recording is too short.
            CheckpointError: a model is missing.
            UsageError: the method is "lm", and more than the end is to be extended.
        """
        chosen = InfillSettings() if settings is None else settings
        if chosen.method == InfillMethod.lm and (extension.before or extension.loop):
            raise UsageError(FORWARDS_ALONE)
        infiller = self.open_infiller(chosen)
        with device_errors(self.device):
            yield from fill_extension(infiller, ExtendedSource(source, extension), other)
