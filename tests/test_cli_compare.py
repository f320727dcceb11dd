"""`python -m jaxnet compare`: its report, its exit code, and one's own gradient."""

import json
import sys

import pytest

from jaxnet.cli import main
from tests.helpers import refused

OWN = """
import jaxnet
from tests.faults import backprop_with, carried, right

slopeless = backprop_with(bp2={1: lambda c: carried(c, 1)})
simple = lambda params, x, y: right(params, x, y, jaxnet.quadratic)
other_shapes = lambda params, x, y: [(w.T, b) for w, b in simple(params, x, y)]
raises = lambda params, x, y: params[7]
number = 3
"""


@pytest.fixture
def words(small_mnist, tmp_path, monkeypatch):
    """The command, in a folder with gradients of one's own."""
    (tmp_path / "own_gradients.py").write_text(OWN)
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    return ["compare", "--data", small_mnist, "--epochs", "0", "--skip-edges"]


def test_backprop_agrees_and_the_report_says_how_well(words, tmp_path, capsys):
    figure = tmp_path / "figures" / "a.png"
    assert main([*words, "--epochs", "1", "--figure", str(figure)]) == 0
    out, err = capsys.readouterr()
    for expected in (
        "784-30-10, sigmoid, quadratic cost, large initialisation, seed 1",
        "float64, untrained: backprop against autodiff, tolerance 1.6e-12",
        "float32, trained for 1 epoch",
        "BP2 layer 1",
        "relative error from central differences: backprop",
        "Cost of a call",
        "backprop agrees with autodiff",
    ):
        assert expected in out
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert "compar" not in err, "no progress display where there is no terminal"


def test_a_figure_that_cannot_be_made_is_one_line(words, capsys, monkeypatch):
    error = refused(capsys, *words, "--figure", "a.txt")
    assert "expected a picture's file" in error
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    error = refused(capsys, *words, "--figure", "a.png")
    assert "Figures need matplotlib: python -m pip install" in error


def test_json_says_the_same_to_machines(words, capsys):
    assert main([*words, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["agrees"] is True and value["cost"] == "quadratic"
    assert {"jax", "device", "dtype", "seed"} <= set(value)
    leaf = value["stages"][0]["comparison"]["leaves"][0]
    assert leaf["name"] == "w^1" and leaf["relative_error"] < 1e-12


@pytest.mark.parametrize(
    ("own", "code", "message"),
    [
        ("simple", 0, "own_gradients:simple agrees with autodiff"),
        ("slopeless", 1, "BP2 is broken in layer 1: sigma'(z^1) is missing."),
        ("raises", 1, "own_gradients:raises raised IndexError in line 8 of "),
        ("other_shapes", 1, "other_shapes: Expected w^1 of shape (30, 784)"),
    ],
)
def test_a_gradient_of_one_s_own_is_judged_in_few_lines(
    words, capsys, own, code, message
):
    options = ["--quiet", "--candidate", f"own_gradients:{own}"]
    assert main([*words, *options]) == code
    out, err = capsys.readouterr()
    assert message in (out or err)
    if err:
        assert err.startswith("jaxnet compare: own_gradients:")
        assert err.count("\n") == 1


WRONG = {
    "--candidate nothing": "expected one of backprop, autodiff",
    "--candidate own_gradients:absent": "has no attribute 'absent'",
    "--candidate own_gradients:number": "is not a function in Python but int",
    "--candidate absent_module:f": "No module named 'absent_module'",
    "--candidate broken_module:f": "failed with ZeroDivisionError",
    "--sizes 10,10": "expected 784 inputs and 10 outputs",
    "--batch-size 700": "expected at most 500",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_values_get_one_line_and_exit_code_2(words, capsys, options):
    assert WRONG[options] in refused(capsys, *words, *options.split())
