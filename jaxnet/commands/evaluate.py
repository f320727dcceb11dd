"""`python -m jaxnet evaluate`: what a trained network can do, class by class."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxnet.commands.options import Options, whole
from jaxnet.commands.trained import Trained, load_trained
from jaxnet.layers import Dataset, as_numbers
from jaxnet.metrics import accuracy, confusion_matrix, total_cost
from jaxnet.owndata import load_data
from jaxnet.report import as_json_has_it

HELP = "measure a trained network: accuracy, cost, each class, its surest mistakes"
DESCRIPTION = (
    "Measure a trained network: its accuracy and cost, how much of each class it gets "
    "right, what it takes for what, and the mistakes it is surest of. The network is a "
    "run's folder, from train --out, or a file of the book's second program."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, and the images to measure it on."""
    add = Options(parser)
    parser.add_argument("network", metavar="RUN", help="a run's folder, or a book file")
    parts = ("train", "validation", "test")
    add.choice("--evaluate", "test", parts, "images to measure on")
    help = "which network of a run of several seeds (default: the first)"
    parser.add_argument("--seed", metavar="K", type=whole(0), help=help)
    add.value("--mistakes", 10, whole(0), "N", "how many mistakes to show")
    add.data()
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and return the exit code."""
    trained = load_trained(args.network, args.seed)
    data = getattr(load_data(args.data, as_bytes=True), args.evaluate)
    found = measure(trained, data, args.mistakes)
    if args.json:
        found = {"network": args.network, "data": args.evaluate, **found}
        print(json.dumps(as_json_has_it(found)))
    else:
        print(*_lines(found, args.evaluate), sep="\n")
    return 0


def measure(trained: Trained, data: Dataset, mistakes: int) -> dict[str, Any]:
    """What is known of the network on these data, as JSON values."""
    params, cost = trained
    matrix = np.asarray(confusion_matrix(params, data))
    numbers = as_numbers(data.x, params[0].w.dtype)
    outputs = trained.outputs(numbers)
    truth, answers = np.asarray(data.y).argmax(axis=1), outputs.argmax(axis=1)
    sure = outputs.max(axis=1)
    wrong = np.flatnonzero(truth != answers)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:mistakes]
    total = jax.jit(total_cost)(params, data, cost)
    return {
        "accuracy": float(accuracy(params, data)),
        "cost": float(total),
        "examples": len(truth),
        "confusion": matrix.tolist(),
        "mistakes": [
            {
                "image": int(i),
                "truth": int(truth[i]),
                "answer": int(answers[i]),
                "output": float(sure[i]),
            }
            for i in wrong
        ],
    }


def _lines(found: dict[str, Any], part: str) -> Iterator[str]:
    matrix = np.array(found["confusion"])
    right, n = int(matrix.trace()), found["examples"]
    yield f"{right} / {n} of the {part} images right, {found['accuracy']:.2%}."
    yield f"Mean cost {found['cost']:.4f}, without regularisation."
    yield "Rows: what an image is. Columns: what it is taken for."
    yield " " * 6 + "".join(f"{k:>6}" for k in range(len(matrix))) + "   right"
    for k, row in enumerate(matrix):
        share = f"{row[k] / row.sum():>8.2%}" if row.sum() else "    none"
        yield f"{k:>6}" + "".join(f"{x:>6}" for x in row) + share
    if found["mistakes"]:
        yield "Surest mistakes, images counted from 0:"
    for each in found["mistakes"]:
        yield (
            f"  image {each['image']}: a {each['truth']} taken for a "
            f"{each['answer']}, output {each['output']:.3f}"
        )
