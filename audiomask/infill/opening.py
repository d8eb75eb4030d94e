"""What fills gaps as the settings say, made of the models of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch

from audiomask.errors import CheckpointError, ConfigError
from audiomask.infill.choice import kinds_needed, tries_spectrogram
from audiomask.infill.continuation import Continuer, Stages
from audiomask.infill.infiller import Infiller
from audiomask.infill.joins import JoinRanker
from audiomask.infill.ranking import ContinuationRanker, Ranker, RankSum
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.spectrogram import SpectrogramFiller
from audiomask.infill.wave import WaveFiller
from audiomask.networks.wave.model import WaveModel
from audiomask.runtime.memory import AdaptiveBatches


class _Models(Protocol):
    """A folder's models, as :class:`audiomask.engine.Engine` has them."""

    device: torch.device

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names that there is a checkpoint of."""

    def load(self, kind: str) -> Any:
        """The model of a name, in evaluation mode on the device; read once."""


def open_infiller(models: _Models, settings: InfillSettings, batches: AdaptiveBatches) -> Infiller:
    """What fills gaps as these settings say, its models loaded.

    Where several fillings are drawn, a spectrogram model and a raw-audio model in the folder choose
    among them.

    Args:
        models: of a folder.
        settings: how gaps are filled.
        batches: batch sizes that the device is known to hold.

    Raises:
        CheckpointError: a model is missing, or is not one that this can be done with.
    """
    if settings.method == InfillMethod.lm:
        return _open_continuer(models, settings, batches)
    kinds, device = kinds_needed(settings), models.device
    vqvae, mlm = (models.load(k) if k in kinds else None for k in ("vqvae", "mlm"))
    spectrogram = wave = None
    if "spectrogram" in kinds:
        spectrogram = SpectrogramFiller(_magnitude_model(models), device)
    elif tries_spectrogram(settings) and "spectrogram" in models.kinds:
        found = models.load("spectrogram")
        spectrogram = None if found.magnitudes is None else SpectrogramFiller(found, device)
    if "wave" in kinds:
        model = sample_model(models, "--method wave")
        wave = WaveFiller(model, device, settings.temperature, settings.seed)
    ranking = None if mlm is None and wave is None else _open_ranking(models, settings)
    return Infiller(vqvae, mlm, device, settings, batches, spectrogram, ranking, wave)


def sample_model(models: _Models, purpose: str) -> WaveModel:
    """The raw-audio model, which has to predict every sample.

    Args:
        models: of a folder.
        purpose: that it is needed for, in the error.

    Raises:
        CheckpointError: there is none, or it predicts one sample a window.
    """
    if "wave" not in models.kinds:
        raise CheckpointError(
            f"{models.folder}: has no raw-audio model, which {purpose} needs: "
            "train one (audiomask train wave) and name it with --wave DIR"
        )
    model = models.load("wave")
    if not isinstance(model, WaveModel):
        raise CheckpointError(
            f"{models.folder}: its raw-audio model is of the preset 'paper', which predicts one "
            f"sample a window; {purpose} needs one of the preset 'default'"
        )
    return model


def _magnitude_model(models: _Models) -> Any:
    """The spectrogram model, which has to predict magnitudes.

    Raises:
        CheckpointError: there is none, or it does not.
    """
    if "spectrogram" not in models.kinds:
        raise CheckpointError(
            f"{models.folder}: has no spectrogram model, which this method needs: "
            "train one (audiomask train spectrogram --out DIR/spectrogram) and name its "
            "folder (--model DIR)"
        )
    model = models.load("spectrogram")
    if model.magnitudes is None:
        raise CheckpointError(
            f"{models.folder}: its spectrogram model predicts no magnitudes "
            "(magnitude_weight is 0); train one that does to fill gaps with"
        )
    return model


def _open_ranking(models: _Models, settings: InfillSettings) -> Ranker | None:
    """What chooses among drawn fillings: each model in the folder that can tell."""
    found: list[Ranker] = []
    if not settings.draws_several:
        return None
    if "spectrogram" in models.kinds:
        model = models.load("spectrogram")
        # some presets have no head that tells continuations
        if model.continuation is not None:
            found.append(ContinuationRanker(model, models.device))
    if "wave" in models.kinds:
        model = models.load("wave")
        if isinstance(model, WaveModel):
            found.append(JoinRanker(model, models.device))
    return RankSum(found) if found else None


def _open_continuer(
    models: _Models, settings: InfillSettings, batches: AdaptiveBatches
) -> Continuer:
    """What continues recordings by the language model, with a plan where there is one.

    Raises:
        CheckpointError: a stage is missing, or the stages do not fit together.
    """
    kinds, folder = set(models.kinds), models.folder
    planned = settings.plan and {"lm-semantic", "lm-coarse"} <= kinds
    if not planned and "lm-acoustic" not in kinds:
        if not settings.plan:
            raise CheckpointError(f"{folder}: has no lm-acoustic, which goes on without a plan")
        raise CheckpointError(
            f"{folder}: has no lm-semantic and lm-coarse, which --method lm needs: train them "
            "(audiomask train lm)"
        )
    if not {"lm-fine", "mlm"} & kinds:
        raise CheckpointError(
            f"{folder}: has neither lm-fine nor mlm, one of which --method lm needs for fine levels"
        )
    fine = models.load("lm-fine") if "lm-fine" in kinds else None
    try:
        stages = Stages(
            models.load("lm-coarse" if planned else "lm-acoustic"),
            models.load("lm-semantic") if planned else None,
            models.load("spectrogram") if planned else None,
            fine,
        )
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    mlm = models.load("mlm") if fine is None else None
    ranking = _open_ranking(models, settings)
    vqvae = models.load("vqvae")
    return Continuer(stages, vqvae, mlm, models.device, settings, batches, ranking)
