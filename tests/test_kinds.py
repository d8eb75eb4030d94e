"""The registry of kinds: everything that an entry names is there and is what it should be."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import is_dataclass

import pytest
import torch

from audiomask.errors import ConfigError, UsageError
from audiomask.evaluation.evaluator import Evaluator
from audiomask.kinds import KINDS, Kind, checkpoints, kind_of, resolve
from audiomask.training.task import Task

#: settings without a default, by kind
NEEDED = {
    "mlm": {
        "levels": 1,
        "codebook_size": 8,
        "code_dim": 4,
        "hop_length": 512,
        "sample_rate": 44_100,
    },
    "lm": {
        "stage": "coarse",
        "codebook_size": 8,
        "levels": 4,
        "hop_length": 512,
        "sample_rate": 44_100,
        "clusters": 8,
        "semantic_hop": 2048,
    },
}
PRESETS = [(kind, preset) for kind in KINDS.values() for preset in kind.presets]


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_every_kind_is_found_by_its_name(kind: Kind) -> None:
    assert KINDS[kind.name] is kind
    assert kind_of(kind.name) is kind


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        kind_of("opera")
    known = "vqvae, mlm, masks, spectrogram, wave, lm"
    assert str(caught.value) == f"no kind of model 'opera' (there are: {known})"


def test_every_path_leads_somewhere(kind: Kind) -> None:
    assert callable(resolve(kind.build))
    task, evaluator = resolve(kind.task), resolve(kind.evaluator)
    assert issubclass(task, Task)
    assert not inspect.isabstract(task)
    assert task.kind == kind.name
    assert issubclass(evaluator, Evaluator)
    assert not inspect.isabstract(evaluator)
    assert kind.configs
    assert all(is_dataclass(resolve(path)) for path in kind.configs)
    assert kind.check is None or callable(resolve(kind.check))


def test_what_is_required_comes_before(kind: Kind) -> None:
    """Copies of checkpoints are made in this order, so that they can require each other's."""
    order = list(KINDS)
    assert all(order.index(other) < order.index(kind.name) for other in kind.requires)
    assert kind.check is None or kind.requires


def test_the_stages_of_a_kind_require_what_it_does(kind: Kind) -> None:
    assert set().union(*kind.stages.values()) == (set(kind.requires) if kind.stages else set())
    names = kind.checkpoints
    assert names == (
        tuple(f"{kind.name}-{s}" for s in kind.stages) if kind.stages else (kind.name,)
    )
    assert all(checkpoints()[name][0] is kind for name in names)
    assert kind.required_by(next(iter(kind.stages), None)) == next(
        iter(kind.stages.values()), kind.requires
    )


def test_the_first_preset_is_the_default(kind: Kind) -> None:
    assert kind.presets[0] == "default"
    assert len(set(kind.presets)) == len(kind.presets)


@pytest.mark.parametrize(("kind", "preset"), PRESETS, ids=[f"{k.name}-{p}" for k, p in PRESETS])
def test_every_preset_builds_a_network_with_a_configuration_of_the_kind(
    kind: Kind, preset: str
) -> None:
    with torch.device("meta"):
        model = kind.network(preset, NEEDED.get(kind.name, {}))
    assert isinstance(model, torch.nn.Module)
    assert type(model.config) in [resolve(path) for path in kind.configs]
    assert sum(parameter.numel() for parameter in model.parameters()) > 10_000


def test_what_no_preset_has_is_refused(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="'huge'"):
        kind.network("huge", NEEDED.get(kind.name, {}))
    with pytest.raises(ConfigError, match="colour"):
        kind.network("default", NEEDED.get(kind.name, {}) | {"colour": 1})


def test_the_registry_is_read_before_torch_is() -> None:
    code = "import sys, audiomask.kinds; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
