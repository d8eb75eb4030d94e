"""Run: which songs are measured, which are counted on, and what a report tells of itself."""

import json
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import audiomask
from audiomask.checkpoint import read_config
from audiomask.data.layouts import recognize
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, CheckpointError, DataError, UsageError
from audiomask.evaluation.evaluator import Evaluator
from audiomask.evaluation.options import (
    SPECIAL,
    EvaluateOptions,
    Split,
    evaluator_of,
    jobs,
)
from audiomask.evaluation.report import as_json
from audiomask.evaluation.run import Evaluation, choose_songs, evenly
from audiomask.evaluation.songs import Choice, SongRef
from audiomask.kinds import checkpoints


def names(refs: list[SongRef]) -> list[str]:
    return [ref.name for ref in refs]


def measured(evaluation: Evaluation) -> dict[str, object]:
    """The data of a report on all songs of an evaluation."""
    for ref in evaluation.refs:
        evaluation.measure(ref)
    return json.loads(as_json(evaluation.report().data))  # type: ignore[no-any-return]


@pytest.mark.parametrize("job", jobs())
def test_every_job_tells_what_it_takes_to_repeat_it(
    job: str, song: Callable[..., Path], continuing: Path, tmp_path: Path
) -> None:
    engine = Engine(continuing, "cpu")
    for number, name in enumerate(("train/a", "train/b", "test/c")):
        song(f"data/{name}", guitar=number, bass=number + 1)
    options = EvaluateOptions(
        job,
        (tmp_path / "data",),
        seconds=1.0,
        seed=5,
        gap_length=(20.0,) if job == "infill" else (),
    )
    options.check()
    found = measured(Evaluation(options, engine))
    assert found["job"] == job
    assert found["audiomask"] == audiomask.__version__
    assert found["songs"] == ["test/c"]
    assert (found["split"], found["seconds"], found["seed"]) == ("test", 1.0, 5)
    assert (found["failed"], found["left_out"]) == ([], {})
    prints = {kind: read_config(continuing / kind)["sha256"][:16] for kind in checkpoints()}
    assert found["checkpoints"] == prints


def test_songs_that_fail_and_songs_that_are_left_out_are_told(
    recording: Callable[..., Path], engine: Engine, tmp_path: Path
) -> None:
    recording("data/train/other.wav")
    recording("data/test/good.wav")
    recording("data/test/short.wav", seconds=0.4)
    recording("data/test/gone.wav")
    evaluation = Evaluation(EvaluateOptions("mlm", (tmp_path / "data",), rounds=1), engine)
    (tmp_path / "data" / "test" / "gone.wav").unlink()
    reasons = {}
    for ref in evaluation.refs:
        if ref.name == "test/gone":
            with pytest.raises(AudiomaskError, match=r"gone\.wav"):
                evaluation.measure(ref)
        else:
            reasons[ref.name] = evaluation.measure(ref)
    report = evaluation.report()
    assert reasons["test/good"] is None
    assert report.data["songs"] == ["test/good"]
    assert report.data["left_out"] == {"test/short": reasons["test/short"]}
    assert report.data["failed"] == ["test/gone"]
    assert report.notes[-1] == "left out: 1; failed: 1"


def test_nothing_measured_is_an_error(
    recording: Callable[..., Path], engine: Engine, tmp_path: Path
) -> None:
    recording("data/test/short.wav", seconds=0.4)
    evaluation = Evaluation(EvaluateOptions("mlm", (tmp_path / "data",)), engine)
    evaluation.measure(evaluation.refs[0])
    with pytest.raises(DataError, match="no song was measured: shorter than the model's window"):
        evaluation.report()


def test_a_vqvae_alone_fills_no_gaps(
    recording: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    recording("data/test/a.wav")
    engine = Engine(tiny / "vqvae", "cpu")
    assert list(engine.fingerprints) == ["vqvae"]
    Evaluation(EvaluateOptions("vqvae", (tmp_path / "data",)), engine)
    needed = {"mlm": "mlm", "infill": "mlm", "separate": "masks", "masks": "masks"}
    for job, kind in needed.items():
        with pytest.raises(CheckpointError, match=f"no checkpoint '{kind}', which this needs"):
            Evaluation(EvaluateOptions(job, (tmp_path / "data",)), engine)


@pytest.mark.parametrize("job", ["masks", "separate"])
def test_masks_alone_are_measured(
    job: str, song: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    song("data/test/a", guitar=1, bass=2)
    engine = Engine(tiny / "masks", "cpu")
    found = measured(Evaluation(EvaluateOptions(job, (tmp_path / "data",)), engine))
    assert found["method"] == "mask"
    assert found["checkpoints"] == engine.fingerprints
    assert list(engine.fingerprints) == ["masks"]
    for other in ("vqvae", "mlm", "infill"):
        with pytest.raises(CheckpointError, match=r"no checkpoint .* \(it has: masks\)"):
            Evaluation(EvaluateOptions(other, (tmp_path / "data",)), engine)


def test_stems_that_the_model_does_not_know(
    song: Callable[..., Path], engine: Engine, tmp_path: Path
) -> None:
    song("data/test/a", piano=1, drums=2)
    with pytest.raises(DataError, match=r"guitar, bass.*it has: drums, piano"):
        Evaluation(EvaluateOptions("separate", (tmp_path / "data",)), engine)


def test_files_left_out_of_the_data_are_told(
    recording: Callable[..., Path],
    engine: Engine,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording("data/test/a.wav")
    (tmp_path / "data" / "test" / "b.wav").write_text("la la la")
    with caplog.at_level(logging.WARNING, "audiomask"):
        Evaluation(EvaluateOptions("vqvae", (tmp_path / "data",)), engine)
    assert "b.wav" in caplog.text


# What baselines are counted on


def test_baselines_are_counted_on_the_train_split(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("train/a", "train/b", "test/c", "test/d"):
        recording(f"data/{name}.wav")
    sources = [recognize(tmp_path / "data")]
    refs, fit, origin = choose_songs(sources, Choice("test", seconds=0.5), [])
    assert (names(refs), names(fit)) == (["test/c", "test/d"], ["train/a", "train/b"])
    assert origin == "the train split"
    # as much of them as there is
    assert (refs[0].seconds, fit[0].seconds) == (0.5, 1.5)


@pytest.mark.parametrize("split", ["test", "all"])
def test_without_a_train_split_every_second_song_is_counted(
    split: str, recording: Callable[..., Path], tmp_path: Path
) -> None:
    for name in "abcde":
        recording(f"data/test/{name}.wav")
    sources = [recognize(tmp_path / "data")]
    refs, fit, origin = choose_songs(sources, Choice(split), [])
    assert names(refs) == ["test/a", "test/c", "test/e"]
    assert names(fit) == ["test/b", "test/d"]
    assert "every second song" in origin
    refs, fit, _ = choose_songs(sources, Choice(split, limit=2), [])
    assert (names(refs), names(fit)) == (["test/a", "test/c"], ["test/b", "test/d"])


def test_baselines_are_counted_on_another_folder_but_never_on_what_is_measured(
    recording: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("data/test/a", "data/train/b", "fit/c", "fit/d"):
        recording(f"{name}.wav")
    data, fit = (recognize(tmp_path / name) for name in ("data", "fit"))
    refs, counted, origin = choose_songs([data], Choice("all"), [fit])
    assert (names(refs), names(counted)) == (["test/a", "train/b"], ["c", "d"])
    assert str(tmp_path / "fit") in origin
    with pytest.raises(UsageError, match=r"a\.wav is measured as well"):
        choose_songs([data], Choice("test"), [data])


def test_spread() -> None:
    assert evenly(list("abcdefgh"), 3) == ["a", "c", "f"]  # type: ignore[arg-type, comparison-overlap]
    assert evenly(list("ab"), 3) == ["a", "b"]  # type: ignore[arg-type, comparison-overlap]
    assert evenly([], 3) == []


# Options


def test_every_kind_and_every_task_is_measured() -> None:
    kinds = ("vqvae", "mlm", "masks", "spectrogram", "wave", "lm")
    assert jobs() == (*kinds, "infill", "separate")
    for job in jobs():
        assert issubclass(evaluator_of(job), Evaluator)
    assert evaluator_of("masks") is evaluator_of("separate")


def test_what_is_special_is_of_an_evaluator_and_of_the_options() -> None:
    taken = {name for job in jobs() for name in evaluator_of(job).options}
    assert taken == set(SPECIAL)
    assert taken <= {field.name for field in fields(EvaluateOptions)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"levels": 1, "job": "mlm"}, "--levels belongs to 'evaluate vqvae'"),
        ({"opinion": True, "job": "infill"}, "--opinion belongs to 'evaluate vqvae'"),
        ({"gaps_per_file": 2}, "--gaps-per-file belongs to 'evaluate infill'"),
        ({"notes": Path("."), "job": "mlm"}, "--notes belongs to 'evaluate spectrogram'"),
        ({"notes": Path("nowhere"), "job": "spectrogram"}, "--notes nowhere is not a folder"),
        ({"fit": (Path("."),)}, "--fit belongs to 'evaluate mlm'"),
        ({"temperature": 0.0}, "--temperature belongs to 'evaluate infill'"),
        (
            {"job": "mlm", "method": "ar"},
            "--method belongs to 'evaluate masks' and 'evaluate infill' and 'evaluate separate'",
        ),
        ({"job": "separate", "method": "ar"}, "there are: mask, wiener, tokens"),
        ({"job": "masks", "method": "ar"}, "there are: mask, wiener, tokens"),
        ({"job": "masks", "levels": 1}, "--levels belongs to 'evaluate vqvae'"),
        ({"job": "infill", "gap_length": (20.0, 0.0)}, "--gap-length 0"),
        ({"job": "infill", "gap_length": (float("nan"),)}, "--gap-length nan"),
        ({"seconds": 0.0}, "--seconds 0"),
        ({"data": (Path("nowhere"),)}, "--data nowhere is not a folder"),
        ({"data": (Path("."), Path("."))}, "given twice"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"job": "vqvae", "data": (Path("."),)} | changes
    with pytest.raises(UsageError, match=words):
        EvaluateOptions(**given).check()  # type: ignore[arg-type]


def test_defaults_pass() -> None:
    for job in jobs():
        EvaluateOptions(job, (Path("."),)).check()
    assert EvaluateOptions("mlm", (Path("."),)).split is Split.test
