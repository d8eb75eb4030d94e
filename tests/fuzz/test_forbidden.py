"""Nothing that is read can run: no pickle, nor anything else that makes code of bytes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import audiomask

#: modules that run what they read
MODULES = {
    "cPickle", "cloudpickle", "dill", "jsonpickle", "joblib", "marshal", "pickle", "shelve",
    "torch.hub", "torch.package",
}  # fmt: skip
#: functions that do, by their own names or as attributes
NAMES = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    "torch.load", "torch.jit.load", "np.loads", "numpy.loads", "yaml.full_load", "yaml.unsafe_load",
    "os.system", "os.popen",
}  # fmt: skip
KEYWORDS = {"allow_pickle", "weights_only", "shell"}


def found(source: str) -> Iterator[str]:
    """What a module must not have; words in its docstrings and comments do not count."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            if any(name == bad or name.startswith(f"{bad}.") for bad in MODULES):
                yield f"import {name}"
            if name in ATTRIBUTES:
                yield name
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield f"{node.func.id}()"
            yield from (f"{word.arg}=" for word in node.keywords if word.arg in KEYWORDS)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ATTRIBUTES:
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "yaml.load":
            loader = ast.unparse(node.args[1]) if len(node.args) > 1 else "none"
            if loader != "Loader":  # slakh.py's own name of the safe one
                yield f"yaml.load with {loader}"


def test_the_package_has_none() -> None:
    files = sorted(Path(audiomask.__file__).parent.rglob("*.py"))
    assert len(files) > 80
    assert {f"{file.name}: {bad}" for file in files for bad in found(file.read_text())} == set()


def test_yaml_is_read_by_a_safe_loader() -> None:
    import yaml

    from audiomask.data.layouts import slakh

    assert slakh.Loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", None))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "def f():\n    from torch import load",
        "import torch\ntorch.load('x')",
        "read = torch.load",
        "import torch.hub",
        "from torch import hub",
        "np.load('x', allow_pickle=True)",
        "eval('1')",
        "exec(text)",
        "yaml.load(text, yaml.Loader)",
        "yaml.load(text)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_each_is_found(source: str) -> None:
    assert list(found(source))


@pytest.mark.parametrize(
    "source", ['"""No pickle, no torch.load(x)."""', "# pickle", "model.eval()", "re.compile('x')"]
)
def test_words_and_other_functions_are_not(source: str) -> None:
    assert list(found(source)) == []
