"""Open-Unmix (PyPI: openunmix) as it was published, and its training: see ``open_unmix.py``."""

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
#: its plateau schedule's factor, and here the shares of the time after which it is applied
DECAY, DECAYS = 0.3, (0.7, 0.85, 0.95)

#: excerpts whose mixtures the inputs are normalised by
MEASURED = 64
#: seconds between lines of progress, and between saved states
TELL, SAVE = 20.0, 300.0
WEIGHTS, NOTES, STATE = "open_unmix.safetensors", "open_unmix.json", "state.pt"


@dataclass(frozen=True)
class Recipe:
    """What is trained and on what, but for the wall time.

    Attributes:
        stems: one model each.
        data: what the data are called.
        width: of the models' hidden layers.
        seconds: of an excerpt.
        batch: excerpts a step.
        seed: decides the excerpts and the first weights.
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
    """One new model for each stem.

    Args:
        stems: their names.
        width: of the hidden layers.
        channels: how many the models see at once.
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
    """A model of one channel, used on each channel by itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, magnitudes: Tensor) -> Tensor:
        """A stem's magnitudes in a mixture's, [B, C, bins, F] both."""
        found: Tensor = self.model(magnitudes.flatten(0, 1)[:, None])
        return found.view(magnitudes.shape)


def separator(models: nn.ModuleDict, device: torch.device) -> nn.Module:
    """Open-Unmix's own separator: one Wiener step over all stems and the residual."""
    # of channels this only asks whether to average them before the models
    made = Separator(models, niter=1, residual=True, nb_channels=2)
    made.to(device).freeze()  # which is its eval(), too
    return made


class Whole:
    """A batch of excerpts as they are."""

    def draw(self, index: int) -> Tensor:
        """Nothing."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> Excerpt:
        """The excerpts."""
        return excerpts


def check_place(out: Path, resume: bool) -> None:
    """Raise UsageError if a folder holds a run that is not to be resumed, or none that is."""
    if resume != (out / STATE).exists():
        wrong = "no run to resume" if resume else "holds a run; --resume it or name another folder"
        raise UsageError(f"{out}: {wrong}")


class Training:
    """A training run of Open-Unmix; resumable.

    Args:
        blend: the data.
        recipe: what is trained.
        out: folder of the weights and the run's state.
        device: where.
        workers: processes that make excerpts.
        resume: go on with the run in ``out``.

    Raises:
        UsageError: ``out`` holds another run than the one to be resumed.
        DataError: what the inputs are to be normalised by is silent.
    """

    def __init__(
        self,
        blend: InterleavedDataset,
        recipe: Recipe,
        out: Path,
        device: torch.device,
        workers: int,
        resume: bool,
    ) -> None:
        self.blend, self.recipe, self.out = blend, recipe, out
        self.device, self.workers = device, workers
        self.half = precision_of("auto", device) == "bf16"
        self.began = time.monotonic()
        self.filterbank = make_filterbanks(SIZE, HOP, sample_rate=SAMPLE_RATE)[0].to(device)
        state: dict[str, Any] = self.load() if resume else {}
        self.step, self.before = state.get("step", 0), state.get("seconds", 0.0)
        torch.manual_seed(recipe.seed + self.step)
        # a resumed run's are among its weights
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
        """Wall time taken so far, by earlier calls as well."""
        return self.before + time.monotonic() - self.began

    def magnitudes(self, audio: Tensor) -> Tensor:
        """Spectra [B, 1, bins, F] of audio [B, T], from whole windows alone."""
        return torch.view_as_complex(self.filterbank(audio[:, None])).abs()

    def batches(self, first: int) -> Iterator[Excerpt]:
        """Batches of excerpts on the device, from this one on; those whose stems are known."""
        size = self.recipe.batch
        feed = batch_source(self.blend, Whole(), self.device)
        loader: DataLoader[Any] = DataLoader(
            RankSlice(feed.data, first * size, 1 << 40, size),
            batch_size=size,
            collate_fn=feed.collate,
            num_workers=self.workers,
            worker_init_fn=leave_signals,
        )
        for arrived in loader:
            excerpts: Excerpt = feed.finish(to_device(arrived, self.device))
            yield Excerpt(*(part[excerpts.has_stems] for part in excerpts))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of mixtures in each bin, [bins]; the latter kept from 0."""
        sums = torch.zeros(2, SIZE // 2 + 1, dtype=torch.float64, device=self.device)
        excerpts = frames = 0
        for batch in self.batches(0):
            found = self.magnitudes(batch.mixture).double()
            sums += torch.stack([found.sum((0, 1, 3)), found.square().sum((0, 1, 3))])
            frames += found.shape[0] * found.shape[-1]
            excerpts += self.recipe.batch
            if excerpts >= MEASURED:
                break
        if not sums.any():
            raise DataError(f"the first {excerpts} excerpts are silent or of unknown parts")
        mean, power = sums.cpu() / frames
        scale = (power - mean.square()).clamp_min(0).sqrt()
        return mean.float(), scale.clamp_min(1e-4 * float(scale.max())).float()

    def train(self, seconds: float) -> None:
        """Train until so much wall time was taken, or a signal comes; then save."""
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)
        losses: list[float] = []
        told = saved = self.seconds
        batches = self.batches(self.step)
        with Stop() as stop:
            while self.seconds < seconds and not stop.asked:
                batch = next(batches)
                rate = LEARNING_RATE * DECAY ** sum(self.seconds > d * seconds for d in DECAYS)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                if len(batch.mixture):
                    mixture, total = self.magnitudes(batch.mixture), 0.0
                    for number, stem in enumerate(self.recipe.stems):
                        true = self.magnitudes(batch.stems[:, number])
                        with autocast:
                            found = self.models[stem](mixture)
                        loss = F.mse_loss(found.float(), true)
                        # one after the other: the models share nothing
                        torch.autograd.backward(loss)
                        total += float(loss.detach())
                    self.optimizer.step()
                    self.optimizer.zero_grad(set_to_none=True)
                    losses.append(total / len(self.recipe.stems))
                self.step += 1
                if losses and self.seconds - told > TELL:
                    told = self.tell(losses, rate, seconds)
                    losses = []
                if self.seconds - saved > SAVE:
                    self.save()
                    saved = self.seconds
        if losses:
            self.tell(losses, rate, seconds)
        self.save()

    def tell(self, losses: Sequence[float], rate: float, seconds: float) -> float:
        """Print a line of progress; returns when."""
        now = self.seconds
        mean = sum(losses) / len(losses)
        heard = self.step * self.recipe.batch * self.recipe.seconds / now
        note(
            f"step {self.step}, {now / 60:.1f} of {seconds / 60:.1f} min, loss {mean:.4f}, "
            f"rate {rate:.1e}, {heard:.0f} s of audio a second"
        )
        return now

    def save(self) -> None:
        """Write the weights for use, and the state for going on."""
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
        """The state of the run in the folder."""
        state: dict[str, Any] = torch.load(self.out / STATE, map_location="cpu", weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise UsageError(f"{self.out}: is a run of {state['recipe']}; resume it with the same")
        return state


def load(folder: Path) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """Trained models, and what is noted of their training.

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
