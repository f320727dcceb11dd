"""`python -m jaxnet export`: a trained network for other programs, or as a page."""

import argparse
from functools import partial
from pathlib import Path

from jaxnet.cli.console import printable
from jaxnet.cli.options import UsageError, add_network, network_of
from jaxnet.runs import (
    StorageError,
    save_book_network,
    save_function,
    save_onnx,
    save_page,
)

DESCRIPTION = (
    "Write a trained network, from a run's folder or a file of the book's second "
    "program, as a page on which it reads the digits you draw (FILE.html), as a "
    "function for JAX (FILE.jax), in the ONNX format (FILE.onnx), or in the format of "
    "the book's second program (FILE.json)."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, and the file."""
    add_network(parser)
    help = "file to write, which ends in .html, .jax, .onnx or .json"
    parser.add_argument("file", metavar="FILE", type=Path, help=help)


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    params, cost, run = network_of(args)
    suffix, classes = args.file.suffix, run and run.manifest.classes
    save = {
        ".html": partial(save_page, cost=cost),
        ".jax": save_function,
        ".onnx": partial(save_onnx, classes=classes),
        ".json": partial(save_book_network, cost=cost),
    }.get(suffix)
    if save is None:
        raise UsageError(
            f"{args.file}: expected a file that ends in .html, .jax, .onnx or .json, "
            f"got {suffix or 'no ending'!r}"
        )
    try:
        save(args.file, params)
    except StorageError:
        raise
    except ValueError as error:  # a network that this format does not have
        raise UsageError(f"{args.file}: {error}") from error
    print(printable(f"wrote {args.file}"))
    return 0
