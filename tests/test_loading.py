"""Engine: which checkpoints it reads, where it looks for what they require, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from signals import noise

from audiomask import Engine, InfillSettings
from audiomask.audio.source import MemorySource
from audiomask.checkpoint import CONFIG_FILE, Checkpoint, library, read_config
from audiomask.checkpoint import loader as module
from audiomask.checkpoint.library import find_required
from audiomask.errors import CheckpointError, UsageError
from audiomask.infill.gaps import Gap
from audiomask.networks.masks.unet import DistributedBatchNorm2d

NONE = "0" * 16


def sound() -> MemorySource:
    return MemorySource(0.1 * noise(1, 9000), 44100)


def copied(source: Path, folder: Path, *kinds: str) -> Path:
    """A folder with some of a folder's checkpoints."""
    for kind in kinds:
        shutil.copytree(source / kind, folder / kind)
    return folder


def change(folder: Path, **entries: Any) -> None:
    """Rewrite some of config.json's entries; None takes one out."""
    file = folder / CONFIG_FILE
    changed = json.loads(file.read_text()) | entries
    file.write_text(json.dumps({k: v for k, v in changed.items() if v is not None}))


def fingerprint(folder: Path) -> str:
    digest: str = read_config(folder)["sha256"]
    return digest[:16]


def refusal(engine: Engine, kind: str) -> str:
    """The one line that says why a kind is not loaded."""
    with pytest.raises(CheckpointError) as caught:
        engine.load(kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the checkpoints whose weights were read, in order."""
    kinds: list[str] = []
    load = module.load_checkpoint

    def told(folder: Path, kind: str) -> Checkpoint:
        kinds.append(kind)
        return load(folder, kind)

    monkeypatch.setattr(module, "load_checkpoint", told)
    return kinds


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No checkpoints come with audiomask."""

    def fail() -> Path:
        raise CheckpointError("no bundled checkpoints in this installation")

    monkeypatch.setattr(library, "bundled_folder", fail)


# What is loaded


def test_a_folder_of_all_kinds(tiny: Path) -> None:
    engine = Engine(tiny, "cpu")
    assert engine.kinds == ("vqvae", "mlm", "masks", "spectrogram", "wave")
    assert engine.fingerprints == {kind: fingerprint(tiny / kind) for kind in engine.kinds}
    for kind in engine.kinds:
        model = engine.load(kind)
        assert not model.training
        assert engine.load(kind) is model
        assert getattr(engine, kind) is model
        assert engine.library.folder_of(kind) == tiny / kind


def test_masks_are_fused_when_they_are_loaded(tiny: Path) -> None:
    parts = Engine(tiny, "cpu").masks.modules()
    assert not any(isinstance(part, DistributedBatchNorm2d) for part in parts)


@pytest.mark.parametrize("itself", [False, True])
def test_masks_alone_separate_and_nothing_else_is_loaded(
    tiny: Path, tmp_path: Path, loaded: list[str], itself: bool
) -> None:
    folder = copied(tiny, tmp_path, "masks")
    engine = Engine(folder / "masks" if itself else folder, "cpu")
    assert engine.kinds == ("masks",)
    assert engine.stems() == ("guitar", "bass")
    assert loaded == [], "names are read from the configuration"
    blocks = list(engine.separate(sound(), ["guitar"], residual=True))
    assert sum(block["guitar"].shape[1] for block in blocks) == 9000
    assert loaded == ["masks"]
    for method in ("wiener", "tokens"):
        with pytest.raises(CheckpointError, match=r"no checkpoint 'mlm'.*it has: masks"):
            engine.stems(method)
    with pytest.raises(CheckpointError, match="no checkpoint 'vqvae'"):
        engine.tokenize(sound())


@pytest.mark.parametrize(
    ("method", "kinds"),
    [("mask", ["masks"]), ("wiener", ["mlm", "vqvae"]), ("tokens", ["mlm", "vqvae"])],
)
def test_a_method_loads_what_it_needs(
    tiny: Path, loaded: list[str], method: str, kinds: list[str]
) -> None:
    list(Engine(tiny, "cpu").separate(sound(), ["bass"], method=method))
    assert sorted(loaded) == kinds


def test_nothing_but_separation_loads_masks(tiny: Path, loaded: list[str]) -> None:
    engine = Engine(tiny, "cpu")
    list(engine.detokenize(engine.tokenize(sound())))
    assert loaded == ["vqvae"]
    list(engine.infill(sound(), [Gap(4000, 5000)], InfillSettings("tokens")))
    assert loaded == ["vqvae", "mlm"]


@pytest.mark.parametrize("itself", [False, True])
def test_without_masks_it_is_said_what_is_missing_and_what_separates(
    tiny: Path, tmp_path: Path, itself: bool
) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm")
    engine = Engine(folder / "mlm" if itself else folder, "cpu")
    with pytest.raises(CheckpointError) as caught:
        list(engine.separate(sound(), ["guitar"]))
    assert str(caught.value) == (
        f"{engine.library.folder}: has no checkpoint 'masks' (audiomask train masks); "
        "with its mlm --method wiener or tokens separates"
    )
    for method in ("wiener", "tokens"):
        assert engine.stems(method) == ("guitar", "bass")
        blocks = list(engine.separate(sound(), ["guitar"], method=method))
        assert sum(block["guitar"].shape[1] for block in blocks) == 9000


def test_a_vqvae_alone_separates_by_no_method(tiny: Path, tmp_path: Path) -> None:
    engine = Engine(copied(tiny, tmp_path, "vqvae"), "cpu")
    for method, kind in (("mask", "masks"), ("wiener", "mlm"), ("tokens", "mlm")):
        with pytest.raises(CheckpointError) as caught:
            engine.stems(method)
        assert str(caught.value) == (
            f"{tmp_path}: has no checkpoint '{kind}', which this needs (it has: vqvae)"
        )


def test_stems_are_those_of_the_methods_checkpoint(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm", "masks")
    other = read_config(folder / "masks")["config"] | {"stems": ["voice", "rest of it"]}
    change(folder / "masks", config=other)
    engine = Engine(folder, "cpu")
    assert engine.stems() == ("voice", "rest of it")
    assert engine.stems("wiener") == ("guitar", "bass")
    with pytest.raises(UsageError, match=r"unknown stem 'guitar'.*voice, rest of it"):
        list(engine.separate(sound(), ["guitar"]))
    with pytest.raises(UsageError, match=r"no method 'ear' \(there are: mask, wiener, tokens\)"):
        engine.stems("ear")
    with pytest.raises(UsageError, match=r"no quality 'hi-fi' \(there are: fast, normal, best\)"):
        list(engine.separate(sound(), ["voice"], quality="hi-fi"))


# What is required


def test_what_is_required_is_found_in_it_beside_it_and_among_the_bundled(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fingerprint(tiny / "vqvae")
    folder = copied(tiny, tmp_path, "mlm") / "mlm"
    bundled = copied(tiny, tmp_path / "bundled", "vqvae")
    monkeypatch.setattr(library, "bundled_folder", lambda: bundled)
    for place in (bundled / "vqvae", tmp_path / "vqvae", folder / "vqvae"):
        if not place.exists():
            shutil.copytree(tiny / "vqvae", place)
        # the nearer come first
        assert find_required(folder, "vqvae", wanted) == place
        engine = Engine(folder, "cpu")
        assert engine.kinds == ("mlm", "vqvae")
        assert engine.library.folder_of("vqvae") == place
        assert engine.mlm.config.levels == engine.vqvae.config.levels


def test_another_one_in_a_nearer_place_is_passed_over(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "bundled_folder", lambda: tiny)
    folder = copied(tiny, tmp_path, "mlm") / "mlm"
    shutil.copytree(tiny / "masks", tmp_path / "vqvae")  # of that name, with another fingerprint
    assert find_required(folder, "vqvae", fingerprint(tiny / "vqvae")) == tiny / "vqvae"


@pytest.mark.usefixtures("alone")
def test_what_is_nowhere_is_named_with_where_to_copy_it(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "mlm") / "mlm"
    known = fingerprint(tiny / "vqvae")
    expected = (
        f"{folder}: its VQ-VAE ({known}) is neither in it nor beside it; "
        f"copy it to {folder / 'vqvae'}"
    )
    assert refusal(Engine(folder, "cpu"), "mlm") == expected
    assert refusal(Engine(tmp_path, "cpu"), "mlm") == expected


@pytest.mark.usefixtures("alone")
def test_fingerprints_leave_out_what_is_nowhere_or_cannot_be_read(
    tiny: Path, tmp_path: Path
) -> None:
    folder = copied(tiny, tmp_path, "mlm", "masks")
    engine = Engine(folder, "cpu")
    assert engine.kinds == ("mlm", "masks")
    prints = {kind: fingerprint(folder / kind) for kind in engine.kinds}
    assert engine.fingerprints == prints
    (folder / "mlm" / CONFIG_FILE).write_text("{")
    assert engine.fingerprints == {"masks": prints["masks"]}


def test_a_fingerprint_is_that_of_what_was_loaded(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae")
    engine, first = Engine(folder, "cpu"), fingerprint(folder / "vqvae")
    tokens = engine.tokenize(sound())
    change(folder / "vqvae", sha256="f" * 64)  # another run has saved in the meantime
    assert engine.fingerprints == {"vqvae": first}
    assert engine.tokenize(sound()).fingerprint == tokens.fingerprint == first
    assert list(engine.detokenize(tokens))
    assert Engine(folder, "cpu").fingerprints == {"vqvae": "f" * 16}


def test_one_of_another_fingerprint_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm", "masks")
    change(folder / "mlm", requires={"vqvae": NONE})
    engine = Engine(folder, "cpu")
    found = fingerprint(tiny / "vqvae")
    assert refusal(engine, "mlm") == (
        f"{folder / 'mlm'}: belongs to the VQ-VAE {NONE}, not to {found} in {folder / 'vqvae'}"
    )
    # what needs no mlm works all the same
    assert engine.fingerprints.keys() == {"vqvae", "mlm", "masks"}
    assert engine.tokenize(sound()).fingerprint == found
    assert list(engine.separate(sound(), ["guitar"]))


@pytest.mark.usefixtures("alone")
def test_masks_separate_beside_a_model_that_lacks_what_it_requires(
    tiny: Path, tmp_path: Path
) -> None:
    engine = Engine(copied(tiny, tmp_path, "mlm", "masks"), "cpu")
    assert list(engine.separate(sound(), ["guitar"]))
    assert "its VQ-VAE" in refusal(engine, "mlm")


def test_a_model_must_say_what_it_requires(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm")
    change(folder / "mlm", requires={})
    expected = f"{folder / 'mlm'}: does not say which vqvae it requires"
    assert refusal(Engine(folder, "cpu"), "mlm") == expected
    assert refusal(Engine(folder / "mlm", "cpu"), "mlm") == expected
    change(folder / "mlm", requires=None)
    assert "'requires' is missing" in refusal(Engine(folder, "cpu"), "mlm")


@pytest.mark.parametrize("kind", ["opera", "../vqvae", ""])
@pytest.mark.parametrize("itself", [False, True])
def test_a_kind_that_nobody_knows_cannot_be_required(
    tiny: Path, tmp_path: Path, kind: str, itself: bool
) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm")
    change(folder / "mlm", requires=read_config(folder / "mlm")["requires"] | {kind: NONE})
    engine = Engine(folder / "mlm" if itself else folder, "cpu")
    assert "'requires' is not of kinds and fingerprints" in refusal(engine, "mlm")


def test_a_configuration_that_does_not_fit_the_one_required_is_refused(
    tiny: Path, tmp_path: Path
) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm")
    config = read_config(folder / "mlm")["config"]
    change(folder / "mlm", config=config | {"hop_length": 256})
    assert refusal(Engine(folder, "cpu"), "mlm") == (
        f"{folder / 'mlm'}: hop_length is 256, but 512 in its VQ-VAE"
    )


# What is no checkpoint of ours


def test_a_checkpoint_of_format_1_is_refused_in_a_line(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae", "mlm", "masks")
    change(folder / "mlm", format=1, requires=None, vqvae=fingerprint(tiny / "vqvae"))
    expected = "is of audiomask 0.1, whose mlm held the masks too; train it anew"
    for model in (folder, folder / "mlm"):
        message = refusal(Engine(model, "cpu"), "mlm")
        assert message == f"{folder / 'mlm' / CONFIG_FILE}: {expected}"


def test_an_unknown_kind_is_refused_with_the_known_ones(tiny: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path, "vqvae") / "vqvae"
    change(folder, kind="opera")
    with pytest.raises(CheckpointError) as caught:
        _ = Engine(folder, "cpu").kinds
    known = "vqvae, mlm, masks, spectrogram, wave, lm"
    assert str(caught.value) == f"{folder}: no kind of model 'opera' (there are: {known})"
    with pytest.raises(UsageError, match="no kind of model 'opera'"):
        Engine(tiny, "cpu").load("opera")


def test_a_folder_without_checkpoints_is_refused_with_what_it_might_hold(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        _ = Engine(tmp_path, "cpu").kinds
    stages = "lm-semantic, lm-coarse, lm-fine, lm-acoustic"
    known = f"vqvae, mlm, masks, spectrogram, wave, {stages}"
    assert str(caught.value) == (
        f"{tmp_path}: not a checkpoint, nor a folder with checkpoints ({known})"
    )


def test_a_checkpoint_of_another_kind_than_its_folder_says_is_refused(
    tiny: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny / "vqvae", tmp_path / "masks")
    message = refusal(Engine(tmp_path, "cpu"), "masks")
    assert message == f"{tmp_path / 'masks'}: is a checkpoint of kind vqvae, not masks"
