"""Settings from presets, files, --set and options, in that order."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from audiomask.data.augmentation import Augmentation
from audiomask.errors import ConfigError
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig
from audiomask.training.config import TrainConfig
from audiomask.training.options import RunFile, TrainOptions
from audiomask.training.settings import OPTIONS, TABLES, resolve, split

MODELS = (VQVAEConfig(), PaperConfig(), MLMConfig(1, 2, 3, 512, 5))


def resolved(*files: dict[str, dict[str, Any]], fixed: tuple[str, ...] = (), **options: Any) -> Any:
    """Model, schedule and augmentation of a VQ-VAE under run files a.toml, b.toml and options."""
    read = tuple(
        RunFile(Path(f"{name}.toml"), tables=tables)
        for name, tables in zip("ab", files, strict=False)
    )
    asked = TrainOptions((), Path("out"), files=read, **options)
    return resolve(asked, VQVAEConfig(), TrainConfig(100, 8), Augmentation(), fixed)


# Files


def test_without_anything_the_presets_stay() -> None:
    assert resolved() == (VQVAEConfig(), TrainConfig(100, 8), Augmentation())


def test_tables_go_to_what_they_name() -> None:
    model, schedule, augmentation = resolved(
        {"model": {"levels": 3}, "schedule": {"ema": 0.5}, "augmentation": {"pitch_tempo_prob": 1}}
    )
    assert model == dataclasses.replace(VQVAEConfig(), levels=3)
    assert schedule == TrainConfig(100, 8, ema=0.5)
    assert augmentation == Augmentation(pitch_tempo_prob=1.0)
    assert type(augmentation.pitch_tempo_prob) is float


def test_set_goes_over_the_later_file_over_the_earlier_key_by_key() -> None:
    _, schedule, _ = resolved(
        {"schedule": {"ema": 0.1, "clip": 0.1, "warmup": 1}},
        {"schedule": {"ema": 0.2, "clip": 0.2}},
        overrides={"ema": "0.3"},
    )
    assert (schedule.ema, schedule.clip, schedule.warmup) == (0.3, 0.2, 1)


def test_options_that_are_settings_of_the_schedule() -> None:
    _, schedule, _ = resolved(steps=5, accumulate=3, save_every=7, validate_every=9)
    assert schedule == TrainConfig(5, 8, accumulate=3, save_every=7, validate_every=9)
    assert resolved(batch_size=2)[1].batch_size == 2
    assert resolved(batch_size="auto")[1].batch_size == 8


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (
            {"schedule": {"learning_rte": 1}},
            "no setting 'learning_rte' in [schedule]; did you mean 'learning_rate'?",
        ),
        (
            {"model": {"learning_rate": 1}},
            "no setting 'learning_rate' in [model]; did you mean 'learning_rate' in [schedule]?",
        ),
        (
            {"schedule": {"batch_size": 1}},
            "no setting 'batch_size' in [schedule]; did you mean 'batch_size' above the tables?",
        ),
        (
            {"augmentation": {"zzzz": 1}},
            "no setting 'zzzz' in [augmentation]; there are effects_prob, gain, incoherent, "
            "mashup, pan_prob, pitch, pitch_tempo_prob, polarity_prob, random_mixing, "
            "stem_dropout, tempo",
        ),
        ({"model": {"levels": "3"}}, "levels is '3', not a whole number"),
        ({"model": {"levels": True}}, "levels is True, not a whole number"),
        ({"schedule": {"learning_rate": "fast"}}, "learning_rate is 'fast', not a number"),
        (
            {"augmentation": {"moved": 1}},
            "no setting 'moved' in [augmentation]; it is called 'pitch_tempo_prob' now",
        ),
        (
            {"augmentation": {"pitch_tempo_prob": 2}},
            "pitch_tempo_prob is 2; it must be from 0 to 1",
        ),
        ({"model": {"levels": 0}}, "levels is 0; it must be a whole number from 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tables: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolved({}, tables)
    assert str(refused.value) == f"b.toml: {reason}"


def test_settings_that_another_checkpoint_decides() -> None:
    fixed = ("codebook_size", "levels")
    assert resolved({"model": {"levels": 4}}, fixed=fixed)[0] == VQVAEConfig()
    with pytest.raises(ConfigError, match=r"^a.toml: levels is 3, but 4 in the checkpoint"):
        resolved({"model": {"levels": 3}}, fixed=fixed)
    with pytest.raises(ConfigError, match="--set: codebook_size is 8, but 1024"):
        resolved(overrides={"codebook_size": "8"}, fixed=fixed)


# --set


def test_settings_go_where_they_belong() -> None:
    model, schedule = split(
        {"levels": "2", "commitment": "0.5", "learning_rate": "1e-3", "warmup": "7"},
        VQVAEConfig(),
        TrainConfig(1, 1),
    )
    assert model == {"levels": 2, "commitment": 0.5}
    assert schedule == {"learning_rate": 1e-3, "warmup": 7}
    config = MLMConfig(1, 2, 3, 512, 5)
    (found,) = split({"stems": "guitar,bass", "layout": "aligned"}, config)
    assert build_mlm("default", vars(config) | found).config.stems == ("guitar", "bass")


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("learning_rte", "1", "--set: no setting 'learning_rte'; did you mean 'learning_rate'?"),
        ("dropped", "1", "--set: no setting 'dropped'; it is called 'stem_dropout' now"),
        ("steps", "1", "--set: no setting 'steps'; did you mean --steps?"),
        ("save_evry", "1", "--set: no setting 'save_evry'; did you mean --save-every?"),
        ("levels", "two", "--set levels: 'two' is not a whole number"),
        ("commitment", "x", "--set commitment: 'x' is not a number"),
        ("commitment", "nan", "--set commitment: 'nan' is not a number"),
        ("commitment", "-1", "--set: commitment is -1.0; it must lie in 0 to 100"),
    ],
)
def test_settings_that_do_not_fit_are_named(key: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolved(overrides={key: text})
    assert str(refused.value) == reason


def test_an_unknown_name_unlike_any_gets_a_list() -> None:
    with pytest.raises(ConfigError, match=r"'xyzzy'; there are accumulate, .*, workers$"):
        resolved(overrides={"xyzzy": "1"})


# Names


@pytest.mark.parametrize("model", MODELS)
def test_no_name_has_two_meanings(model: object) -> None:
    fields: list[str] = []
    for config in (model, TrainConfig(1, 1), Augmentation()):
        fields += [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    assert sorted(set(fields)) == sorted(fields)
    # an option stands for the schedule's field, never for another's
    schedule = {field.name for field in dataclasses.fields(TrainConfig)}
    assert OPTIONS & set(fields) <= schedule
    assert not OPTIONS & set(TABLES)
