"""Engine: the one object behind every subcommand. It holds the models and runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    bundled_folder,
    load_checkpoint,
    read_config,
    restore,
)
from audiomask.codec.chunks import DecodedSource, LeftRight, MidSide, chunk_of, encode
from audiomask.errors import CheckpointError, TokensError, UsageError
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.settings import InfillSettings
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.pairing import check_pair, stem_names
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.runtime.device import choose_device
from audiomask.runtime.memory import AdaptiveBatches, device_errors
from audiomask.separation.separator import Separator
from audiomask.separation.settings import SeparationMethod
from audiomask.tokens import MID_SIDE, SEPARATE, Tokens


class Engine:
    """Tokenises, detokenises, fills gaps and separates.

    Checkpoints are read when they are first needed. Several threads may share an engine.

    Args:
        model: a folder that holds the checkpoints ``vqvae`` and ``mlm``, or one checkpoint
            (an MLM's VQ-VAE is looked for in it, beside it, and among the bundled ones); the
            bundled ones when None.
        device: "auto" (the first CUDA device, else the CPU), "cpu", "cuda" or "cuda:N".
        threads: CPU threads; PyTorch's choice when None.

    Raises:
        UsageError: there is no such device.
        CheckpointError: there is no such checkpoint, or it is broken.
    """

    def __init__(
        self, model: Path | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        self.device = choose_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        self.folder = model if model is not None else bundled_folder()
        self.lock = RLock()
        self._batches = AdaptiveBatches(self.device)

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Where the checkpoint of each kind is."""
        folder = self.folder
        if not (folder / CONFIG_FILE).exists():
            found = {kind: folder / kind for kind in ("vqvae", "mlm")}
            if not (folder / "vqvae" / CONFIG_FILE).exists():
                raise CheckpointError(
                    f"{folder}: not a checkpoint, nor a folder with checkpoints vqvae and mlm"
                )
            return found
        entries = read_config(folder)
        if entries["kind"] == "vqvae":
            return {"vqvae": folder}
        for place in (folder / "vqvae", folder.parent / "vqvae", *bundled_vqvae()):
            known = (place / CONFIG_FILE).exists()
            if known and read_config(place)["sha256"][:16] == entries.get("vqvae"):
                return {"vqvae": place, "mlm": folder}
        raise CheckpointError(
            f"{folder}: its VQ-VAE ({entries.get('vqvae')}) is neither in it nor beside it; "
            f"copy it to {folder / 'vqvae'}"
        )

    @cached_property
    def _vqvae_checkpoint(self) -> Checkpoint:
        return load_checkpoint(self._folders["vqvae"], "vqvae")

    @property
    def _fingerprint(self) -> str:
        """What identifies the VQ-VAE's weights."""
        with self.lock:
            return self._vqvae_checkpoint.fingerprint

    @property
    def vqvae(self) -> AnyVQVAE:
        """The VQ-VAE, ready to run."""
        with self.lock:
            return self._vqvae

    @property
    def mlm(self) -> MaskedLM:
        """The masked language model, ready to run.

        Raises:
            CheckpointError: there is none, or it was trained on another VQ-VAE's tokens.
        """
        with self.lock:
            return self._mlm

    @cached_property
    def _vqvae(self) -> AnyVQVAE:
        checkpoint = self._vqvae_checkpoint
        model = restore(checkpoint, build_vqvae)
        with device_errors(self.device):
            return model.to(self.device).eval()

    @cached_property
    def _mlm(self) -> MaskedLM:
        checkpoint = load_checkpoint(self._mlm_folder, "mlm")
        belongs = checkpoint.notes.get("vqvae")
        if belongs != self._vqvae_checkpoint.fingerprint:
            raise CheckpointError(
                f"{checkpoint.folder}: belongs to the VQ-VAE {belongs}, not to "
                f"{self._vqvae_checkpoint.fingerprint} in {self._vqvae_checkpoint.folder}"
            )
        model = restore(checkpoint, build_mlm).eval()
        check_pair(self._mlm_folder, model.config, self.vqvae.config)
        model.fold()
        with device_errors(self.device):
            return model.to(self.device)

    @property
    def _mlm_folder(self) -> Path:
        folder = self._folders.get("mlm")
        if folder is None:
            raise CheckpointError(f"{self.folder}: is a VQ-VAE alone; this needs an MLM as well")
        return folder

    @property
    def fingerprints(self) -> dict[str, str]:
        """What identifies the weights of each checkpoint there is, by its kind."""
        return {
            kind: read_config(folder)["sha256"][:16]
            for kind, folder in self._folders.items()
            if (folder / CONFIG_FILE).exists()
        }

    @property
    def stems(self) -> tuple[str, ...]:
        """What the MLM can separate; read from its configuration alone."""
        return stem_names(self._mlm_folder, read_config(self._mlm_folder)["config"])

    def tokenize(
        self,
        source: AudioSource,
        levels: int | None = None,
        progress: Callable[[float], None] | None = None,
        stereo: str = SEPARATE,
    ) -> Tokens:
        """Tokens of a recording.

        Args:
            source: any rate, any number of channels.
            levels: keep only the first levels; all when None.
            progress: told the seconds of audio just done.
            stereo: "separate" codes each channel by itself, "mid-side" the mean of left and right
                and half their difference; what is not stereo is coded separately in any case.

        Raises:
            UsageError: the VQ-VAE has fewer levels.
        """
        config = self.vqvae.config
        if levels is not None and not 1 <= levels <= config.levels:
            raise UsageError(f"--levels {levels}: this VQ-VAE has 1 to {config.levels}")
        if source.channels != 2:
            stereo = SEPARATE
        heard = MidSide(source) if stereo == MID_SIDE else source
        with device_errors(self.device):
            codes = encode(self.vqvae, heard, self.device, progress, self._batches)[:, :levels]
        return Tokens(
            codes=codes.contiguous(),
            sample_rate=source.sample_rate,
            num_samples=source.frames,
            hop_length=config.hop_length,
            codebook_size=config.codebook_size,
            fingerprint=self._fingerprint,
            model_sample_rate=config.sample_rate,
            stereo=stereo,
        )

    def detokenize(self, tokens: Tokens) -> Iterator[Tensor]:
        """The sound of tokens: consecutive blocks [C, n], ``tokens.num_samples`` in all.

        Raises:
            TokensError: another VQ-VAE made them.
        """
        if tokens.fingerprint != self._fingerprint:
            raise TokensError(
                f"these tokens were made by the VQ-VAE {tokens.fingerprint}, not by "
                f"{self._fingerprint}; name theirs with --model"
            )
        config = self.vqvae.config
        for name, value, true in (
            ("hop_length", tokens.hop_length, config.hop_length),
            ("model_sample_rate", tokens.model_sample_rate, config.sample_rate),
            ("codebook_size", tokens.codebook_size, config.codebook_size),
        ):
            if value != true:
                raise TokensError(f"{name} is {value} in these tokens, {true} in their VQ-VAE")
        if tokens.levels > config.levels:
            raise TokensError(f"{tokens.levels} levels, but their VQ-VAE has {config.levels}")
        apart = tokens.stereo == MID_SIDE
        decoded: AudioSource = DecodedSource(self.vqvae, tokens.codes, not apart, self._batches)
        audio = ResampledSource(LeftRight(decoded) if apart else decoded, tokens.sample_rate)
        with device_errors(self.device):
            chunk = chunk_of(tokens.channels)
            for start in range(0, tokens.num_samples, chunk):
                yield audio.read(start, min(start + chunk, tokens.num_samples))

    def separate(
        self,
        source: AudioSource,
        stems: Sequence[str],
        residual: bool = False,
        subtype: str = "FLOAT",
        method: str = SeparationMethod.mask,
    ) -> Iterator[dict[str, Tensor]]:
        """Stems of a recording: consecutive blocks [C, n] each, of its own rate and length.

        Args:
            stems: which.
            residual: also yield "residual", the recording minus these stems.
            subtype: how the stems will be stored; they are rounded to it so that stems and
                residual sum to the recording.
            method: "mask" shares the recording's own spectrum out among the stems; "tokens"
                decodes each from its predicted tokens alone.

        Raises:
            UsageError: the model does not know a stem, or there is no such method.
        """
        if method not in tuple(SeparationMethod):
            raise UsageError(f"no method '{method}' (there are: {', '.join(SeparationMethod)})")
        numbers = [self.mlm.vocabulary.stem(stem) for stem in stems]
        names = [*stems, *(["residual"] if residual else [])]
        with device_errors(self.device):
            separator = Separator(self.vqvae, self.mlm, self.device, self._batches)
            for block in separator.blocks(source, numbers, residual, subtype, method):
                yield dict(zip(names, block, strict=True))

    def infill(
        self, source: AudioSource, gaps: Sequence[Gap], settings: InfillSettings | None = None
    ) -> Iterator[Filling]:
        """Fillings of a recording's gaps, in order, each with its crossfades.

        Args:
            gaps: sorted and apart.
            settings: how they are filled; the defaults when None.

        Raises:
            AudiomaskError: the gaps leave nothing of the recording.
        """
        if gaps:
            chosen = InfillSettings() if settings is None else settings
            infiller = Infiller(self.vqvae, self.mlm, self.device, chosen, self._batches)
            with device_errors(self.device):
                yield from infiller.fill(source, gaps)


def bundled_vqvae() -> list[Path]:
    """The bundled VQ-VAE, or nothing in an installation without checkpoints."""
    try:
        return [bundled_folder() / "vqvae"]
    except CheckpointError:
        return []
