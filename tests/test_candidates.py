"""The corpus of gradients, wrong and unusual but right, in candidates.toml."""

import re
import tomllib
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.compare import Candidate, CandidateError, ShapeError, examine
from jaxnet.compare.diagnosis import equations
from jaxnet.compare.internals import Problem, compare_at
from jaxnet.compare.loading import load
from jaxnet.compare.report import form_in_words, verdict_lines
from jaxnet.oracles import complex_step
from tests.helpers import assert_close, numpy_gradient, problem

TEMPLATES = resources.files("jaxnet.compare") / "templates"
GROUPS = tomllib.loads((Path(__file__).parent / "candidates.toml").read_text())


def corpus():
    """What is expected of each candidate, and its code."""
    for group, candidates in GROUPS.items():
        template, base = TEMPLATES / f"{group}.py", next(iter(candidates.values()))
        for name, own in candidates.items():
            if template.is_file():
                code = template.read_text()
                for old, new in own.get("change", {}).items():
                    assert old in code, (name, old)
                    code = code.replace(old, new)
            else:
                case = own if "code" in own else {**base, **own}
                code = Template(case["code"]).substitute(case)
            same = {key: own[key] for key in ("cost", "hidden", "sizes") if key in own}
            yield name, {"expect": own["expect"], "code": code, **same}


CORPUS = dict(corpus())
SOME = [  # half of those that need no program of their own, others with the slow tests
    pytest.param(name, marks=[pytest.mark.slow] if i % 2 or len(case) > 2 else [])
    for i, (name, case) in enumerate(sorted(CORPUS.items()))
]


def verdict(path, sizes=(7, 6, 4, 5), cost="quadratic", hidden="sigmoid"):
    """The broken equations and all that is said of a candidate, and the findings."""
    cost = getattr(jaxnet, cost)
    at = problem(sizes, 20, hidden=getattr(jaxnet, hidden), output=cost.output)
    params, x, y = at
    if cost == jaxnet.log_likelihood:
        y = jax.device_put(np.eye(5)[np.arange(20) % 5])
    options = {"cost": cost, "batch_size": 6, "epochs": (0,)}
    try:
        candidate = Candidate(load(str(path), {}))
        data = jaxnet.Dataset(x, y)
        found = examine(candidate, params, data, **options, details=False)
    except (CandidateError, ShapeError) as error:
        return "", str(error), None
    said = [*verdict_lines(found, "it"), form_in_words(found)]
    rows = sorted(f"{row.name} {row.layer}" for row in found.broken)
    return ", ".join(rows), "\n".join(said), found


@pytest.mark.parametrize("name", SOME)
def test_a_candidate_gets_its_verdict(x64, tmp_path, name):
    case = dict(CORPUS[name])
    if "import torch" in case["code"] and not find_spec("torch"):
        pytest.skip("PyTorch is not installed")
    path = tmp_path / f"{name}.py"
    path.write_text(case.pop("code"))
    where, colon, cause = case.pop("expect").rpartition(": ")
    broken, said, found = verdict(path, **case)
    right = name.startswith("right")
    assert right == (found is not None and found.agrees), said
    if cause != "agrees":
        assert cause in said
    if colon and re.match(r"BP|2\.|call", where):
        assert broken == where.split(": ")[0]


@pytest.mark.parametrize("name", ["book", "pairs", "dict", "torch"])
def test_a_template_is_a_right_gradient(x64, name):
    if name == "torch" and not find_spec("torch"):
        pytest.skip("PyTorch is not installed")
    candidate = Candidate(load(str(TEMPLATES / f"my_{name}.py"), {}))
    assert jaxnet.diagnose(candidate, *problem([7, 6, 4, 5], 6)) == []


BOOK: Any = load(str(TEMPLATES / "my_book.py"), {})


def of_one_example(params, x, y):
    deltas, activations = jaxnet.errors(params, x, y)
    return [(jnp.outer(d, a), d) for d, a in zip(deltas, activations, strict=True)]


@pytest.mark.parametrize("gradient", [BOOK.backprop, of_one_example, complex_step])
def test_any_form_trains_in_the_place_of_backprop(x64, gradient):
    params, x, y = problem([4, 3, 2], m=6)
    data, run = jaxnet.Dataset(x, y), {"batch_size": 2, "eta": 0.5}
    key = jax.random.key(0)
    after = [
        jaxnet.epoch(key, jaxnet.start(params), data, gradient=way, **run).params
        for way in (gradient, jaxnet.backprop)
    ]
    assert_close(*after, rtol=1e-12)
    compared = jaxnet.compare_gradients(gradient, jaxnet.backprop, params, x, y)
    assert compared.agrees


def test_nothing_that_a_candidate_does_reaches_the_caller():
    params, x, y = jax.tree.map(np.array, problem([4, 3, 2], m=6))

    def in_place(params, x, y):
        for w, b in params:
            w[:] = b[:] = 0
        x[:] = 0
        return params

    before = jax.tree.map(np.array, (params, x, y))
    [*_, row] = jaxnet.diagnose(in_place, params, x, y)
    assert "writes into its arguments: b^1, b^2, w^1, w^2, x" in row.mistake
    assert all(
        map(np.array_equal, jax.tree.leaves(before), jax.tree.leaves((params, x, y)))
    )


def test_a_diagnosis_is_in_float64_whatever_the_setting():
    """Where 1 % is as much as float32 may round in a sum of 784 terms."""
    params, x, y = problem([784, 30, 10], m=3)
    assert x.dtype == np.float32

    def one_percent(params, x, y):
        gradient = numpy_gradient(params, x, y, "quadratic")
        return jax.tree.map(lambda g: 1.01 * g, gradient)

    [row] = jaxnet.diagnose(one_percent, params, x, y)
    assert (row.name, row.mistake) == ("BP1", "1.01 times what it should be")


NETWORKS = [
    ([3, 16, 1, 6], jaxnet.cross_entropy, jaxnet.sigmoid),
    ([4, 1, 5], jaxnet.quadratic, jaxnet.tanh),
    ([2, 8, 8, 8, 3], jaxnet.cross_entropy, jaxnet.relu),
    ([9, 2], jaxnet.log_likelihood, jaxnet.sigmoid),
    ([5, 7, 1], jaxnet.linear_quadratic, jaxnet.linear),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "cost", "hidden"), NETWORKS)
def test_what_is_right_is_not_called_broken_on_1000_random_networks(
    x64, sizes, cost, hidden
):
    """And is within rounding of `jax.grad`, by which it is compared."""
    candidate = Candidate(jaxnet.backprop)
    for seed in range(200):
        params, x, y = problem(sizes, 3, seed, hidden, cost.output)
        if cost == jaxnet.log_likelihood:
            y = y / y.sum(axis=1, keepdims=True)
        at = Problem(params, x, y, cost).in_float64()
        assert all(row.holds for row in equations(candidate, at)), seed
        assert compare_at(candidate, at).agrees, seed
