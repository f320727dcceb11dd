"""The corpus of gradients, wrong and unusual but right, in tests/candidates.

The first lines of a file say what is expected of it: a part of the verdict, and the
equations and layers that are broken before a colon, and the network to examine it at.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet.compare import Candidate, CandidateError, ShapeError, examine
from jaxnet.compare.loading import load
from jaxnet.compare.report import form_in_words, verdict_lines
from tests.helpers import problem

AUTOMATIC = Candidate(jaxnet.autodiff)
FILES = sorted((Path(__file__).parent / "candidates").glob("*.py"))


def read(path):
    """What is expected of a candidate, and the options of its network."""
    text = path.read_text()
    [expected] = re.findall(r"^# expect: (.*)$", text, re.MULTILINE)
    options = "".join(re.findall(r"^# at: (.*)$", text, re.MULTILINE))
    named = dict(o.split("=") for o in options.split(",") if "=" in o)
    cost = getattr(jaxnet, named.get("cost", "quadratic"))
    hidden = getattr(jaxnet, named.get("hidden", "sigmoid"))
    return expected, options, cost, hidden


def verdict(path):
    """The broken equations and all that is said of a candidate, and the findings."""
    _, options, cost, hidden = read(path)
    sizes = [5, 5, 5, 5] if "square" in options else [7, 6, 4, 5]
    params, x, y = problem(sizes, 20, hidden=hidden, output=cost.output)
    if cost == jaxnet.log_likelihood:
        y = np.eye(5)[np.arange(20) % 5]
    data = jaxnet.Dataset(x, jax.device_put(y))
    options = {"reference": AUTOMATIC, "cost": cost, "batch_size": 6, "epochs": (0,)}
    try:
        candidate = Candidate(load(str(path), {}))
        found = examine(candidate, params, data, **options, details=False)
    except (CandidateError, ShapeError) as error:
        return "", str(error), None
    said = [*verdict_lines(found, "it", "autodiff"), form_in_words(found)]
    rows = sorted(f"{row.name} {row.layer}" for row in found.broken)
    return ", ".join(rows), "\n".join(said), found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_candidate_gets_its_verdict(x64, path):
    expected, options, *_ = read(path)
    if "torch" in options and not find_spec("torch"):
        pytest.skip("PyTorch is not installed")
    where, colon, cause = expected.rpartition(": ")
    broken, said, found = verdict(path)
    right = path.stem.startswith("right")
    assert right == (found is not None and found.agrees), said
    if expected != "agrees":
        assert cause in said
    if colon and re.match(r"BP|2\.|call", where):
        assert broken == where.split(": ")[0]
