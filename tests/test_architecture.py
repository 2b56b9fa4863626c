"""The floors of the house: a module imports its own floor and those below, never one above.

docs/architecture.md draws them. An import inside a function is allowed only where it defers torch, a package that is
slow to import, or one that is optional; outside the command line every such import is listed here with its reason.
"""

import ast
from functools import cache
from pathlib import Path

import ganarium

ROOT = Path(ganarium.__file__).parent
FLOORS = {
    0: ["__init__", "__main__", "version", "errors", "runtime"],
    1: ["players", "losses", "layers", "networks", "data", "metrics"],
    2: ["model", "sampling", "mapping", "streams", "projection", "registry", "models"],
    3: ["trainer", "evaluation", "pictures"],
    4: ["runs"],
    5: ["doctor"],
    6: ["exporting", "web"],
    7: ["training"],
    8: ["api", "testing", "proofs"],
    9: ["studio", "cli"],
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
# The public names of `ganarium` and `python -m ganarium` are doors to the upper floors; they load them when asked.
DOORS = {"__init__", "__main__"}

SLOW = {"torch", "torchvision", "numpy", "scipy", "matplotlib", "PIL", "rich", "tensorboard", "yaml"}
# Imports inside functions outside `cli`: of modules of ganarium, and of other packages.
DEFERRED = {
    ("registry", "ganarium.model"): "listing models and reading their cards needs no torch",
    ("proofs.prove", "ganarium.proofs.picture"): "matplotlib is needed for the picture at the end alone",
}
DEFERRED_PACKAGES = {
    "torch": "options, the list of runs and the command line do without it",
    "torchvision": "some data sets and Inception alone need it",
    "scipy": "some metrics and one data set alone need it",
    "matplotlib": "only figures need it",
    "numpy": "options and metrics.jsonl are read without it",
    "PIL": "metrics.jsonl is read without it",
    "av": "optional: films",
    "datasets": "optional: data sets of the Hugging Face hub",
    "fcntl": "not on Windows",
    "huggingface_hub": "optional: models of the Hugging Face Hub",
    "keras": "optional: export to Keras",
    "onnx": "optional: export to ONNX",
    "onnx_ir": "optional: export to ONNX",
    "onnxruntime": "optional: export to ONNX",
    "onnxscript": "optional: export to ONNX",
    "resource": "not on Windows",
}


def part(module: str) -> str:
    """The file or folder of the root to which a module belongs: ganarium.data.batches -> data."""
    return module.split(".")[1] if "." in module else "__init__"


@cache
def modules() -> dict[str, ast.Module]:
    trees = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["ganarium", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)
        trees[name] = ast.parse(path.read_text())
    return trees


def imported(node: ast.AST) -> list[str]:
    """The modules of ganarium that an import statement names; `from ganarium import x` is `ganarium.x`."""
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ganarium":
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in modules() else node.module for name in names]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.split(".")[0] == "ganarium"]
    return []


def typing_only(tree: ast.Module) -> set[ast.AST]:
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {inner for block in blocks for inner in ast.walk(block)}


def upward() -> set[tuple[str, str]]:
    """(module, module of a higher floor that it imports)."""
    actual = set()
    for name, tree in modules().items():
        if part(name) in DOORS:
            continue
        skipped = typing_only(tree)
        for node in ast.walk(tree):
            if node not in skipped:
                actual |= {(name, other) for other in imported(node) if FLOOR[part(other)] > FLOOR[part(name)]}
    return actual


def circles() -> list[list[str]]:
    """Modules that import one another at the top of their files, each circle as a path."""
    edges = {
        name: {
            other
            for node in tree.body
            for other in imported(node)
            if other in modules() and other != name and part(other) not in DOORS
        }
        for name, tree in modules().items()
    }
    actual: list[list[str]] = []
    state: dict[str, int] = {}

    def visit(name: str, path: list[str]) -> None:
        state[name] = 1
        for other in sorted(edges[name]):
            if state.get(other) == 1:
                actual.append([*path[path.index(other) :], other])
            elif other not in state:
                visit(other, [*path, other])
        state[name] = 2

    for name in edges:
        if name not in state:
            visit(name, [name])
    return actual


def inner_imports() -> set[tuple[str, str]]:
    """(module, what it imports inside a function)."""
    pairs = set()
    for name, tree in modules().items():
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for node in {inner for function in functions for inner in ast.walk(function)}:
            if isinstance(node, ast.Import):
                pairs |= {(name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                pairs |= {(name, other) for other in imported(node) or [node.module]}
    return pairs


@cache
def slow(module: str) -> bool:
    """Whether importing a module loads a slow package, by itself or by what it imports at its top."""
    top = [node for node in modules()[module].body if isinstance(node, ast.Import | ast.ImportFrom)]
    packages = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    packages |= {node.module for node in top if isinstance(node, ast.ImportFrom) and node.module}
    if SLOW & {package.split(".")[0] for package in packages}:
        return True
    return any(slow(other) for node in top for other in imported(node) if other in modules() and other != module)


def test_every_file_and_folder_has_a_floor() -> None:
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there <= set(FLOOR), f"no floor: {sorted(there - set(FLOOR))}"


def test_imports_go_down_only() -> None:
    assert upward() == set()


def test_no_circles() -> None:
    assert circles() == []


def test_imports_inside_functions_have_a_reason() -> None:
    used = set()
    for name, other in sorted(inner_imports()):
        own = other.startswith("ganarium.")
        assert not own or slow(other), f"{name} imports {other} inside a function, and it loads nothing slow"
        if part(name) != "cli" and other != "ganarium":
            reason = (name.removeprefix("ganarium."), other) if own else other.split(".")[0]
            assert reason in (DEFERRED if own else DEFERRED_PACKAGES), f"{name} imports {other} inside a function"
            used.add(reason)
    assert used == {*DEFERRED, *DEFERRED_PACKAGES}, "a reason is listed for an import that is gone"


def test_an_upward_import_would_be_seen() -> None:
    """The control: `losses` importing the trainer, and two files that import each other."""
    tree = ast.parse("from ganarium import trainer\nfrom ganarium.runs.checkpoint import read")
    floors = [FLOOR[part(name)] for node in tree.body for name in imported(node)]
    assert floors == [3, 4]
    assert all(floor > FLOOR["losses"] for floor in floors)
