"""The corpus of gradients, wrong and unusual but right, in candidates.toml."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from string import Template

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet.compare import Candidate, CandidateError, ShapeError, examine
from jaxnet.compare.loading import load
from jaxnet.compare.report import form_in_words, verdict_lines
from tests.helpers import problem

AUTOMATIC = Candidate(jaxnet.autodiff)
GROUPS = tomllib.loads((Path(__file__).parent / "candidates.toml").read_text())


def corpus():
    """What is expected of each candidate, and its code."""
    for group in GROUPS.values():
        base = next(iter(group.values()))
        for name, own in group.items():
            case = own if "code" in own else {**base, **own}
            same = {key: own[key] for key in ("cost", "hidden", "sizes") if key in own}
            code = Template(case["code"]).substitute(case)
            yield name, {"expect": own["expect"], "code": code, **same}


CORPUS = dict(corpus())
SOME = [  # a quarter; all of them with the slow tests
    pytest.param(name, marks=[pytest.mark.slow] if i % 4 else [])
    for i, name in enumerate(sorted(CORPUS))
]


def verdict(path, sizes=(7, 6, 4, 5), cost="quadratic", hidden="sigmoid"):
    """The broken equations and all that is said of a candidate, and the findings."""
    cost = getattr(jaxnet, cost)
    at = problem(sizes, 20, hidden=getattr(jaxnet, hidden), output=cost.output)
    params, x, y = at
    if cost == jaxnet.log_likelihood:
        y = jax.device_put(np.eye(5)[np.arange(20) % 5])
    options = {"reference": AUTOMATIC, "cost": cost, "batch_size": 6, "epochs": (0,)}
    try:
        candidate = Candidate(load(str(path), {}))
        data = jaxnet.Dataset(x, y)
        found = examine(candidate, params, data, **options, details=False)
    except (CandidateError, ShapeError) as error:
        return "", str(error), None
    said = [*verdict_lines(found, "it", "autodiff"), form_in_words(found)]
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
