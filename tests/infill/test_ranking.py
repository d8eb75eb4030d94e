"""Ranking of drawn fillings: what the model hears of them, and that the best one is taken."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from signals import noise, tone
from tiny_spectrogram import GRID, SMALL, tiny_filler
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.checkpoint import save_checkpoint
from audiomask.engine import Engine
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.ranking import ContinuationRanker
from audiomask.infill.settings import InfillSettings
from audiomask.infill.splice import Patch
from audiomask.networks.mlm import MaskedLM
from audiomask.networks.spectrogram import build_spectrogram
from audiomask.networks.spectrogram.continuation import join, middle, pair_inputs
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.networks.vqvae import AnyVQVAE

RATE, HOP = 44_100, 1024
CPU = torch.device("cpu")
#: on frames 60 to 64
GAP = Gap(60 * HOP, 65 * HOP)


def model() -> SpectrogramModel:
    """Of windows of 48 frames: halves of 24, of which the nearest 3 are hidden."""
    return tiny_filler(16).model


def heard(
    audio: Tensor, patch: Patch, gaps: Sequence[Gap], monkeypatch: pytest.MonkeyPatch
) -> Tensor:
    """What the model gets of a filling, [pairs, window, bands]."""
    inputs: list[Tensor] = []
    one = model()

    def keep(features: Tensor) -> Tensor:
        inputs.append(features)
        return torch.zeros(*features.shape[:2], one.config.dim)

    with monkeypatch.context() as there:
        there.setattr(one, "hidden", keep)
        ranker = ContinuationRanker(one, CPU)
        found = ranker.scores(MemorySource(audio, RATE), GAP, gaps, [patch])
    assert len(found) == len(inputs) == 1
    return inputs[0]


def test_the_filling_is_heard_beside_hidden_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = 0.1 * noise(2, 120 * HOP)
    true = Patch(GAP.start, audio[:, GAP.start : GAP.stop].clone())
    holed = audio.clone()
    holed[:, GAP.start : GAP.stop] = torch.nan
    kept = holed.clone()
    inputs = heard(holed, true, [GAP], monkeypatch)
    assert torch.equal(holed.nan_to_num(), kept.nan_to_num())
    config = model().config
    power = tiny_filler(16).spectrum(audio.mean(dim=0))
    span = middle(config)
    assert inputs.shape == (2, 48, 16)
    for row, joint in ((0, 60 - 3), (1, 65 + 3)):
        halves = power[joint - 24 : joint], power[joint : joint + 24]
        expected = pair_inputs(join(*halves)[None], config)[0]
        assert torch.allclose(inputs[row], expected, atol=1e-4)
        # the first frame after the hidden ones is the gap's, or the last before them
        assert (joint == 57 and span.stop - 24 + joint == 60) or span.start - 24 + joint == 65


def test_both_joins_tell_fillings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = 0.1 * noise(1, 120 * HOP)
    quiet, loud = (
        heard(audio, Patch(GAP.start, level * noise(1, GAP.length, seed=1)), [GAP], monkeypatch)
        for level in (0.001, 0.3)
    )
    for row in (0, 1):
        assert float((quiet[row] - loud[row]).abs().max()) > 0.1


def test_short_sides_are_mirrored_or_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = 0.1 * noise(1, 120 * HOP)
    patch = Patch(GAP.start, 0.1 * noise(1, GAP.length, seed=1))
    source = MemorySource(audio, RATE)
    ranker = ContinuationRanker(model(), CPU)
    # other gaps leave 16 known frames, then too few, on either side
    near, nearer = Gap(0, 44 * HOP), Gap(0, 46 * HOP)
    after = Gap(75 * HOP, 120 * HOP)
    inputs = heard(audio, patch, [near, GAP], monkeypatch)
    assert len(inputs) == 2
    # frames before number 44 are those after it, backwards
    assert torch.allclose(inputs[0, 1:11], inputs[0, 11:21].flip(0), atol=1e-4)
    assert len(heard(audio, patch, [nearer, GAP], monkeypatch)) == 1
    assert ranker.fits(source, GAP, [nearer, GAP])
    assert not ranker.fits(source, GAP, [nearer, GAP, after])
    with pytest.raises(ValueError, match="too little is known"):
        ranker.scores(source, GAP, [nearer, GAP, after], [patch])


def test_a_continuation_has_one_join(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = torch.cat([0.1 * noise(1, 60 * HOP), torch.zeros(1, 40 * HOP)], dim=1)
    room = Gap(60 * HOP, 100 * HOP)
    ranker = ContinuationRanker(model(), CPU)
    source = MemorySource(audio, RATE)
    fillings = [
        Patch(room.start, 0.1 * noise(1, room.length, seed=1)),
        Patch(room.start, 0.1 * tone([440], room.length)),
    ]
    first, second = ranker.scores(source, room, [room], fillings)
    assert first != second
    assert ranker.scores(source, room, [room], fillings) == [first, second]


class Chooser(ContinuationRanker):
    """Takes the filling of a number, where there is enough sound."""

    def __init__(self, number: int, fitting: bool = True) -> None:
        super().__init__(model(), CPU)
        self.number, self.fitting = number, fitting
        self.asked: list[Sequence[Patch]] = []

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        return self.fitting

    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        self.asked.append(fillings)
        return [float(number == self.number) for number in range(len(fillings))]


def filled(
    models: tuple[AnyVQVAE, MaskedLM],
    ranking: ContinuationRanker | None,
    gap: Gap = GAP,
    **settings: object,
) -> Filling:
    drawn = {"method": "tokens", "steps": 2, "temperature": 1.0, "candidates": 3}
    chosen = InfillSettings(**(drawn | settings))  # type: ignore[arg-type]
    maker = Infiller(*models, CPU, chosen, ranking=ranking)
    (made,) = maker.fill(MemorySource(0.1 * noise(2, 300 * HOP), RATE), [gap])
    return made


@pytest.mark.parametrize("gap", [GAP, Gap(60 * HOP, 150 * HOP)])
def test_the_best_of_all_candidates_is_taken(
    vqvae: AnyVQVAE, mlm: MaskedLM, gap: Gap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomask.infill.infiller.limit_peaks", lambda samples, *_: samples)
    rankers = [Chooser(number) for number in range(3)]
    made = [filled((vqvae, mlm), ranker, gap) for ranker in rankers]
    for ranker, one in zip(rankers, made, strict=True):
        (fillings,) = ranker.asked
        assert len(fillings) == 3
        assert torch.equal(fillings[ranker.number].samples, one.samples)
    assert not torch.equal(made[0].samples, made[1].samples)
    assert not torch.equal(made[1].samples, made[2].samples)


def test_the_likeliest_is_taken_where_it_cannot_tell(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    plain = filled((vqvae, mlm), None)
    chooser = Chooser(0, fitting=False)
    assert torch.equal(filled((vqvae, mlm), chooser).samples, plain.samples)
    assert not chooser.asked


def test_one_filling_needs_no_choice(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    chooser = Chooser(0)
    filled((vqvae, mlm), chooser, candidates=1)
    filled((vqvae, mlm), chooser, temperature=0.0)
    assert not chooser.asked


def test_the_engine_ranks_where_its_folder_has_the_model(tiny: Path, tmp_path: Path) -> None:
    drawn = InfillSettings(temperature=1.0, candidates=2)
    assert Engine(tiny, "cpu").open_infiller(drawn).ranking is not None
    for other in (
        InfillSettings(temperature=1.0),
        InfillSettings(candidates=2),
        InfillSettings(method="spectrogram", temperature=1.0, candidates=2),
    ):
        assert Engine(tiny, "cpu").open_infiller(other).ranking is None
    # a raw-audio model ranks as well, alone or beside it
    drawn_samples = InfillSettings("wave", temperature=1.0, candidates=2)
    assert Engine(tiny, "cpu").open_infiller(drawn_samples).ranking is not None
    shutil.copytree(tiny, tmp_path / "models", ignore=shutil.ignore_patterns("wave"))
    other_head = build_spectrogram("mockingjay", SMALL | GRID)
    folder = tmp_path / "models" / "spectrogram"
    save_checkpoint(
        folder, "spectrogram", "mockingjay", asdict(other_head.config), other_head.state_dict()
    )
    assert Engine(tmp_path / "models", "cpu").open_infiller(drawn).ranking is None
    shutil.rmtree(folder)
    assert Engine(tmp_path / "models", "cpu").open_infiller(drawn).ranking is None
