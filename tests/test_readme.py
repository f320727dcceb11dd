"""What README.md says is so: its commands, its quickstart, its ledger."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import jaxnet

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LEDGER = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in README.partition("## The ledger")[2].splitlines()
    if line.startswith("|") and "test_" in line
]


EQUATIONS = {
    node.name
    for path in (ROOT / "tests").glob("test_equations*.py")
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_ci_runs_the_readme_s_test_command():
    command = 'python -m pip install ".[test]" && python -m pytest\n'
    assert command in README
    assert command in (ROOT / ".ci" / "run").read_text()
    assert "python -m pip install . && python -m jaxnet train\n" in README


def test_the_quickstart_runs(monkeypatch, capsys, small_mnist):
    """On a little data, so that it takes a second."""
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) <= 12
    small = jaxnet.load_mnist(small_mnist)
    monkeypatch.setattr(jaxnet, "load_mnist", lambda: small)
    exec(compile(code, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1 and all(re.search(r"\d+\.\d+%", line) for line in lines)


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: row[0])
def test_every_name_in_the_ledger_exists(row):
    _, _, functions, test = row
    assert test in EQUATIONS
    for name in re.findall(r"[\w.]+", functions.replace("`", "")):
        module, _, attribute = name.rpartition(".")
        if (ROOT / "scripts" / f"{module}.py").exists():
            module = f"scripts.{module}"
        else:
            module = f"jaxnet.{module}" if module else "jaxnet"
        assert hasattr(importlib.import_module(module), attribute)


def test_the_ledger_has_every_equation_and_every_test():
    numbers = {row[0] for row in LEDGER}
    assert {f"1.{i}" for i in range(1, 23)} <= numbers
    assert {f"2.{i}" for i in range(1, 29)} <= numbers
    assert {f"3.{i}" for i in range(1, 17)} <= numbers
    assert {"BP1", "BP1a", "BP2", "BP3", "BP4"} <= numbers
    assert {row[3] for row in LEDGER} == EQUATIONS
