"""Nothing is read or written outside what the user named, whatever a file says.

The harnesses beside this file watch the same for every input they run (see ``watch.py``).
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from audiomask.audio.files import AudioFile
from audiomask.checkpoint import CONFIG_FILE, read_config
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, CheckpointError, UsageError
from audiomask.infill.labels import read_labels
from audiomask.tokens import load_tokens


@pytest.fixture
def models(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoints, to be spoilt."""
    return Path(shutil.copytree(tiny, tmp_path / "models"))


def change(folder: Path, **entries: Any) -> None:
    """Change what a checkpoint's config.json says, in its ``config`` where it has the name."""
    file = folder / CONFIG_FILE
    told = json.loads(file.read_text())
    for name, value in entries.items():
        (told["config"] if name in told["config"] else told)[name] = value
    file.write_text(json.dumps(told))


@pytest.mark.parametrize(
    "stem",
    ["../guitar", "/etc/passwd", "a/b", "a\\b", "C:x", "..", ".", "", "x\0", "\ud800", "\x1b[2J",
     "residual", "all"],
)  # fmt: skip
def test_a_checkpoints_stems_cannot_lead_elsewhere(models: Path, stem: str) -> None:
    for kind, method in (("masks", "mask"), ("mlm", "wiener"), ("mlm", "tokens")):
        change(models / kind, stems=["guitar", stem])
        with pytest.raises(CheckpointError, match="cannot name a file") as caught:
            Engine(models, "cpu").stems(method)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", ["preset", "kind", "requires", "vqvae", "another", "sha256"])
def test_paths_in_a_configuration_are_only_words(
    models: Path, tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models / "vqvae", tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    required = read_config(models / "mlm")["requires"]
    for value in ("../elsewhere", str(tmp_path / "elsewhere"), "elsewhere/model.safetensors"):
        if entry == "vqvae":
            change(models / "mlm", requires={"vqvae": value})
        elif entry == "another":
            change(models / "mlm", requires=required | {value: required["vqvae"]})
        else:
            change(models / "mlm", **{entry: value})
        with pytest.raises(CheckpointError):
            assert Engine(models, "cpu").mlm
        with pytest.raises(CheckpointError):
            assert Engine(models / "mlm", "cpu").mlm
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("hop_length", 256), ("sample_rate", 1)],
)
def test_what_no_tensor_holds_to_account_is_that_of_the_vqvae(
    models: Path, name: str, value: int
) -> None:
    change(models / "mlm", **{name: value})
    with pytest.raises(CheckpointError, match=f"{name} is {value}, but .* in its VQ-VAE"):
        assert Engine(models, "cpu").mlm


def test_files_that_name_others_open_no_other(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.mkdir()  # whoever opens it fails with another error
    lists = {
        "list.m3u": f"#EXTM3U\n{secret}\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "sheet.cue": f'FILE "{secret}" WAVE\n  TRACK 01 AUDIO\n',
        "labels.txt": f"{secret}\t1\t2\n",
        "tokens.txt": f"# audiomask tokens 2\n# fingerprint: {secret}\n# include: {secret}\n",
    }
    for name, text in lists.items():
        path = tmp_path / name
        path.write_text(text)
        for read in (AudioFile, load_tokens):
            with pytest.raises(AudiomaskError, match=name):
                read(path)
        with pytest.raises(UsageError, match=name):
            read_labels(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*lists, "secret.wav"])
