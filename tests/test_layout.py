"""The tree: imports go one way, and the mathematics knows nothing of files."""

import ast
import tomllib
from pathlib import Path

import jaxnet

ROOT = Path(jaxnet.__file__).parent
PACKAGES = ["compare", "datasets", "experiments", "runs", "pictures", "figures", "cli"]
ENTRIES = {ROOT / "__init__.py", ROOT / "__main__.py"}  # which lead everywhere


def imported(path: Path) -> set[str]:
    """The modules of jaxnet that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] == "jaxnet"}


def level(module: str) -> int:
    """How far down the list a module is: 0 in the core."""
    package = module.split(".")[1] if "." in module else ""
    return PACKAGES.index(package) + 1 if package in PACKAGES else 0


def test_imports_point_upwards_only():
    for path in set(ROOT.rglob("*.py")) - ENTRIES:
        module = ".".join(("jaxnet", *path.relative_to(ROOT).with_suffix("").parts))
        for name in imported(path):
            assert level(name) <= level(module), f"{path} imports {name}"


def test_the_mathematics_imports_no_input_or_output():
    forbidden = {"os", "pathlib", "time", "json", "rich", "safetensors", "msgspec"}
    core = {*ROOT.glob("*.py"), *(ROOT / "universality").glob("*.py")}
    for path in core - ENTRIES:
        source = ast.parse(path.read_text())
        nodes = [
            n for n in ast.walk(source) if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        names = {getattr(n, "module", None) or n.names[0].name for n in nodes}
        assert not forbidden & {name.split(".")[0] for name in names}, path


def test_the_wheel_has_mnist_and_not_the_results():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert len([name for name in included if name.endswith(".gz")]) == 4
    assert not any("results" in name for name in included)
