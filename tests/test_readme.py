"""What the README files say is so: commands, quickstart, links, the ledger."""

import ast
import importlib
import inspect
import re
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.cli import main
from tests.helpers import problem

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FOLDERS = (
    *(".", "data", "data/results", "jaxnet/cli", "jaxnet/compare", "scripts", "tests"),
)
LEDGER = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in (ROOT / "tests" / "README.md").read_text().splitlines()
    if line.startswith("|") and "test_" in line
]


EQUATIONS = {
    name: function
    for path in (ROOT / "tests").glob("test_equations*.py")
    for name, function in vars(importlib.import_module(f"tests.{path.stem}")).items()
    if name.startswith("test_")
}


def test_ci_runs_the_readme_s_test_command():
    command = 'python -m pip install ".[test]" && python -m pytest\n'
    assert command in README
    assert command in (ROOT / ".ci" / "run").read_text()
    assert "python -m pip install . && python -m jaxnet train\n" in README


@pytest.mark.parametrize("epochs", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_the_quickstart_prints_what_is_shown_and_learns_every_digit(capsys, epochs):
    """On another processor, some tenths of a per cent may differ."""
    quickstart = r"```python\n([^`]*)```\n\n```text\n([^`]*)```"
    [(code, shown)] = re.findall(quickstart, README)
    assert len(code.splitlines()) <= 8
    names = {}
    code = code.replace("epochs=5", f"epochs={epochs}")
    exec(compile(code, "README.md", "exec"), names)
    printed, accuracy = capsys.readouterr().out, r"\d+\.\d+(?=%)"
    assert re.sub(accuracy, "", printed) == re.sub(accuracy, "", shown)
    [found], [expected] = (re.findall(accuracy, text) for text in (printed, shown))
    assert float(found) == pytest.approx(float(expected), abs=1 if epochs == 5 else 5)
    confusion = jaxnet.confusion_matrix(names["params"], names["mnist"].test)
    least = 0.8 if epochs == 5 else 0.6
    assert (confusion.diagonal() / confusion.sum(axis=1) > least).all()


@pytest.mark.slow
def test_the_gradient_with_a_bug_is_told_its_equation_as_shown(
    tmp_path, monkeypatch, capsys
):
    check = r"```python\n([^`]*)```\n\n +python -m jaxnet (.*)\n\n```text\n([^`]*)```"
    [(code, command, shown)] = re.findall(check, README)
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    with jax.numpy_rank_promotion("allow"):  # as in a process of its own
        assert main([*command.split(), "--epochs", "0", "--skip-edges"]) == 1
    assert capsys.readouterr().out == shown


RECIPES = re.findall(
    r"```python\n([^`]*)```", (ROOT / "scripts" / "README.md").read_text()
)
NAMES = {"np": np, "jnp": jnp, "jax": jax, "optax": optax, "jaxnet": jaxnet}


def test_the_recipes_run_and_do_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, x, y = problem([5, 4, 3], m=20)
    data, key = jaxnet.Dataset(x, y), jax.random.key(0)
    names: dict[str, Any] = {**NAMES, "params": params, "data": data, "key": key}
    exec(RECIPES[0], names)
    first, second = names["costs"]
    assert second < first < jaxnet.total_cost(params, data)
    jaxnet.epoch(key, names["state"], data, **names["options"])
    with pytest.raises(ValueError, match=r"expected float32\[4,5\] in .*, got none"):
        jaxnet.load("state.safetensors", like=params)
    found = jaxnet.total_cost(names["half"], names["half_data"])
    assert found.dtype == jnp.bfloat16
    assert float(found) == pytest.approx(float(second), rel=0.02)


@pytest.mark.parametrize("package", ["torch", "flax.nnx"])
def test_weights_come_from_other_packages_and_go_back(package):
    module: Any = pytest.importorskip(package)
    if package == "torch":
        layers = [module.nn.Linear(5, 4), module.nn.Linear(4, 3)]
        model = module.nn.Sequential(layers[0], module.nn.Sigmoid(), layers[1])
        outputs, recipe = lambda x: model(module.tensor(x)).detach(), RECIPES[1]
    else:
        rngs = module.Rngs(0)
        layers = [module.Linear(5, 4, rngs=rngs), module.Linear(4, 3, rngs=rngs)]
        model = module.Sequential(layers[0], module.sigmoid, layers[1])
        outputs, recipe = model, RECIPES[2]
    params, x, _ = problem([5, 4, 3])
    names = {**NAMES, "model": model, "torch": module, "nnx": module}
    take, give = recipe.split("\n\n")
    exec(take, names)
    for ours in (names["params"], params):
        names["params"] = ours
        exec(give, names)
        zs, _ = jax.vmap(partial(jaxnet.forward, ours))(x)
        np.testing.assert_allclose(outputs(np.asarray(x)), zs[-1], rtol=1e-5)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_readme_is_short_and_its_links_lead_somewhere(folder):
    text = (ROOT / folder / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(text.splitlines()) - len(rows) < 200
    for target in re.findall(r"\]\(([^)]*)\)", text):
        assert target.startswith("http") or (ROOT / folder / target).exists(), target


def test_every_script_is_in_the_table_of_scripts():
    text = (ROOT / "scripts" / "README.md").read_text()
    for path in (ROOT / "scripts").glob("*.py"):
        assert f"`{path.stem}`" in text or f"[{path.name}]" in text


def used(function, found: dict[int, Any]) -> dict[int, Any]:
    """What a test names, and the functions of `tests` that it names, by identity."""
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if not re.fullmatch(r"[\w.]+", name):
            continue
        try:
            value = inspect.unwrap(eval(name, function.__globals__))
        except (NameError, AttributeError):  # a local variable
            continue
        if id(value) not in found:
            found[id(value)] = value
            if inspect.isfunction(value) and value.__module__.startswith("tests."):
                used(value, found)
    return found


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: row[0])
def test_a_row_of_the_ledger_names_what_its_test_uses(row):
    _, _, functions, test = row
    names_used = used(EQUATIONS[test], {})
    for name in re.findall(r"[\w.]+", functions.replace("`", "")):
        module, _, attribute = name.rpartition(".")
        if (ROOT / "scripts" / f"{module}.py").exists():
            module = f"scripts.{module}"
        else:
            module = f"jaxnet.{module}" if module else "jaxnet"
        named = inspect.unwrap(getattr(importlib.import_module(module), attribute))
        assert id(named) in names_used, f"{test} does not use {name}"


def test_the_ledger_has_every_equation_and_every_test():
    numbers = {row[0] for row in LEDGER}
    assert {f"1.{i}" for i in range(1, 23)} <= numbers
    assert {f"2.{i}" for i in range(1, 29)} <= numbers
    assert {f"3.{i}" for i in range(1, 17)} <= numbers
    assert {"BP1", "BP1a", "BP2", "BP3", "BP4"} <= numbers
    assert {row[3] for row in LEDGER} == set(EQUATIONS)
