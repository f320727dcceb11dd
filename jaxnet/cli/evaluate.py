"""`python -m jaxnet evaluate`: what a trained network can do, class by class."""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import figures
from jaxnet.checks import check_data
from jaxnet.cli.console import aligned, print_json, printable, tell
from jaxnet.cli.options import (
    UsageError,
    add_data,
    add_network,
    choice,
    data_of_network,
    integer,
    network_of,
)
from jaxnet.layers import Dataset, Layer, as_numbers, dtype_of
from jaxnet.metrics import accuracy, confusion_matrix, total_cost
from jaxnet.runs import TrainedNetwork

_DRAWN = 100  # mistakes in the picture of them
DESCRIPTION = (
    "Measure a trained network: accuracy and cost, the accuracy of each class, which "
    "classes it confuses, and its most confident mistakes. The network is a run's "
    "folder, from train --out, or a file of the book's second program."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, and the images to measure it on."""
    add_network(parser)
    add, parts = parser.add_argument, ("train", "validation", "test")
    help = "images to measure on (default: as in training, or test)"
    add("--evaluate", metavar="PART", type=choice(parts), help=help)
    help = "how many mistakes to show (default: 10)"
    add("--mistakes", metavar="N", default=10, type=integer(0), help=help)
    add_data(parser, "what the network learned from, or MNIST")
    help = "folder to draw its confusions, mistakes and weights into"
    add("--figure", metavar="FOLDER", type=Path, help=help)
    add("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure / "confusion.png")
    trained = network_of(args)
    source, part, split, names = data_of_network(args, trained)
    data: Dataset = getattr(split, part)
    try:
        check_data(trained.params, data)
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
    found = measure(trained, data, max(args.mistakes, _DRAWN if args.figure else 0))
    shown = {**found, "mistakes": found["mistakes"][: args.mistakes]}
    if args.json:
        about = {"network": args.network, "data": str(source), "part": part}
        print_json({**about, "classes": names, **shown})
    else:
        for line in _lines(shown, f"{part} images of {source}", names):
            print(printable(line))
    if args.figure:
        title = f"{args.network} on {part} images of {source}"
        for path in draw(trained, data, found, names, title, args.figure):
            tell(f"wrote {path}")
    return 0


def measure(trained: TrainedNetwork, data: Dataset, mistakes: int) -> dict[str, Any]:
    """What is known of the network on these data, as JSON values."""
    params = trained.params
    outputs = trained.outputs(as_numbers(data.x, dtype_of(params)))
    truth, answers = np.asarray(data.y).argmax(axis=1), outputs.argmax(axis=1)
    sure = outputs.max(axis=1)
    wrong = np.flatnonzero(truth != answers)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:mistakes]
    columns = (wrong, truth[wrong], answers[wrong], sure[wrong])
    names = ("image", "truth", "answer", "output")
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {
        "accuracy": float(accuracy(params, data)),
        "cost": float(jax.jit(total_cost)(params, data, trained.cost)),
        "examples": len(truth),
        "confusion": np.asarray(confusion_matrix(params, data)).tolist(),
        "mistakes": [dict(zip(names, row, strict=True)) for row in rows],
    }


def _lines(found: dict[str, Any], part: str, names: list[str]) -> Iterator[str]:
    matrix = np.array(found["confusion"])
    correct, n = int(matrix.trace()), found["examples"]
    yield f"{correct} / {n} {part} correct, {found['accuracy']:.2%}."
    yield f"Mean cost {found['cost']:.4f}, without regularization."
    yield "Rows: what an image is. Columns: what it is taken for."
    rows = [["", *names, "correct"]]
    for name, row, right in zip(names, matrix, matrix.diagonal(), strict=True):
        rows.append([name, *row, f"{right / row.sum():.2%}" if row.sum() else "none"])
    yield from aligned(rows)
    if found["mistakes"]:
        yield "Most confident mistakes, images counted from 0:"
    for image, truth, answer, output in (each.values() for each in found["mistakes"]):
        words = f"a {names[truth]} taken for a {names[answer]}"
        yield f"  image {image}: {words}, output {output:.3f}"


def draw(
    trained: TrainedNetwork,
    data: Dataset,
    found: dict[str, Any],
    names: list[str],
    title: str,
    folder: Path,
) -> Iterator[Path]:
    """The paths of the pictures drawn of what `measure` found."""
    matrix = np.array(found["confusion"])
    yield figures.confusion(matrix, names, title, folder / "confusion.png")
    side = math.isqrt(data.x.shape[1])
    if side**2 != data.x.shape[1]:
        return  # the inputs are no square images
    first = trained.params[0]
    if isinstance(first, Layer) and first.w.shape[1] == side**2:
        w = np.asarray(first.w)
        yield figures.weights(w, title, folder / "weights.png")
    mistakes = found["mistakes"]
    if mistakes:
        rows = np.array([mistake["image"] for mistake in mistakes])
        x = np.asarray(as_numbers(data.x[rows], jnp.float32))
        labels = [(names[m["truth"]], names[m["answer"]]) for m in mistakes]
        wrong = int(matrix.sum() - matrix.trace())
        title = f"{title}\n{len(rows)} of {wrong} mistakes, the most confident first"
        yield figures.digits(x, labels, title, folder / "mistakes.png")
