"""Run files of ``audiomask train``: below the command line, and of runs that are gone on with."""

from pathlib import Path

import pytest

from audiomask.training.options import TrainOptions


def write(folder, text, name="run.toml"):
    """A run file below the current folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


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
        ("data = ['nowhere']", "a.toml: data nowhere is not a folder"),
        ("init = 'nowhere'", "a.toml: init nowhere is not a folder"),
        ("vqvae = 'nowhere'", "a.toml: vqvae belongs to 'train mlm'"),
        ("keep_tokens = 5", "a.toml: keep_tokens is for kinds that learn tokens"),
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


@pytest.mark.slow
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
