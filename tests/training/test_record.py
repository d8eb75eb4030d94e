"""run.toml: what it keeps, that it reads back the same, and what a resumed run may change."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.data.augmentation import Augmentation
from audiomask.errors import CheckpointError, ConfigError, UsageError
from audiomask.networks.masks.config import MasksConfig
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.paper import PaperConfig
from audiomask.training.config import TrainConfig
from audiomask.training.options import RunFile, TrainOptions
from audiomask.training.record import describe, differences, record, write_run
from audiomask.training.runfile import merge, read_run, saved_run
from audiomask.training.settings import resolve

MLM = MLMConfig(2, 64, 8, 512, 44_100)
OPTIONS = TrainOptions((Path("/far/away/notes"), Path("midi")), Path("out"))


def described(
    model: Any = MLM,
    schedule: TrainConfig = TrainConfig(100, 8),  # noqa: B008 - frozen
    augmentation: Augmentation = Augmentation(),  # noqa: B008 - frozen
    found: dict[str, Any] | None = None,
    origin: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The record of an MLM's run."""
    asked = dataclasses.replace(OPTIONS, **options)
    return describe("mlm", asked, model, schedule, augmentation, found, origin)


def saved(folder: Path, document: dict[str, Any]) -> RunFile:
    """A record as it is read from the file it is written to."""
    write_run(folder, document)
    file = saved_run(folder, "mlm")
    assert file is not None
    return file


def test_it_holds_everything_that_was_decided(tmp_path: Path) -> None:
    document = described(
        seed=7, workers=2, found={"precision": "bf16"}, origin={"vqvae_fingerprint": "ab"}
    )
    write_run(tmp_path, document)
    text = (tmp_path / "run.toml").read_text(encoding="utf-8")
    stored = tomllib.loads(text)
    assert stored == document
    assert (stored["seed"], stored["workers"], stored["precision"]) == (7, 2, "bf16")
    assert (stored["steps"], stored["batch_size"], stored["save_every"]) == (100, 8, 500)
    assert stored["model"] == dataclasses.asdict(MLM) | {"stems": list(MLM.stems)}
    assert stored["schedule"]["learning_rate"] == 5e-4
    assert "steps" not in stored["schedule"]
    assert stored["augmentation"] == dataclasses.asdict(Augmentation())
    assert stored["origin"]["vqvae_fingerprint"] == "ab"
    assert text.startswith("# the same run again: audiomask train mlm --config run.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_folders_are_in_it_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    places = {"out": tmp_path / "o", "cache": tmp_path / "c", "init": tmp_path / "i"}
    write_run(tmp_path, described(data=(tmp_path / "d", Path(".")), vqvae=tmp_path / "v", **places))
    text = (tmp_path / "run.toml").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    origin = tomllib.loads(text)["origin"]
    assert origin["data"] == ["d", "here"]
    assert (origin["vqvae"], origin["init"]) == ("v", "i")


def test_names_no_text_can_hold_are_made_to_fit(tmp_path: Path) -> None:
    write_run(tmp_path, described(data=(Path("a\udcff\"'\n"),)))
    stored = tomllib.loads((tmp_path / "run.toml").read_text(encoding="utf-8"))
    assert stored["origin"]["data"] == ["a\ufffd\"'\n"]


share = st.floats(0, 1)
SCHEDULES = st.builds(
    TrainConfig,
    st.integers(1, 10**9),
    st.integers(1, 10**4),
    learning_rate=st.floats(0, 1e6),
    ema=share,
    save_every=st.integers(1, 10**6),
    accumulate=st.integers(1, 99),
)
AUGMENTATIONS = st.builds(
    Augmentation, share, share, pitch=st.floats(0, 12), pitch_tempo_prob=share
)
MODELS = st.one_of(
    st.builds(VQVAEConfig, levels=st.integers(1, 9), commitment=st.floats(0, 100)),
    st.builds(PaperConfig, blocks=st.integers(1, 9), commitment=st.floats(0, 100)),
    st.builds(
        lambda stems, window: dataclasses.replace(MLM, stems=stems, window=2 * window),
        st.lists(st.text(), unique=True).map(tuple),
        st.integers(1, 999),
    ),
    st.builds(
        lambda stems, channels: MasksConfig(stems=stems, channels=channels),
        st.lists(st.text(), min_size=1, unique=True).map(tuple),
        st.lists(st.integers(1, 99), min_size=1, max_size=9).map(tuple),
    ),
)


@given(
    MODELS, SCHEDULES, AUGMENTATIONS, st.integers(0, 2**63 - 1), st.sampled_from(["fp32", "bf16"])
)
def test_read_back_it_gives_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory,
    model: Any,
    schedule: TrainConfig,
    augmentation: Augmentation,
    seed: int,
    precision: str,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    document = described(
        model, schedule, augmentation, {"precision": precision}, seed=seed, keep_tokens=3
    )
    write_run(folder, document)
    file = read_run(folder / "run.toml", "mlm")
    options = TrainOptions(data=OPTIONS.data, out=OPTIONS.out, files=(file,), **file.options)
    assert (options.seed, options.precision, options.keep_tokens) == (seed, precision, 3)
    # over another preset's configuration: all of them are in the file
    others = {MLMConfig: MLM, MasksConfig: MasksConfig()}
    other = others.get(type(model)) or dataclasses.replace(model, commitment=1.0)
    again = resolve(options, other, TrainConfig(1, 1), Augmentation())
    assert again == (model, schedule, augmentation)
    assert describe("mlm", options, *again) == document
    assert differences(file, document) == []


# Going on


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seed": 1}, "seed is 1, and was 0 when the run began"),
        ({"keep_tokens": 5}, "keep_tokens is 5, and was not set when the run began"),
        ({"found": {"precision": "bf16"}}, "precision is bf16, and was auto when the run began"),
        ({"schedule": TrainConfig(100, 4)},
         "batch_size is 4, and was 8 when the run began"),
        ({"schedule": TrainConfig(100, 8, accumulate=2)},
         "accumulate is 2, and was 1 when the run began"),
        ({"schedule": TrainConfig(100, 8, learning_rate=1.0)},
         "learning_rate is 1.0, and was 0.0005 when the run began"),
        ({"model": dataclasses.replace(MLM, stems=("guitar", "bass"))},
         "stems is guitar, bass, and was guitar, piano, bass, drums, vocals when the run began"),
        ({"augmentation": Augmentation(pitch_tempo_prob=1.0)},
         "pitch_tempo_prob is 1.0, and was 0.25 when the run began"),
        ({"data": (Path("midi"),)}, "data is midi, and was notes, midi when the run began"),
        ({"origin": {"vqvae_fingerprint": "cd"}},
         "vqvae_fingerprint is cd, and was ab when the run began"),
    ],
)  # fmt: skip
def test_what_makes_it_another_run_is_named(
    tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    before = saved(tmp_path, described(origin={"vqvae_fingerprint": "ab"}))
    now = described(**{"origin": {"vqvae_fingerprint": "ab"}} | change)
    assert differences(before, now) == [line]


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": TrainConfig(200, 8, save_every=3, validate_every=4, log_every=2)},
        {"max_time": 5.0, "device": "cpu", "threads": 3, "quiet": True},
        {"workers": 5, "compile": True, "tensorboard": True, "shard": True},
        {"data": (Path("moved/notes"), Path("elsewhere/midi")), "cache": Path("c")},
        # the same batch in other processes
        {"schedule": TrainConfig(100, 4), "origin": {"processes": 2}},
    ],
)
def test_what_may_change(tmp_path: Path, change: dict[str, Any]) -> None:
    assert differences(saved(tmp_path, described()), described(**change)) == []


def test_other_processes_make_another_batch(tmp_path: Path) -> None:
    (line,) = differences(saved(tmp_path, described()), described(origin={"processes": 2}))
    assert line == "batch_size is 8 in each of 2 processes, and was 8 when the run began"


def test_a_setting_that_is_newer_than_the_run_is_no_difference(tmp_path: Path) -> None:
    document = described()
    del document["schedule"]["clip"]
    assert differences(saved(tmp_path, document), described()) == []


def test_a_run_is_gone_on_with_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    record(folder, described(init=Path("start")))
    record(folder, described(schedule=TrainConfig(200, 8)), resume=True)
    stored = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
    assert (stored["steps"], stored["origin"]["init"]) == (200, "start")
    before = (folder / "run.toml").read_bytes()
    with pytest.raises(
        UsageError, match=r"seed is 1.*; pitch_tempo_prob is 1.0.*--init"
    ) as refused:
        record(
            folder, described(seed=1, augmentation=Augmentation(pitch_tempo_prob=1.0)), resume=True
        )
    assert "\n" not in str(refused.value)
    assert (folder / "run.toml").read_bytes() == before
    # a new run in the same folder, and a run that left no record, have nothing to be held to
    record(folder, described(seed=1))
    record(tmp_path / "older", described(), resume=True)
    assert (tmp_path / "older" / "run.toml").is_file()


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, described())
    with pytest.raises(ConfigError, match="is of 'audiomask train mlm'"):
        saved_run(tmp_path, "vqvae")


# Writing


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot write run\.toml"):
        write_run(tmp_path / "file", described())


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, described())
    before = (tmp_path / "run.toml").read_bytes()

    def full(self: Path, text: str, encoding: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_run(tmp_path, described(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]
    assert (tmp_path / "run.toml").read_bytes() == before


def test_a_later_call_reads_what_was_decided(tmp_path: Path) -> None:
    write_run(tmp_path, described(found={"batch_size": 16, "preset": "paper"}))
    file = read_run(tmp_path / "run.toml", "mlm")
    assert merge([file], {"seed": 3}).items() >= {
        "batch_size": 16, "preset": "paper", "seed": 3,
    }.items()  # fmt: skip
