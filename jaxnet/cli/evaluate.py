"""`python -m jaxnet evaluate`: what a trained network can do, class by class."""

import argparse
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxnet.cli.console import aligned, print_json
from jaxnet.cli.options import add_data, add_network, choice, integer, network_of
from jaxnet.datasets import load_data
from jaxnet.layers import Dataset, as_numbers
from jaxnet.metrics import accuracy, confusion_matrix, total_cost
from jaxnet.runs import TrainedNetwork

DESCRIPTION = (
    "Measure a trained network: accuracy and cost, the accuracy of each class, which "
    "classes it confuses, and its most confident mistakes. The network is a run's "
    "folder, from train --out, or a file of the book's second program."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, and the images to measure it on."""
    add_network(parser)
    add, parts = parser.add_argument, ("train", "validation", "test")
    help = "images to measure on (default: test)"
    add("--evaluate", metavar="PART", default="test", type=choice(parts), help=help)
    help = "how many mistakes to show (default: 10)"
    add("--mistakes", metavar="N", default=10, type=integer(0), help=help)
    add_data(parser)
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and return the exit code."""
    trained = network_of(args)
    data = getattr(load_data(args.data, as_bytes=True), args.evaluate)
    found = measure(trained, data, args.mistakes)
    if args.json:
        print_json({"network": args.network, "data": args.evaluate, **found})
    else:
        print(*_lines(found, args.evaluate), sep="\n")
    return 0


def measure(trained: TrainedNetwork, data: Dataset, mistakes: int) -> dict[str, Any]:
    """What is known of the network on these data, as JSON values."""
    params, cost = trained
    outputs = trained.outputs(as_numbers(data.x, params[0].w.dtype))
    truth, answers = np.asarray(data.y).argmax(axis=1), outputs.argmax(axis=1)
    sure = outputs.max(axis=1)
    wrong = np.flatnonzero(truth != answers)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:mistakes]
    columns = (wrong, truth[wrong], answers[wrong], sure[wrong])
    names = ("image", "truth", "answer", "output")
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {
        "accuracy": float(accuracy(params, data)),
        "cost": float(jax.jit(total_cost)(params, data, cost)),
        "examples": len(truth),
        "confusion": np.asarray(confusion_matrix(params, data)).tolist(),
        "mistakes": [dict(zip(names, row, strict=True)) for row in rows],
    }


def _lines(found: dict[str, Any], part: str) -> Iterator[str]:
    matrix = np.array(found["confusion"])
    correct, n = int(matrix.trace()), found["examples"]
    yield f"{correct} / {n} {part} images correct, {found['accuracy']:.2%}."
    yield f"Mean cost {found['cost']:.4f}, without regularization."
    yield "Rows: what an image is. Columns: what it is taken for."
    rows = [["", *range(len(matrix)), "correct"]]
    for k, row in enumerate(matrix):
        rows.append([k, *row, f"{row[k] / row.sum():.2%}" if row.sum() else "none"])
    yield from aligned(rows)
    if found["mistakes"]:
        yield "Most confident mistakes, images counted from 0:"
    form = "  image {image}: a {truth} taken for a {answer}, output {output:.3f}"
    yield from (form.format_map(mistake) for mistake in found["mistakes"])
