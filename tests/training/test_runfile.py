"""Run files as people write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiomask.errors import ConfigError
from audiomask.training.options import RunFile
from audiomask.training.runfile import merge, read_run, saved_run


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., RunFile]:
    """``read("steps = 3", kind="mlm")``: what a run file of that text says."""

    def write_and_read(text: str | bytes, kind: str = "vqvae") -> RunFile:
        file = tmp_path / "run.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_run(file, kind)

    return write_and_read


EVERYTHING = """
data = ["notes", "/far/midi"]
out = "../runs/a"
preset = "paper"
steps = 10
max-time = "1h30m"
precision = "fp16"
compile = false
workers = 2
batch-size = "auto"
accumulate = 4
shard = true
seed = 7
save_every = 50
validate_every = 60
tensorboard = true
init = "i"
vqvae = "v"
cache = "c"
keep-tokens = 9
device = "cuda:1"
threads = 3
[model]
levels = 3
[schedule]
learning_rate = 1
[augmentation]
[origin]
kind = "vqvae"
whatever = 1
"""


def test_everything(read: Callable[..., RunFile], tmp_path: Path) -> None:
    file = read(EVERYTHING)
    assert file.path == tmp_path / "run.toml"
    assert file.options == {
        "data": (tmp_path / "notes", Path("/far/midi")),
        "out": tmp_path / "../runs/a",
        "preset": "paper",
        "steps": 10,
        "max_time": 5400.0,
        "precision": "fp16",
        "compile": False,
        "workers": 2,
        "batch_size": "auto",
        "accumulate": 4,
        "shard": True,
        "seed": 7,
        "save_every": 50,
        "validate_every": 60,
        "tensorboard": True,
        "init": tmp_path / "i",
        "vqvae": tmp_path / "v",
        "cache": tmp_path / "c",
        "keep_tokens": 9,
        "device": "cuda:1",
        "threads": 3,
    }
    settings = {"model": {"levels": 3}, "schedule": {"learning_rate": 1}, "augmentation": {}}
    assert file.tables == settings
    assert file.origin == {"kind": "vqvae", "whatever": 1}


def test_paths_start_at_the_files_folder_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.toml").write_text('data = ["d", "~/e"]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    file = read_run(Path("sub/a.toml"), "mlm")
    assert file.options["data"] == (Path("sub/d"), Path("/home/somebody/e"))


def test_a_time_may_be_a_number_of_seconds(read: Callable[..., RunFile]) -> None:
    assert read("max_time = 90").options == {"max_time": 90.0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stps = 1", "no setting 'stps'; did you mean 'steps'?"),
        ("batchsize = 1", "no setting 'batchsize'; did you mean 'batch_size'?"),
        ("learning_rte = 1", "no setting 'learning_rte'; did you mean 'learning_rate' in "
         "[schedule]?"),
        ("blocks = 1", "no setting 'blocks'; did you mean 'blocks' in [model]?"),
        ("levels = 1", "no setting 'levels'; did you mean 'levels' in [model]?"),
        ("gain = 1", "no setting 'gain'; did you mean 'gain' in [augmentation]?"),
        ("moved = 1", "no setting 'moved'; it is called 'pitch_tempo_prob' now"),
        ("overrides = 1", None),
        ("files = 1", None),
        ("resume = true", "--resume is for the command line only"),
        ("dry-run = true", "--dry-run is for the command line only"),
        ('steps = "9"', "steps is '9', not a whole number"),
        ("steps = 9.0", "steps is 9.0, not a whole number"),
        ("steps = 0", "steps is 0; it must be at least 1"),
        ("seed = -1", "seed is -1; it must be at least 0"),
        ("batch_size = 0", "batch_size is 0; it must be at least 1"),
        ('batch_size = "all"', "batch_size is 'all', not a whole number or auto"),
        ('precision = "fp8"', "precision is 'fp8', not auto, fp32, bf16 or fp16"),
        ("preset = 1", "preset is 1, not a text"),
        ('shard = "yes"', "shard is 'yes', not true or false"),
        ('data = "notes"', "data is 'notes', not a list of folders"),
        ("data = [1]", "data is [1], not a list of folders"),
        ('out = ""', "out is '', not a folder"),
        ('max_time = "soon"', "max_time: not a time: 'soon' (write 90s, 9m, 1.5h or 1h30m)"),
        ("max_time = 0", "max_time is 0; a time must be more than zero"),
        ("max_time = true", "max_time is True, not a time such as '9m'"),
        ("steps = 1\n[steps]", None),
        ("save-every = 1\nsave_every = 2", "save_every is given twice, as save_every, too"),
        ("model = 3", "model is 3, not a table: write [model]"),
        ("[augmentaion]", "no table [augmentaion]; did you mean [augmentation]?"),
        ("[set]\nx = 1", "no table [set]; there are [model], [schedule], [augmentation]"),
        ('[origin]\nkind = "mlm"', "is of 'audiomask train mlm'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    read: Callable[..., RunFile], tmp_path: Path, text: str, reason: str | None
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    if reason is not None:
        assert str(refused.value) == f"{tmp_path / 'run.toml'}: {reason}"


def test_names_are_those_of_the_kind(read: Callable[..., RunFile]) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'stem_layers' in \[model\]"):
        read("stem_layer = 1", kind="mlm")
    with pytest.raises(ConfigError, match="no setting 'stem_layer'") as refused:
        read("stem_layer = 1")
    assert "stem_layers" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("steps = 1\nseed == 2\n", ", line 2: not TOML (Invalid value)"),
        ("steps = 1\n[model", ": not TOML ("),
        ("steps = 1\nsteps = 2\n", ", line 2: not TOML (Cannot overwrite a value)"),
        (b"steps = 1 # \xff", ": not TOML, nor a text in UTF-8"),
        ("a = " + "[" * 100_000, ": not TOML"),
        ("steps = " + "9" * 5000, ": not TOML that can be read (a number is too long)"),
    ],
)
def test_what_is_no_toml(
    read: Callable[..., RunFile], tmp_path: Path, text: str | bytes, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert str(refused.value).startswith(f"{tmp_path / 'run.toml'}{reason}")
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--config .*a.toml: No such file"):
        read_run(tmp_path / "a.toml", "mlm")
    with pytest.raises(ConfigError, match="directory"):
        read_run(tmp_path, "mlm")


def test_later_files_and_the_command_line_win() -> None:
    first = RunFile(Path("a"), {"steps": 1, "seed": 1, "workers": 1})
    second = RunFile(Path("b"), {"steps": 2, "seed": 2})
    given: dict[str, Any] = {"steps": 3, "data": (Path("d"),)}
    merged = {"steps": 3, "seed": 2, "workers": 1, "data": (Path("d"),)}
    assert merge([first, second], given) == merged


def test_a_folder_without_a_run_has_none(tmp_path: Path) -> None:
    assert saved_run(tmp_path, "vqvae") is None
    assert saved_run(tmp_path / "nowhere", "vqvae") is None
    (tmp_path / "run.toml").write_text("steps = 3\n", encoding="utf-8")
    saved = saved_run(tmp_path, "vqvae")
    assert saved is not None
    assert saved.options == {"steps": 3}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_of_editors_are_no_part_of_a_run_file(
    tmp_path: Path, encoding: str
) -> None:
    text = "steps = 3\r\nout = 'ü'\r\n"
    mark = "\ufeff" if encoding.endswith("e") else ""
    (tmp_path / "a.toml").write_bytes((mark + text).encode(encoding))
    read = read_run(tmp_path / "a.toml", "vqvae")
    assert read.options == {"steps": 3, "out": tmp_path / "ü"}
