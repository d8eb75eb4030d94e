"""Open-Unmix (PyPI: openunmix) and its training; see ``open_unmix.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from openunmix.model import OpenUnmix, Separator
from openunmix.transforms import make_filterbanks
from openunmix.utils import bandwidth_to_max_bin
from report import note
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from audiomask.audio.atomic import AtomicFile
from audiomask.checkpoint.store import write_json, write_tensors
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.errors import CheckpointError, DataError, UsageError
from audiomask.training.batches import RankSlice, batch_source, to_device
from audiomask.training.run_setup import precision_of
from audiomask.training.signals import Stop, leave_signals

# the published recipe
SAMPLE_RATE, SIZE, HOP, BANDWIDTH = 44_100, 4096, 1024, 16_000
WIDTH, LAYERS = 512, 3
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-5
#: factor of the learning rate, and the shares of the time after which it is applied
DECAY, DECAYS = 0.3, (0.7, 0.85, 0.95)

#: excerpts whose statistics normalize the inputs
MEASURED = 64
#: seconds between lines of progress, and between saved states
LOG, SAVE = 20.0, 300.0
WEIGHTS, NOTES, STATE = "open_unmix.safetensors", "open_unmix.json", "state.pt"


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run, without its wall time.

    Attributes:
        stems: of one model each.
        data: names of the data.
        width: of the hidden layers.
        seconds: of an excerpt.
        batch: excerpts a step.
        seed: of the excerpts and the initial weights.
    """

    stems: tuple[str, ...]
    data: tuple[str, ...]
    width: int
    seconds: float
    batch: int
    seed: int


def build(
    stems: Sequence[str],
    width: int,
    channels: int = 1,
    mean: Tensor | None = None,
    scale: Tensor | None = None,
) -> nn.ModuleDict:
    """A new model for each stem.

    Args:
        stems: their names.
        width: of the hidden layers.
        channels: that a model processes at once.
        mean, scale: of the mixtures' magnitudes in each bin, [bins].
    """
    most = int(bandwidth_to_max_bin(SAMPLE_RATE, SIZE, BANDWIDTH))
    given = {"input_mean": mean, "input_scale": scale}
    arrays = {name: value.numpy() for name, value in given.items() if value is not None}
    return nn.ModuleDict(
        {
            stem: OpenUnmix(SIZE // 2 + 1, channels, width, LAYERS, max_bin=most, **arrays)
            for stem in stems
        }
    )


class PerChannel(nn.Module):
    """A mono model that is applied to each channel."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes of a stem, of those of mixtures, both [B, C, bins, F]."""
        stem: Tensor = self.model(magnitudes.flatten(0, 1)[:, None])
        return stem.view(magnitudes.shape)


def separator(models: nn.ModuleDict, device: torch.device) -> nn.Module:
    """Open-Unmix's own separator, with one Wiener step over all stems and the residual."""
    # with any nb_channels other than 1, channels are not averaged
    module = Separator(models, niter=1, residual=True, nb_channels=2)
    module.to(device).freeze()  # includes eval()
    return module


class Whole:
    """A batch builder that returns the excerpts."""

    def sample(self, index: int) -> Tensor:
        """Unused."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> Excerpt:
        """The excerpts."""
        return excerpts


def check_place(out: Path, resume: bool) -> None:
    """Raise UsageError if a folder has a run that is not resumed, or none to resume."""
    if resume != (out / STATE).exists():
        wrong = "no run to resume" if resume else "has a run; --resume it or name another folder"
        raise UsageError(f"{out}: {wrong}")


class Training:
    """A training run of Open-Unmix; resumable.

    Args:
        dataset: the data.
        recipe: the settings.
        out: folder of the weights and the run's state.
        device: to train on.
        workers: processes of the loader.
        resume: continue the run in ``out``.

    Raises:
        UsageError: the run in ``out`` has other settings.
        DataError: the first excerpts are silent or have no stems.
    """

    def __init__(
        self,
        dataset: InterleavedDataset,
        recipe: Recipe,
        out: Path,
        device: torch.device,
        workers: int,
        resume: bool,
    ) -> None:
        self.dataset, self.recipe, self.out = dataset, recipe, out
        self.device, self.workers = device, workers
        self.half = precision_of("auto", device) == "bf16"
        self.began = time.monotonic()
        self.filterbank = make_filterbanks(SIZE, HOP, sample_rate=SAMPLE_RATE)[0].to(device)
        state: dict[str, Any] = self.load() if resume else {}
        self.step, self.before = state.get("step", 0), state.get("seconds", 0.0)
        torch.manual_seed(recipe.seed + self.step)
        # those of a resumed run are in its weights
        known = (None, None) if resume else self.statistics()
        self.models = build(recipe.stems, recipe.width, 1, *known).to(device).train()
        self.optimizer = torch.optim.Adam(
            self.models.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        if resume:
            self.models.load_state_dict(state["models"])
            self.optimizer.load_state_dict(state["optimizer"])

    @property
    def seconds(self) -> float:
        """Wall time of the run, with that before it was resumed."""
        return self.before + time.monotonic() - self.began

    def magnitudes(self, audio: Tensor) -> Tensor:
        """Magnitudes [B, 1, bins, F] of audio [B, T], without padding."""
        return torch.view_as_complex(self.filterbank(audio[:, None])).abs()

    def batches(self, first: int) -> Iterator[Excerpt]:
        """Batches of excerpts with stems on the device, from batch ``first`` on."""
        size = self.recipe.batch
        source = batch_source(self.dataset, Whole(), self.device)
        loader: DataLoader[Any] = DataLoader(
            RankSlice(source.data, first * size, 1 << 40, size),
            batch_size=size,
            collate_fn=source.collate,
            num_workers=self.workers,
            worker_init_fn=leave_signals,
        )
        for batch in loader:
            excerpts: Excerpt = source.finish(to_device(batch, self.device))
            yield Excerpt(*(part[excerpts.has_stems] for part in excerpts))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of mixtures in each bin, [bins]; the latter positive."""
        sums = torch.zeros(2, SIZE // 2 + 1, dtype=torch.float64, device=self.device)
        excerpts = frames = 0
        for batch in self.batches(0):
            found = self.magnitudes(batch.mixture[:, 0]).double()
            sums += torch.stack([found.sum((0, 1, 3)), found.square().sum((0, 1, 3))])
            frames += found.shape[0] * found.shape[-1]
            excerpts += self.recipe.batch
            if excerpts >= MEASURED:
                break
        if not sums.any():
            raise DataError(f"the first {excerpts} excerpts are silent or have no stems")
        mean, power = sums.cpu() / frames
        scale = (power - mean.square()).clamp_min(0).sqrt()
        return mean.float(), scale.clamp_min(1e-4 * float(scale.max())).float()

    def train(self, seconds: float) -> None:
        """Train until a wall time or a signal, then save."""
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)
        losses: list[float] = []
        logged = saved = self.seconds
        batches = self.batches(self.step)
        with Stop() as stop:
            while self.seconds < seconds and not stop.asked:
                batch = next(batches)
                rate = LEARNING_RATE * DECAY ** sum(self.seconds > d * seconds for d in DECAYS)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                if len(batch.mixture):
                    mixture, total = self.magnitudes(batch.mixture[:, 0]), 0.0
                    for number, stem in enumerate(self.recipe.stems):
                        true = self.magnitudes(batch.stems[:, number, 0])
                        with autocast:
                            found = self.models[stem](mixture)
                        loss = F.mse_loss(found.float(), true)
                        # the models share nothing
                        torch.autograd.backward(loss)
                        total += float(loss.detach())
                    self.optimizer.step()
                    self.optimizer.zero_grad(set_to_none=True)
                    losses.append(total / len(self.recipe.stems))
                self.step += 1
                if losses and self.seconds - logged > LOG:
                    logged = self.log(losses, rate, seconds)
                    losses = []
                if self.seconds - saved > SAVE:
                    self.save()
                    saved = self.seconds
        if losses:
            self.log(losses, rate, seconds)
        self.save()

    def log(self, losses: Sequence[float], rate: float, seconds: float) -> float:
        """Print a line of progress and return the wall time."""
        now = self.seconds
        mean = sum(losses) / len(losses)
        speed = self.step * self.recipe.batch * self.recipe.seconds / now
        note(
            f"step {self.step}, {now / 60:.1f} of {seconds / 60:.1f} min, loss {mean:.4f}, "
            f"rate {rate:.1e}, {speed:.0f} s of audio a second"
        )
        return now

    def save(self) -> None:
        """Write the weights, and the state for resuming."""
        self.out.mkdir(parents=True, exist_ok=True)
        weights = self.models.state_dict()
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
            "models": weights,
            "optimizer": self.optimizer.state_dict(),
        }
        with AtomicFile(self.out / STATE, overwrite=True) as temporary:
            torch.save(state, temporary)
        kept = {name: value.cpu().clone() for name, value in weights.items()}
        write_tensors(self.out / WEIGHTS, kept)
        took = {"steps": self.step, "minutes": self.seconds / 60, "bf16": self.half}
        took |= {"device": self.device.type, "threads": torch.get_num_threads()}
        write_json(self.out / NOTES, asdict(self.recipe) | took)

    def load(self) -> dict[str, Any]:
        """The state of the run in the folder.

        Raises:
            UsageError: it has other settings.
        """
        state: dict[str, Any] = torch.load(self.out / STATE, map_location="cpu", weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise UsageError(f"{self.out}: is a run of {state['recipe']}; resume it with the same")
        return state


def load(folder: Path) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """Trained models, and notes about their training.

    Raises:
        CheckpointError: there are none.
    """
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: no trained Open-Unmix ({error})") from error
    models = build(notes["stems"], notes["width"])
    models.load_state_dict(weights)
    return models, notes
