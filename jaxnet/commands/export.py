"""`python -m jaxnet export`: a trained network for other programs."""

import argparse
from pathlib import Path

from jaxnet.commands.options import whole
from jaxnet.commands.trained import load_trained
from jaxnet.export import save_function, save_onnx
from jaxnet.storage import save_book_network

HELP = "write a trained network for other programs"
DESCRIPTION = (
    "Write a trained network, from a run's folder or a file of the book's second "
    "program, as a function for JAX (FILE.jax), in the ONNX format (FILE.onnx), or in "
    "the format of the book's second program (FILE.json)."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The network, and the file."""
    parser.add_argument("network", metavar="RUN", help="a run's folder, or a book file")
    help = "file to write, which ends in .jax, .onnx or .json"
    parser.add_argument("file", metavar="FILE", type=Path, help=help)
    help = "which network of a run of several seeds (default: the first)"
    parser.add_argument("--seed", metavar="K", type=whole(0), help=help)


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    params, cost = load_trained(args.network, args.seed)
    suffix = args.file.suffix
    if suffix == ".jax":
        save_function(args.file, params)
    elif suffix == ".onnx":
        save_onnx(args.file, params)
    elif suffix == ".json":
        save_book_network(args.file, params, cost)
    else:
        raise ValueError(
            f"{args.file}: expected a file that ends in .jax, .onnx or .json, got "
            f"{suffix or 'no ending'!r}."
        )
    print(f"wrote {args.file}")
    return 0
