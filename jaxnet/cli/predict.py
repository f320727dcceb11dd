"""`python -m jaxnet predict`: pictures of digits, read by a trained network."""

import argparse
import math
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnet.checks import check_examples
from jaxnet.cli.console import print_json, printable, tell
from jaxnet.cli.options import UsageError, add_network, add_reading, network_of
from jaxnet.datasets import DataError, Source, load_mnist
from jaxnet.layers import as_numbers, dtype_of
from jaxnet.runs import TrainedNetwork

DESCRIPTION = (
    "Read the digits in pictures of any size and colour, dark on light or light on "
    "dark, one digit or several in lines. The network is a run's folder, from train "
    "--out, or a file of the book's second program."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, the pictures, and the drawings of each stage."""
    add_network(parser)
    help = "PNG, JPEG, GIF, BMP, TIFF, WebP or PPM files, or data sets in CSV or .npz"
    parser.add_argument("pictures", metavar="PICTURE", nargs="+", type=Path, help=help)
    help = "each picture is one digit, and is not to be cut"
    parser.add_argument("--one", action="store_true", help=help)
    add_reading(parser)
    help = "draw the stages of each picture into this folder"
    parser.add_argument("--show", metavar="FOLDER", type=Path, help=help)
    help = "print a JSON object for each picture"
    parser.add_argument("--json", action="store_true", help=help)


def run(args: argparse.Namespace) -> int:
    """Read each picture; the exit code is 2 if one could not be read."""
    trained = network_of(args)
    if any(_is_data(path) for path in args.pictures):
        return _read_data(args, trained)
    first, last = trained.params[0], trained.params[-1]
    n_in, n_out = math.prod(first.shape_in), math.prod(last.shape_out)
    if (n_in, n_out) != (784, 10):
        raise UsageError(
            f"{args.network}: expected a network of 784 inputs and 10 outputs, got "
            f"{n_in} and {n_out}"
        )
    code = 0
    known = np.asarray(load_mnist(as_bytes=True).train.x[:10_000])
    for path in args.pictures:
        try:
            found, draw = _read(path, trained, args.one, known)
        except DataError as error:
            words = str(error)
            if not words.startswith(f"{path}: "):  # of a part that knows no files
                words = f"{path}: {words[0].lower()}{words[1:]}"
            found = {"error": words}
            code, draw = 2, None
        if args.json:
            print_json({"picture": str(path), **found})
        elif draw is None:
            print(printable(found["error"]))
        else:
            sure = ", ".join(f"{x:.0%}" for x in found["confidence"])
            print(printable(f"{path}: {found['digits']}  ({sure} sure)"))
        if args.show and draw is not None:
            tell(f"wrote {draw(args.show / f'{path.stem}.png')}")
    return code


def _is_data(path: Path) -> bool:
    """Whether a file's name is not that of a picture, but of a data set."""
    return path.name.removesuffix(".gz").lower().endswith((".csv", ".npz", ".npy"))


def _read_data(args: argparse.Namespace, trained: TrainedNetwork) -> int:
    """Print the answer to each example of data sets, also of those without labels."""
    names = trained.run and trained.run.manifest.classes
    for path in args.pictures:
        source = Source(path, args.transpose, args.label_column)
        for part, (x, _) in source.read().parts.items():
            x = jnp.asarray(x)
            params = trained.params
            try:
                check_examples(params, x)
            except ValueError as error:
                raise UsageError(f"{path}: {error}") from error
            outputs = trained.outputs(as_numbers(x, dtype_of(params)))
            for row, output in enumerate(outputs, start=1):
                k = int(output.argmax())
                answer, sure = names[k] if names else str(k), float(output[k])
                place = f"{path}, {part + ' ' * bool(part)}row {row}"
                if args.json:
                    found = {"data": str(path), "part": part, "row": row}
                    print_json({**found, "answer": answer, "confidence": sure})
                else:
                    print(printable(f"{place}: {answer}  ({sure:.0%} sure)"))
    return 0


def _read(
    path: Path, trained: TrainedNetwork, one: bool, known: Any
) -> tuple[dict[str, Any], Callable[[Path], Path]]:
    """What a picture says, and a function that draws how it was read."""
    from jaxnet import figures, pictures  # which import SciPy

    grey = pictures.read_picture(path)
    pieces = pictures.segment(grey, trained.outputs, one=one, known=known)
    lines = groupby(pieces, key=lambda piece: piece.line)
    found = {
        "digits": " ".join("".join(str(p.digit) for p in line) for _, line in lines),
        "confidence": [piece.confidence for piece in pieces],
    }
    if one:
        return found, partial(figures.stages, pictures.prepare(grey))
    return found, partial(figures.pieces, grey, pieces)
