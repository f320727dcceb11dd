"""`python -m jaxnet compare`: its report, its exit code, and one's own gradient."""

import json
from xml.etree import ElementTree

import pytest

from jaxnet.cli import main
from jaxnet.cli.compare import _table
from jaxnet.compare.grading import Grade, junit
from jaxnet.compare.loading import load
from tests.helpers import refused
from tests.test_candidates import CORPUS

RIGHT, WRONG_SLOPE = (
    CORPUS[name]["code"] for name in ("right_pairs", "wrong_no_hidden_slope")
)
OWN = f"""
{RIGHT}
other_shapes = lambda params, x, y: [(w.T, b) for w, b in backprop(params, x, y)]
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
    assert main([*words, "--figure", str(figure)]) == 0
    out, err = capsys.readouterr()
    for expected in (
        "784-30-10, sigmoid, quadratic cost, large initialisation, seed 1",
        "float64, untrained: backprop against autodiff, tolerance 1.6e-12",
        "float32, untrained",
        "BP2 layer 1",
        "relative error from central differences: backprop",
        "backprop agrees with autodiff",
    ):
        assert expected in out
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert "compar" not in err, "no progress display where there is no terminal"


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
        ("backprop", 0, "own_gradients:backprop agrees with autodiff"),
        ("raises", 1, "own_gradients:raises raised IndexError in line "),
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
    "--figure a.txt": "expected a picture's file",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_values_get_one_line_and_exit_code_2(words, capsys, options):
    assert WRONG[options] in refused(capsys, *words, *options.split())


SUBMISSIONS = {
    "exits": "import os\n\n\ndef backprop(params, x, y):\n    os._exit(3)\n",
    "loops": "def backprop(params, x, y):\n    while True:\n        pass\n",
    "raises": "def backprop(params, x, y):\n    return params[7]\n",
    "right": "import jaxnet\n\nbackprop = jaxnet.backprop\n",
    "syntax": "def backprop(:\n",
    "wrong": WRONG_SLOPE,
}


@pytest.mark.slow
def test_a_folder_is_graded_whatever_a_file_does(small_mnist, tmp_path, capsys):
    for name, code in SUBMISSIONS.items():
        (tmp_path / f"{name}.py").write_text(code)
    words = ["compare", "--candidate", str(tmp_path), "--data", small_mnist]
    report = tmp_path / "grades.xml"
    assert main([*words, "--timeout", "40", "--junit", str(report)]) == 1
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert last == f"wrote {report}" and 'failures="5"' in report.read_text()
    verdicts = {row.split(".py")[0]: row.split()[1] for row in rows}
    assert verdicts == {
        **dict.fromkeys(("exits", "loops", "raises", "syntax"), "failed"),
        **{"right": "right", "wrong": "wrong"},
    }
    told = dict(zip(sorted(SUBMISSIONS), rows, strict=True))
    assert "ended the process, with exit code 3" in told["exits"]
    assert "no result after 40 seconds" in told["loops"]
    assert "IndexError in line 2" in told["raises"]
    assert "1/1  0/1" in told["wrong"] and "sigma'(z^1) is missing" in told["wrong"]


def test_grades_are_a_table_and_junit_s_xml():
    grades = [
        Grade("a/one.py", "right", "it agrees.", {"BP1": "1/1"}),
        Grade("a/two.py", "failed", "no result after 5 seconds", {}),
    ]
    head, one, two = _table(grades)
    assert head.split() == ["file", "verdict", "BP1", "BP2", "BP3", "BP4", "2.4"]
    assert one.startswith("one.py    right  1/1    -") and one.endswith("it agrees.")
    assert "no result after 5 seconds" in two
    suite = ElementTree.fromstring(junit(grades))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    [failure] = suite.iter("failure")
    assert failure.get("message") == "no result after 5 seconds"


def test_a_template_is_written_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--template", "book"]) == 0
    assert capsys.readouterr().out == "wrote my_book.py\n"
    assert "nabla_b" in (tmp_path / "my_book.py").read_text()
    assert "exists already" in refused(capsys, "compare", "--template", "book")


@pytest.mark.parametrize(
    "name", ["own:Network.backprop", "own.py:f", "./own.py:f", "own.py", "own:f"]
)
def test_a_candidate_is_found_by_module_or_file(tmp_path, monkeypatch, name):
    own = "def f(params, x, y):\n    pass\n\n\nclass Network:\n    backprop = f\n"
    (tmp_path / "own.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    found = load(name, {})
    assert getattr(found, "backprop", found).__name__ == "f"
