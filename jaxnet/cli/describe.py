"""`python -m jaxnet describe`: what a data set contains."""

import argparse
from collections.abc import Iterator
from typing import Any

from jaxnet.cli.console import aligned, print_json, printable
from jaxnet.cli.options import add_reading, source_of
from jaxnet.datasets import as_text, describe, oddities

DESCRIPTION = (
    "Print what a data set contains: examples of each class, range and mean of the "
    "inputs, duplicates, the first images as text, and what looks odd. A data set is a "
    "folder of IDX files, a folder with a folder of pictures for each class, or a CSV "
    "or .npz file."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data set."""
    parser.add_argument(
        "data", metavar="PATH", nargs="?", help="the data set (default: MNIST itself)"
    )
    add_reading(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Load, describe, print, and return the exit code."""
    source = source_of(args)
    data, names = source.named(as_bytes=True)
    found = {"data": str(source), **describe(data, names), "odd": list(oddities(data))}
    if args.json:
        print_json(found)
    else:
        shown = as_text(data.train, found["classes"])
        odd = (f"Odd: {words}" for words in found["odd"])
        for line in (*_lines(found), *shown, *odd):
            print(printable(line))
    return 0


def _lines(found: dict[str, Any]) -> Iterator[str]:
    parts, names = found["parts"].values(), found["classes"]
    in_bytes = found["type"] == "uint8"
    kind = "bytes, which stand for byte / 256" if in_bytes else "numbers"
    yield f"{found['data']}: {found['inputs']} inputs, {kind}; {len(names)} classes."
    rows = [["", *found["parts"]], ["examples", *(part["examples"] for part in parts)]]
    for k, name in enumerate(names):
        rows.append([f"  {name}", *(part["counts"][k] for part in parts)])
    rows += [
        ["range", *(f"{p['least']:.5g} to {p['greatest']:.5g}" for p in parts)],
        ["mean", *(f"{part['mean']:.5g}" for part in parts)],
        ["duplicates", *(part["duplicates"] for part in parts)],
    ]
    yield from aligned(rows)
    for each in found["shared"]:
        yield f"{each['examples']} {each['of']} examples are also in {each['in']}."
