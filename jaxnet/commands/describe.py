"""`python -m jaxnet describe`: what a data set holds."""

import argparse
import json
import math
import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.datasets import Split
from jaxnet.layers import Dataset
from jaxnet.owndata import load_data
from jaxnet.readers import class_folders

HELP = "say what a data set holds: classes, ranges, duplicates"
DESCRIPTION = (
    "Say what a data set holds: examples of each class, range, mean and zeros of the "
    "inputs, pixels that never change, and examples that are there twice. A data set "
    "is a folder of IDX files in MNIST's layout, a folder with one of pictures for "
    "each class, or a CSV file of a label and pixels a line."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data set."""
    parser.add_argument(
        "data", metavar="PATH", nargs="?", help="the data set (default: MNIST itself)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Load, describe, print, and return the exit code."""
    found = describe(load_data(args.data, as_bytes=True), class_names(args.data))
    found = {"data": args.data or "MNIST", **found}
    if args.json:
        print(json.dumps(found))
    else:
        print(*_lines(found), sep="\n")
    return 0


def class_names(path: str | None) -> list[str] | None:
    """The names of a folder's classes, or None where classes have numbers only."""
    if path is None or not os.path.isdir(path) or any(Path(path).glob("*-ubyte*")):
        return None
    return [folder.name for folder in class_folders(path)]


def describe(data: Split, names: list[str] | None = None) -> dict[str, Any]:
    """What the three parts hold, as JSON values.

    `duplicates` are examples with the inputs of an earlier one in their part, and
    `shared` those of a later part whose inputs are in an earlier part.
    """
    n_in, n_out = data.train.x.shape[1], data.train.y.shape[1]
    side = math.isqrt(n_in)
    hashes = {name: _hashes(part) for name, part in data._asdict().items()}
    return {
        "inputs": n_in,
        "shape": [side, side] if side**2 == n_in else None,
        "type": str(data.train.x.dtype),
        "classes": names or [str(k) for k in range(n_out)],
        "parts": {
            name: {
                **_numbers(part),
                "duplicates": len(hashes[name]) - len(set(hashes[name])),
            }
            for name, part in data._asdict().items()
        },
        "shared": [
            {"of": later, "in": earlier, "examples": _count(hashes, later, earlier)}
            for earlier, later in combinations(hashes, 2)
        ],
    }


def _hashes(part: Dataset) -> list[bytes]:
    return [
        blake2b(row.tobytes(), digest_size=16).digest() for row in np.asarray(part.x)
    ]


def _count(hashes: dict[str, list[bytes]], later: str, earlier: str) -> int:
    known = set(hashes[earlier])
    return sum(each in known for each in hashes[later])


def _numbers(part: Dataset) -> dict[str, Any]:
    x, y = np.asarray(part.x), np.asarray(part.y)
    return {
        "examples": len(x),
        "counts": np.bincount(y.argmax(axis=1), minlength=y.shape[1]).tolist(),
        "least": x.min().item(),
        "greatest": x.max().item(),
        "mean": float(x.mean(dtype=np.float64)),
        "zeros": float(np.mean(x == 0)),
        "constant": int(np.sum(x.min(axis=0) == x.max(axis=0))),
        "bytes": x.nbytes + y.nbytes,
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    parts = found["parts"]
    shape = " ({} x {})".format(*found["shape"]) if found["shape"] else ""
    kind = (
        "bytes, which stand for byte / 256" if found["type"] == "uint8" else "numbers"
    )
    yield (
        f"{found['data']}: {found['inputs']} inputs{shape}, {kind}; "
        f"{len(found['classes'])} classes."
    )
    width = max(16, *(len(name) + 2 for name in found["classes"]))

    def row(title: str, cells: list[str]) -> str:
        return f"{title:<{width}}" + "".join(f"{cell:>14}" for cell in cells)

    yield row("", list(parts))
    yield row("examples", [str(part["examples"]) for part in parts.values()])
    for k, name in enumerate(found["classes"]):
        yield row(f"  {name}", [str(part["counts"][k]) for part in parts.values()])
    forms = {
        "range": "{least:.5g} to {greatest:.5g}",
        "mean": "{mean:.5g}",
        "zeros": "{zeros:.2%}",
        "constant pixels": "{constant}",
        "duplicates": "{duplicates}",
        "memory": "{bytes:,} B",
    }
    for title, form in forms.items():
        yield row(title, [form.format_map(part) for part in parts.values()])
    for each in found["shared"]:
        yield f"{each['examples']} {each['of']} examples are also in {each['in']}."
