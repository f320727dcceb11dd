"""`python -m jaxnet compare`: its report, its exit code, and one's own gradient."""

import json
import sys

import pytest

from jaxnet.cli import main

OWN = '''
import jax
import jaxnet


def transposed(params, x, y, cost):
    """BP2 without its transpose, in a network of square layers."""
    gradient = jaxnet.backprop(params, x, y, cost)
    deltas = jax.vmap(lambda x, y: jaxnet.errors(params, x, y, cost)[0])(x, y)
    zs = jax.vmap(lambda x: jaxnet.forward(params, x)[0])(x)
    delta = (deltas[1] @ params[1].w.T) * params[0].activation.prime(zs[0])
    first = jaxnet.Layer(delta.T @ x / len(x), delta.mean(axis=0))
    return [first, *gradient[1:]]


def simple(params, x, y):
    return jaxnet.backprop(params, x, y)


def other_shapes(params, x, y):
    return [(w.T, b) for w, b in jaxnet.backprop(params, x, y)]


def raises(params, x, y):
    return params[7]


number = 3
'''


@pytest.fixture
def compare(small_mnist, tmp_path, monkeypatch):
    (tmp_path / "own_gradients.py").write_text(OWN)
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)

    def run(*options):
        small = ("--data", small_mnist, "--epochs", "0", "--skip-edges")
        return main(["compare", *small, *options])

    return run


def test_backprop_agrees_and_the_report_says_how_well(compare, tmp_path, capsys):
    figure = tmp_path / "figures" / "a.png"
    assert compare("--epochs", "1", "--figure", str(figure)) == 0
    out, err = capsys.readouterr()
    for expected in (
        "784-30-10, sigmoid, quadratic cost, large initialisation, seed 1",
        "float64, untrained: backprop beside autodiff, tolerance 1.6e-12",
        "float32, trained for 1 epoch",
        "BP2 layer 1",
        "central differences are off backprop",
        "Cost of a call",
        "backprop agrees with autodiff",
    ):
        assert expected in out
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert "compar" not in err, "no progress display where there is no terminal"


def test_a_figure_that_cannot_be_made_is_one_line(compare, capsys, monkeypatch):
    assert compare("--figure", "/proc/nowhere/a.png", "--quiet") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("jaxnet compare: /proc/nowhere")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert compare("--figure", "a.png") == 2
    out, err = capsys.readouterr()
    assert out == "" and "Figures need matplotlib: python -m pip install" in err


def test_json_says_the_same_to_machines(compare, capsys):
    assert compare("--json", "--cost", "cross_entropy", "--hidden", "tanh") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["agrees"] is True and value["cost"] == "cross_entropy"
    assert {"jax", "jaxlib", "device", "matmul_precision", "seed"} <= set(value)
    leaf = value["stages"][0]["comparison"]["leaves"][0]
    assert leaf["name"] == "w^1" and leaf["relative_error"] < 1e-12


def test_a_wrong_gradient_of_one_s_own_is_told_its_equation(compare, capsys):
    own = ("--candidate", "own_gradients:transposed", "--quiet")
    assert compare(*own, "--sizes", "784,10,10") == 1
    out = capsys.readouterr().out
    assert "BP2 is broken in layer 1: w^2 is not transposed." in out


def test_a_right_gradient_of_one_s_own_agrees(compare, capsys):
    assert compare("--candidate", "own_gradients:simple", "--quiet") == 0
    assert "own_gradients:simple agrees with autodiff" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ("own_gradients:raises", "raised IndexError in line 25 of "),
        ("own_gradients:other_shapes", "Expected w^1 of shape (30, 784)"),
    ],
)
def test_a_gradient_that_fails_is_one_line_and_exit_code_1(
    compare, capsys, candidate, message
):
    assert compare("--candidate", candidate, "--quiet") == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jaxnet compare: {candidate}") and message in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidate", "nothing"), "expected one of backprop, autodiff"),
        (("--candidate", "own_gradients:absent"), "own_gradients has no 'absent'"),
        (
            ("--candidate", "own_gradients:number"),
            "is not a function in Python but int",
        ),
        (("--candidate", "absent_module:f"), "no module 'absent_module'"),
        (("--candidate", "broken_module:f"), "failed with ZeroDivisionError"),
        (
            ("--candidate", "own_gradients:simple", "--cost", "cross_entropy"),
            "own_gradients:simple has no parameter cost",
        ),
        (("--sizes", "10,10"), "expected 784 inputs and 10 outputs"),
        (("--batch-size", "700"), "expected at most 500"),
        (("--cost", "cubic"), "invalid choice: 'cubic'"),
    ],
)
def test_wrong_values_get_one_line_and_exit_code_2(compare, capsys, options, message):
    try:
        code = compare(*options)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
