"""``audiomask train`` hands its options on, from the command line and from run files."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from audiomask.options import options_of
from audiomask.training.options import TrainOptions


@pytest.fixture
def runs(monkeypatch):
    """The runs asked for, as (kind, options)."""
    asked = []
    module = ModuleType("audiomask.training.run")
    module.train_vqvae = lambda options: asked.append(("vqvae", options))  # type: ignore[attr-defined]
    module.train_mlm = lambda options: asked.append(("mlm", options))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "audiomask.training.run", module)
    return asked


@pytest.fixture
def folders(tmp_path):
    """Folders d, e and v below the current one."""
    for name in ("d", "e", "v"):
        (tmp_path / name).mkdir()
    return tmp_path


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


def test_kept_tokens_need_a_place_and_an_mlm(invoke, runs, folders):
    done = invoke("train", "mlm", "--data", "d", "--out", "run", "--keep-tokens", 5)
    assert done.status == 2
    assert "--cache" in done.error_line()
    more = ("--keep-tokens", 5, "--cache", "c")
    done = invoke("train", "vqvae", "--data", "d", "--out", "run", *more)
    assert done.status == 2
    assert "train mlm" in done.error_line()
    assert not runs


def test_one_level_is_for_a_vqvae(invoke, runs, folders):
    write(folders, "preset = 'one-level'\n", "a.toml")
    more = ("--data", "d", "--out", "run")
    for named in (("--preset", "one-level"), ("--config", "a.toml")):
        done = invoke("train", "mlm", *more, *named)
        assert done.status == 2
        assert "--preset one-level belongs to 'train vqvae'" in done.error_line()
        assert not runs
        assert invoke("train", "vqvae", *more, *named).status == 0
        assert runs.pop()[1].preset == "one-level"


def test_a_dry_run_may_look_beside_a_finished_checkpoint(invoke, runs, folders):
    (folders / "run").mkdir()
    (folders / "run" / "config.json").touch()
    assert invoke("train", "vqvae", "--data", "d", "--out", "run", "--dry-run").status == 0
    assert len(runs) == 1


# Run files

FILE = """
data = ["../d"]
out = "run"
steps = 100
workers = 3
device = "cpu"
tensorboard = true
precision = "bf16"
seed = 5

[model]
levels = 3
"""


def test_a_file_gives_options_relative_to_itself(invoke, runs, folders):
    write(folders / "recipes", FILE, "a.toml")
    assert invoke("train", "vqvae", "--config", "recipes/a.toml").status == 0
    ((kind, options),) = runs
    (file,) = options.files
    assert kind == "vqvae"
    assert options == TrainOptions(
        data=(Path("recipes/../d"),),
        out=Path("recipes/run"),
        steps=100,
        workers=3,
        device="cpu",
        tensorboard=True,
        precision="bf16",
        seed=5,
        files=(file,),
    )
    assert file.tables == {"model": {"levels": 3}}


def test_the_command_line_goes_over_the_file_with_defaults_too(invoke, runs, folders):
    write(folders / "recipes", FILE, "a.toml")
    done = invoke(
        *("train", "vqvae", "--config", "recipes/a.toml", "--data", "e", "--out", "o"),
        *("--workers", 0, "--seed", 0, "--precision", "auto", "--device", "auto"),
        *("--no-tensorboard", "--set", "levels=4"),
    )
    assert done.status == 0
    ((_, options),) = runs
    assert (options.data, options.out, options.steps) == ((Path("e"),), Path("o"), 100)
    assert (options.workers, options.seed, options.precision) == (0, 0, "auto")
    assert (options.device, options.tensorboard) == ("auto", False)
    assert options.overrides == {"levels": "4"}
    assert options.files[0].tables == {"model": {"levels": 3}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stps = 3", "a.toml: no setting 'stps'; did you mean 'steps'?"),
        ("steps = '3'", "a.toml: steps is '3', not a whole number"),
        ("steps = 3\n= 4", "a.toml, line 2: not TOML"),
        ("device = 'abacus'", "a.toml: --device is auto, cpu, cuda or cuda:N, not 'abacus'"),
        ("data = ['nowhere']", "--data nowhere is not a folder"),
        ("[origin]\nkind = 'mlm'", "a.toml: is of 'audiomask train mlm'"),
        ("[origin]\ninit = 'start'", "its run used a checkpoint 'start': add --init DIR"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(invoke, runs, folders, text, reason):
    write(folders, text, "a.toml")
    data = () if "data" in text else ("--data", "d")
    done = invoke("train", "vqvae", *data, "--out", "run", "--config", "a.toml")
    assert done.status == 2
    assert reason in done.error_line()
    assert not runs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("learning_rte = 1", "a.toml: no setting 'learning_rte'; did you mean 'learning_rate' in "
         "[schedule]?"),
        ("[schedule]\nlearning_rte = 1", "a.toml: no setting 'learning_rte' in [schedule]; did "
         "you mean 'learning_rate'?"),
    ],
)  # fmt: skip
def test_as_installed_it_reads_a_file_and_names_the_nearest(run, folders, text, reason):
    write(folders, f"out = 'run'\ndata = ['d']\n{text}\n", "a.toml")
    done = run("train", "vqvae", "--config", "a.toml")
    assert done.status == 2
    assert done.error_line() == f"audiomask: error: {reason}"
    assert not (folders / "run").exists()


def test_a_run_made_with_other_checkpoints_asks_for_them_again(invoke, runs, folders):
    write(folders, "[origin]\nkind = 'mlm'\nvqvae = 'mine'\ninit = 'start'\n")
    given = ("train", "mlm", "--data", "d", "--out", "o", "--config", "run.toml")
    assert "--vqvae DIR" in invoke(*given).error_line()
    assert "--init DIR" in invoke(*given, "--vqvae", "v").error_line()
    assert invoke(*given, "--vqvae", "v", "--init", "e").status == 0
    # a run that has begun starts from nothing
    assert invoke(*given, "--vqvae", "v", "--resume").status == 0


# Going on

SAVED = """
preset = "paper"
steps = 100
batch_size = 16
precision = "bf16"
seed = 5
[model]
levels = 3
[origin]
kind = "vqvae"
init = "start"
"""


def test_a_resumed_run_goes_on_as_it_began(invoke, runs, folders):
    write(folders / "run", SAVED)
    given = ("train", "vqvae", "--data", "d", "--out", "run")
    assert invoke(*given, "--resume", "--batch-size", "auto", "--precision", "auto").status == 0
    ((_, options),) = runs
    assert (options.preset, options.steps, options.seed) == ("paper", 100, 5)
    assert (options.batch_size, options.precision) == (16, "bf16")
    assert options.files[0].tables == {"model": {"levels": 3}}
    assert (options.data, options.out) == ((Path("d"),), Path("run"))
    # what is said again is what is wanted: the run decides whether that can be
    write(folders, "seed = 6\nsteps = 300\ninit = 'v'\n", "a.toml")
    assert invoke(*given, "--resume", "--config", "a.toml", "--steps", 400).status == 0
    options = runs[-1][1]
    assert (options.seed, options.steps, options.preset) == (6, 400, "paper")
    assert options.init is None
    assert [str(file.path) for file in options.files] == ["run/run.toml", "a.toml"]


def test_a_new_run_takes_nothing_from_the_folders_old_one(invoke, runs, folders):
    write(folders / "run", SAVED)
    assert invoke("train", "vqvae", "--data", "d", "--out", "run").status == 0
    assert runs == [("vqvae", TrainOptions(data=(Path("d"),), out=Path("run")))]


def test_a_run_of_the_other_model_is_not_resumed(invoke, runs, folders):
    write(folders / "run", SAVED)
    done = invoke("train", "mlm", "--data", "d", "--out", "run", "--resume")
    assert done.status == 2
    assert "is of 'audiomask train vqvae'" in done.error_line()
    assert not runs


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
