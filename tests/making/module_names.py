"""Names that modules of the package define, and which other files use them."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "audiomask"
#: names that are the same in many modules by convention
USUAL = {"logger"}
_DOTTED = re.compile(rf"\b{PACKAGE}(?:[.:]\w+)+")


def module_of(file: Path) -> str:
    """The dotted name of a file of the package."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """The package's files by the dotted names of their modules."""
    return {module_of(file): file for file in sorted((ROOT / PACKAGE).rglob("*.py"))}


def other_files() -> list[Path]:
    """Tests, examples, documents and settings."""
    found = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    found += [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml"]
    return found + [file for file in (ROOT / ".ci").iterdir() if file.is_file()]


def definitions(tree: ast.Module) -> set[str]:
    """The functions, classes and constants that a module defines at its top level."""

    def of(body: list[ast.stmt]) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
            elif isinstance(node, ast.If | ast.Try | ast.With):
                yield from of(node.body)

    return {name for name in of(tree.body) if not name.startswith("__")} - USUAL - {"_"}


class Uses:
    """The names of the package's modules that a file uses, as (module, name).

    Attributes:
        found: all of them.
        aliases: the modules that a name of the file may stand for.
    """

    def __init__(self, text: str, python: bool) -> None:
        self.found: set[tuple[str, str]] = set()
        self.aliases: dict[str, set[str]] = {}
        for dotted in _DOTTED.findall(text):
            self.add(re.split("[.:]", dotted))
        for block in [text] if python else re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            self.read(ast.parse(block))

    def add(self, parts: list[str]) -> None:
        """A dotted path whose beginning is a module."""
        for size in range(len(parts) - 1, 0, -1):
            if ".".join(parts[:size]) in modules():
                self.found.add((".".join(parts[:size]), parts[size]))
                return

    def read(self, tree: ast.Module) -> None:
        """What a piece of Python uses, be it within a text that is run later."""
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    local = name.asname or name.name.partition(".")[0]
                    module = name.name if name.asname else local
                    self.aliases.setdefault(local, set()).add(module)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                for name in node.names:
                    path = f"{node.module}.{name.name}"
                    if path in modules():
                        self.aliases.setdefault(name.asname or name.name, set()).add(path)
                    self.found.add((str(node.module), name.name))
        for node in nodes:
            if isinstance(node, ast.Attribute):
                self.found |= {(module, node.attr) for module in self.named(node.value)}
            elif isinstance(node, ast.Call) and len(node.args) > 1:
                # as setattr(module, "name", value), or with a name that is a text elsewhere
                name = getattr(node.args[1], "value", None)
                names = [name] if isinstance(name, str) else []
                if not names and ast.unparse(node.func).endswith("attr"):
                    names = [n.value for n in nodes if isinstance(n, ast.Constant)]
                self.found |= {(m, str(n)) for m in self.named(node.args[0]) for n in names}
            elif isinstance(node, ast.Constant) and re.search(r"\bimport\b", str(node.value)):
                with suppress(SyntaxError):
                    self.read(ast.parse(str(node.value)))

    def named(self, node: ast.expr) -> set[str]:
        """The modules that an expression may stand for."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, set()) & modules().keys()
        if isinstance(node, ast.Attribute):
            return {f"{m}.{node.attr}" for m in self.named(node.value)} & modules().keys()
        return set()


def offenders() -> dict[str, dict[str, str]]:
    """By module, the names that should have an underscore or none, with what they should be.

    A name that a module defines at its top level begins with an underscore exactly where no
    other module, test, example or document uses it.
    """
    texts = {module: file.read_text(encoding="utf-8") for module, file in modules().items()}
    used: set[tuple[str, str]] = set()
    for module, text in texts.items():
        used |= {use for use in Uses(text, python=True).found if use[0] != module}
    for file in other_files():
        used |= Uses(file.read_text(encoding="utf-8"), file.suffix == ".py").found
    wrong: dict[str, dict[str, str]] = {}
    for module, text in texts.items():
        tree = ast.parse(text)
        public = {
            str(constant.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            for constant in ast.walk(node.value)
            if isinstance(constant, ast.Constant)
        }
        for name in sorted(definitions(tree) - public):
            private = (module, name) not in used
            if private != name.startswith("_"):
                wrong.setdefault(module, {})[name] = f"_{name}" if private else name.lstrip("_")
    return wrong
