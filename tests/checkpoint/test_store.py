"""Checkpoints: saved, loaded and verified; what is wrong with one is said in a line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from audiomask.checkpoint import store as module
from audiomask.checkpoint.store import (
    CONFIG_FILE,
    MODEL_FILE,
    bundled_folder,
    load_checkpoint,
    load_weights,
    read_config,
    save_checkpoint,
    sha256,
)
from audiomask.errors import CheckpointError
from models import edit_config


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound checkpoint."""
    weights, requires = model().state_dict(), {"vqvae": "0123456789abcdef"}
    save_checkpoint(
        tmp_path / "a", "mlm", "default", {"dim": 4}, weights, {"n": 7}, requires=requires
    )
    return tmp_path / "a"


def replace_tensors(folder: Path, **tensors: torch.Tensor | None) -> None:
    """Rewrite some of the tensors, and the digest with them."""
    merged = load_file(folder / MODEL_FILE) | tensors
    save_file({name: t for name, t in merged.items() if t is not None}, folder / MODEL_FILE)
    edit_config(folder, sha256=sha256(folder / MODEL_FILE))


def refusal(folder: Path, kind: str | None = None) -> str:
    """The one line that says why the checkpoint is refused; it names the folder."""
    with pytest.raises(CheckpointError) as caught:
        load_weights(model(), load_checkpoint(folder, kind))
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


# Sound ones


def test_what_is_saved_is_loaded(folder: Path) -> None:
    found = load_checkpoint(folder, "mlm")
    assert (found.folder, found.kind, found.preset) == (folder, "mlm", "default")
    assert found.config == {"dim": 4}
    assert found.requires == {"vqvae": "0123456789abcdef"}
    assert found.notes == {"n": 7}
    assert found.fingerprint == sha256(folder / MODEL_FILE)[:16]
    fresh = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    load_weights(fresh, found)
    for name, value in model().state_dict().items():
        again = fresh.state_dict()[name]
        assert again.dtype == value.dtype
        assert torch.equal(again, value.half().to(value.dtype) if value.dim() > 1 else value)


def test_floats_are_stored_in_half_precision(folder: Path) -> None:
    stored = load_file(folder / MODEL_FILE)
    assert stored["0.weight"].dtype == torch.float16
    assert stored["1.num_batches_tracked"].dtype == torch.int64


def test_what_requires_nothing_says_so(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "vqvae", "default", {}, {"x": torch.ones(1)})
    assert read_config(tmp_path)["requires"] == {}
    assert load_checkpoint(tmp_path).requires == {}


def test_the_fingerprint_tells_weights_apart(tmp_path: Path) -> None:
    state = model().state_dict()
    prints = []
    for name, gain in (("a", 1), ("b", 1), ("c", 2)):
        changed = state | {"0.bias": gain * state["0.bias"]}
        prints.append(save_checkpoint(tmp_path / name, "mlm", "default", {}, changed))
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 16


def test_a_checkpoint_is_written_over_another(folder: Path) -> None:
    save_checkpoint(folder, "vqvae", "paper", {}, {"x": torch.ones(1)})
    assert load_checkpoint(folder).kind == "vqvae"
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, MODEL_FILE]


def test_variances_beyond_half_precision_are_kept(tmp_path: Path) -> None:
    weights = {"norm.running_var": torch.tensor([1e5, 3e9, 1e-9]), "w": torch.ones(2, 2)}
    save_checkpoint(tmp_path, "mlm", "default", {}, weights)
    found = load_checkpoint(tmp_path).tensors
    assert torch.equal(found["norm.running_var"], weights["norm.running_var"])
    assert found["w"].dtype == torch.float16


# Broken ones


def test_another_kind_is_refused(folder: Path) -> None:
    assert "kind mlm, not masks" in refusal(folder, "masks")


def test_a_checkpoint_of_format_1_is_refused_by_what_it_is(folder: Path) -> None:
    entries = json.loads((folder / CONFIG_FILE).read_text()) | {"format": 1}
    entries["vqvae"] = entries.pop("requires")["vqvae"]
    (folder / CONFIG_FILE).write_text(json.dumps(entries))
    expected = "is of audiomask 0.1, whose mlm held the masks too; train it anew"
    assert refusal(folder) == f"{folder / CONFIG_FILE}: {expected}"


@pytest.mark.parametrize("kind", ["vqvae", "mlm", "masks"])
def test_a_checkpoint_of_format_2_is_refused_where_tokens_are_others(
    folder: Path, kind: str
) -> None:
    edit_config(folder, kind=kind, format=2)
    if kind == "masks":
        load_checkpoint(folder)
    else:
        expected = "is of an audiomask with other tokens (format 2 of 3); train it anew"
        assert refusal(folder) == f"{folder / CONFIG_FILE}: {expected}"


def test_a_checkpoint_that_does_not_say_what_it_requires_is_refused(folder: Path) -> None:
    entries = json.loads((folder / CONFIG_FILE).read_text())
    del entries["requires"]
    (folder / CONFIG_FILE).write_text(json.dumps(entries))
    assert "'requires' is missing" in refusal(folder)


@pytest.mark.parametrize(
    "requires", [{"vqvae": 3}, {"vqvae": None}, {"vqvae": ["x"]}, {"vqvae": "x" * 129},
                 {"x" * 129: "0123456789abcdef"}]
)  # fmt: skip
def test_what_is_required_is_of_kinds_and_fingerprints(folder: Path, requires: Any) -> None:
    edit_config(folder, requires=requires)
    assert "'requires' is not of kinds and fingerprints" in refusal(folder)


@pytest.mark.parametrize("name", [CONFIG_FILE, MODEL_FILE])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing" in refusal(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "not a checkpoint folder" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights_are_refused(folder: Path, size: int) -> None:
    file = folder / MODEL_FILE
    content = file.read_bytes()
    file.write_bytes(content[:size])
    assert "truncated or altered" in refusal(folder)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_one_altered_byte_is_enough(folder: Path, place: int) -> None:
    file = folder / MODEL_FILE
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert "truncated or altered" in refusal(folder)


def test_what_is_no_safetensors_is_refused(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(b"\x80\x04pickle")
    edit_config(folder, sha256=sha256(folder / MODEL_FILE))
    assert "not a safetensors file" in refusal(folder)


def test_a_missing_an_extra_and_a_wrong_tensor_are_named(folder: Path) -> None:
    weight = load_file(folder / MODEL_FILE)["0.weight"]
    replace_tensors(folder, **{"0.weight": None})
    assert "lacks tensor '0.weight'" in refusal(folder)
    replace_tensors(folder, **{"0.weight": weight, "odd": torch.ones(1)})
    assert "unknown tensor 'odd'" in refusal(folder)
    replace_tensors(folder, **{"odd": None, "0.weight": weight.T.contiguous()})
    assert "'0.weight' is (3, 4), config.json makes it (4, 3)" in refusal(folder)


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e5m2, torch.complex64, torch.bool])
def test_a_tensor_of_another_type_is_named(folder: Path, kind: torch.dtype) -> None:
    replace_tensors(folder, **{"0.bias": torch.zeros(4).to(kind)})
    assert f"tensor '0.bias' is {kind}, not torch.float64" in refusal(folder)


def test_types_and_shapes_that_pytorch_knows_half_are_refused(folder: Path) -> None:
    overflowing = {"0.bias": {"dtype": "F16", "shape": [0, 1 << 63], "data_offsets": [0, 0]}}
    four_bits = {
        "0.weight.int8": {"dtype": "I8", "shape": [4, 2], "data_offsets": [0, 8]},
        "0.weight.scale": {"dtype": "F4", "shape": [8], "data_offsets": [8, 12]},
    }
    for header, size in ((overflowing, 0), (four_bits, 12)):
        head = json.dumps(header).encode()
        (folder / MODEL_FILE).write_bytes(len(head).to_bytes(8, "little") + head + bytes(size))
        edit_config(folder, sha256=sha256(folder / MODEL_FILE))
        assert "not a safetensors file" in refusal(folder)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("format", "1"),
        ("format", 4),
        ("format", None),
        ("kind", 3),
        ("preset", None),
        ("config", [1]),
        ("sha256", 0),
        ("requires", ["x"]),
        ("requires", "0123456789abcdef"),
        ("requires", None),
        ("kind", "x" * 129),
        ("preset", "x" * 129),
    ],
)
def test_an_entry_of_the_wrong_type_is_named(folder: Path, entry: str, value: Any) -> None:
    edit_config(folder, **{entry: value})
    assert entry in refusal(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b"\x00" * 100, b'{"a": NaN}'],
)
def test_a_configuration_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(content)
    assert "JSON" in refusal(folder)


def test_a_huge_configuration_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_config(folder, card="x" * (1 << 20))
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it was read"))
    assert "too large" in refusal(folder)


# Writing


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "file", "vqvae", "default", {}, {"x": torch.ones(1)})


def test_a_failure_while_writing_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: object, file: Path, metadata: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(module, "save_file", fail)
    with pytest.raises(CheckpointError, match="disk full"):
        save_checkpoint(folder, "vqvae", "paper", {}, {"x": torch.ones(1)})
    assert load_checkpoint(folder).kind == "mlm"
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, MODEL_FILE]


# Bundled ones


def test_bundled_checkpoints_are_found_in_the_wheel_or_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "audiomask"
    package.mkdir()
    monkeypatch.setattr(module, "__file__", str(package / "checkpoint" / "store.py"))
    with pytest.raises(CheckpointError, match="--model"):
        bundled_folder()
    # the wheel's own come first, whichever kinds there are
    for place, kind in ((tmp_path / "models", "vqvae"), (package / "bundled", "masks")):
        save_checkpoint(place / kind, kind, "default", {}, {"x": torch.ones(1)})
        assert bundled_folder() == place
        assert read_config(place / kind)["kind"] == kind
