"""``audiomask train`` hands its options on, from the command line and from run files."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from audiomask.kinds import KINDS
from audiomask.options import options_of
from audiomask.training.options import TrainOptions


def write(folder, text, name="run.toml"):
    """A run file below the current folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_defaults(invoke, runs, folders):
    assert invoke("train", "vqvae", "--data", "d", "--out", "run").status == 0
    assert runs == [("vqvae", TrainOptions(data=(Path("d"),), out=Path("run")))]


EVERYTHING = (
    *("--data", "d", "--data", "e", "--out", "run", "--preset", "paper"),
    *("--steps", 100, "--max-time", "9m", "--resume", "--precision", "fp16", "--workers", 3),
    *("--batch-size", 4, "--seed", 7, "--save-every", 50, "--vqvae", "v", "--quiet"),
    *("--set", "layers=2", "--set", "lr=1e-3", "--device", "cpu", "--threads", 2),
    *("--cache", "c", "--keep-tokens", 100, "--accumulate", 8, "--no-compile", "--shard"),
    *("--tensorboard", "--validate-every", 60),
)


def test_every_option(invoke, runs, folders):
    assert invoke("train", "mlm", *EVERYTHING).status == 0
    options = TrainOptions(
        data=(Path("d"), Path("e")),
        out=Path("run"),
        preset="paper",
        steps=100,
        max_time=540,
        resume=True,
        precision="fp16",
        workers=3,
        batch_size=4,
        seed=7,
        save_every=50,
        vqvae=Path("v"),
        cache=Path("c"),
        keep_tokens=100,
        accumulate=8,
        compile=False,
        shard=True,
        tensorboard=True,
        validate_every=60,
        overrides={"layers": "2", "lr": "1e-3"},
        device="cpu",
        threads=2,
        quiet=True,
    )
    assert runs == [("mlm", options)]


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        (["--batch-size", "auto"], "batch_size", "auto"),
        (["--compile"], "compile", True),
        (["--dry-run"], "dry_run", True),
        (["--pack", "shards"], "pack", Path("shards")),
        (["--init", "v"], "init", Path("v")),
    ],
)
def test_further_options(invoke, runs, folders, more, name, value):
    assert invoke("train", "mlm", "--data", "d", "--out", "run", *more).status == 0
    ((_, options),) = runs
    assert options == TrainOptions(data=(Path("d"),), out=Path("run"), **{name: value})


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "", "Auto", "1" * 5000])
def test_batch_sizes_that_are_none(invoke, runs, folders, text):
    done = invoke("train", "mlm", "--data", "d", "--out", "run", f"--batch-size={text}")
    assert done.status == 2
    assert "--batch-size" in done.error_line()
    assert not runs


#: the least that a number may be, by option
LEAST = {n: o.least for n, o in options_of(TrainOptions).items() if o.least is not None}


@pytest.mark.parametrize("name", sorted(set(LEAST) - {"batch_size"}))
def test_counts_begin_where_they_begin_in_files(invoke, runs, folders, name):
    option, least = f"--{name.replace('_', '-')}", LEAST[name]
    given = ("train", "mlm", "--data", "d", "--out", "run", "--cache", "c", option)
    assert invoke(*given, least - 1).status == 2
    assert invoke(*given, least).status == 0
    assert getattr(runs[0][1], name) == least


def test_packing_needs_no_other_folder(invoke, runs, folders):
    assert invoke("train", "mlm", "--data", "d", "--pack", "p").status == 0
    ((_, options),) = runs
    assert (options.pack, options.out) == (Path("p"), Path("p"))
    for other in ("--resume", "--dry-run"):
        done = invoke("train", "mlm", "--data", "d", "--pack", "p", other)
        assert done.status == 2
        assert other in done.error_line()


@pytest.mark.parametrize(
    ("given", "reason"), [(["--out", "run"], "--data"), (["--data", "d"], "--out")]
)
def test_what_cannot_do_without(invoke, runs, folders, given, reason):
    write(folders, "steps = 3\n")
    for more in ([], ["--config", "run.toml"]):
        done = invoke("train", "vqvae", *given, *more)
        assert done.status == 2
        assert reason in done.error_line()
        assert "--config" in done.error_line()
    assert not runs


def test_a_finished_checkpoint_is_not_trained_over(invoke, runs, folders):
    (folders / "run").mkdir()
    (folders / "run" / "config.json").touch()
    done = invoke("train", "vqvae", "--data", "d", "--out", "run")
    assert done.status == 2
    assert "--resume" in done.error_line()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run", "--resume").status == 0
    assert len(runs) == 1


def test_kept_tokens_need_a_place_and_a_kind_that_learns_tokens(invoke, runs, folders):
    done = invoke("train", "mlm", "--data", "d", "--out", "run", "--keep-tokens", 5)
    assert done.status == 2
    assert "--cache" in done.error_line()
    more = ("--keep-tokens", 5, "--cache", "c")
    for kind in ("vqvae", "masks"):
        done = invoke("train", kind, "--data", "d", "--out", "run", *more)
        assert done.status == 2
        assert "learn tokens: 'train mlm' and 'train lm'" in done.error_line()
    assert not runs
    for kind in (("mlm",), ("lm", "--stage", "acoustic")):
        done = invoke("train", *kind, "--data", "d", "--out", "run", *more)
        assert done.status == 0
        assert runs.pop()[1].keep_tokens == 5


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_with_each_of_its_presets(invoke, runs, folders, kind):
    given = ("--data", "d", "--out", "run")
    for preset, stage in product(KINDS[kind].presets, KINDS[kind].stages or (None,)):
        chosen = () if stage is None else ("--stage", stage)
        done = invoke("train", kind, *given, "--preset", preset, *chosen)
        assert done.status == 0, done.err
        expected = TrainOptions(data=(Path("d"),), out=Path("run"), preset=preset, stage=stage)
        assert runs.pop() == (kind, expected)


def test_a_kind_that_nobody_knows_is_one_line(invoke, runs, folders):
    done = invoke("train", "opera", "--data", "d", "--out", "run")
    assert done.status == 2
    known = "vqvae, mlm, masks, spectrogram, wave, lm"
    assert f"no kind of model 'opera' (there are: {known})" in done.error_line()
    assert not runs


@pytest.mark.parametrize("kind", ["vqvae", "masks"])
def test_a_vqvae_is_named_only_for_what_requires_one(invoke, runs, folders, kind):
    done = invoke("train", kind, "--data", "d", "--out", "run", "--vqvae", "v")
    assert done.status == 2
    assert "--vqvae belongs to 'train mlm'" in done.error_line()
    assert not runs


@pytest.mark.parametrize(
    ("kind", "preset", "told"),
    [
        ("masks", "paper", "which has default (kinds that have it: vqvae, mlm, wave)"),
        ("vqvae", "papr", "which has default, one-level, coarse, paper (kinds that have it: none)"),
    ],
)
def test_a_preset_of_other_kinds_is_one_line(invoke, runs, folders, kind, preset, told):
    write(folders, f"preset = '{preset}'\n", "a.toml")
    # what a file asks for is called by the file and its key
    for named, where in (
        (("--preset", preset), "--preset"),
        (("--config", "a.toml"), "a.toml: preset"),
        (("--config", "a.toml", "--preset", preset), "--preset"),
    ):
        done = invoke("train", kind, "--data", "d", "--out", "run", *named)
        assert done.status == 2
        assert f"error: {where} {preset} is not of 'train {kind}', {told}" in done.error_line()
    assert not runs


def test_a_stage_is_named_for_what_has_some(invoke, runs, folders):
    given = ("--data", "d", "--out", "run")
    known = "semantic, coarse, fine, acoustic"
    for words, told in (
        (("lm",), f"'train lm' trains one stage at a time: add --stage {known}"),
        (("lm", "--stage", "corse"), f"--stage corse: 'train lm' has {known}"),
        (("mlm", "--stage", "coarse"), "--stage belongs to 'train lm'"),
        (
            ("lm", "--stage", "semantic", "--vqvae", "v"),
            "--vqvae is read by the stages coarse or fine or acoustic, not semantic",
        ),
        (("mlm", "--spectrogram", "v"), "--spectrogram belongs to 'train lm'"),
    ):
        done = invoke("train", *words, *given)
        assert done.status == 2
        assert told in done.error_line()
    assert not runs
    write(folders, "stage = 'coarse'\n", "a.toml")
    for named in (("--stage", "coarse"), ("--config", "a.toml")):
        assert invoke("train", "lm", *named, "--spectrogram", "v", *given).status == 0
        assert runs.pop()[1].stage == "coarse"


def test_one_level_is_for_a_vqvae(invoke, runs, folders):
    write(folders, "preset = 'one-level'\n", "a.toml")
    more = ("--data", "d", "--out", "run")
    for named, where in (
        (("--preset", "one-level"), "--preset"),
        (("--config", "a.toml"), "a.toml: preset"),
    ):
        done = invoke("train", "mlm", *more, *named)
        assert done.status == 2
        told = "is not of 'train mlm', which has default, paper (kinds that have it: vqvae)"
        assert f"error: {where} one-level {told}" in done.error_line()
        assert not runs
        assert invoke("train", "vqvae", *more, *named).status == 0
        assert runs.pop()[1].preset == "one-level"


def test_a_dry_run_may_look_beside_a_finished_checkpoint(invoke, runs, folders):
    (folders / "run").mkdir()
    (folders / "run" / "config.json").touch()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run", "--dry-run").status == 0
    assert len(runs) == 1


# Help


def test_help_is_in_panels(run):
    shown = run("train", "--help").out.decode()
    panels = [line[:-1] for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert panels == [
        *("Arguments", "What to learn from", "The run", "Settings", "Speed and memory"),
        "Other options",
    ]
    speed = shown.partition("Speed and memory:")[2].partition("Other options:")[0]
    assert "--batch-size N|auto" in speed
    assert "--data" not in speed
    assert max(map(len, shown.splitlines())) <= 80
    words = shown.replace(",", " ").split()
    for option in EVERYTHING:
        if str(option).startswith("--"):
            assert option in words


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from audiomask.cli import main\n"
        "try:\n    main(['train', '--help'])\n"
        "finally:\n"
        "    heavy = {'torch', 'numpy', 'rich.progress', 'tomli_w'} & set(sys.modules)\n"
        "    print(*heavy, file=sys.stderr, end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
