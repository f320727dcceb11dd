"""Networks in the file format of the book's second program, `network2.py`: chapter 3.

One JSON object: `sizes`, `weights`, `biases` (columns) and `cost`, a class's name. It
is read whole or refused, and written whole or not at all. All neurons are sigmoids.
"""

import json
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import jax.numpy as jnp
import numpy as np

from jaxnet.activations import sigmoid
from jaxnet.checks import check_params
from jaxnet.costs import Cost, cross_entropy, quadratic
from jaxnet.files import StorageError, at_most
from jaxnet.layers import Layer, Params

_COSTS = {"QuadraticCost": quadratic, "CrossEntropyCost": cross_entropy}
_KEYS = ("sizes", "weights", "biases", "cost")
_MOST_BYTES = 200_000_000  # nine million weights, a hundred of the book's networks


class BookNetwork(NamedTuple):
    """What the book's second program saves: a network and the cost it learned with."""

    params: Params
    cost: Cost


def load_book_network(path: str | Path) -> BookNetwork:
    """The network in a file that the book's second program, or jaxnet, has saved.

    Numbers are rounded to the default precision, which is float32 unless x64 is on.
    Raises StorageError, a ValueError, naming the file.
    """
    path = Path(path)
    try:
        return _network(json.loads(_read(path)))
    except StorageError as error:
        raise StorageError(f"{path}: {error}") from None
    except (OSError, ValueError, RecursionError) as error:
        problem = f"got an error: {getattr(error, 'strerror', None) or error}."
        raise StorageError(f"{path}: expected readable JSON, {problem}") from error


def save_book_network(path: str | Path, params: Params, cost: Cost = quadratic) -> None:
    """Write a network of sigmoid neurons for the book's second program to load.

    A file at `path` is replaced in one step, and kept if anything goes wrong; a missing
    folder is made. Raises ValueError if the cost is not one of the book's program or
    the network is not one of finite numbers, and StorageError if it cannot be written.
    """
    check_params(params)
    names = [name for name, known in _COSTS.items() if known == cost]
    if not names:
        raise ValueError(
            "Expected a cost that the book's files have a name for, jaxnet.quadratic "
            f"or jaxnet.cross_entropy, got {cost}."
        )
    if any(layer.activation != sigmoid for layer in params):
        raise ValueError(
            "Expected a network of sigmoid neurons, the only ones in the book's files, "
            f"got {', '.join(layer.activation.name for layer in params)}."
        )
    layers = [(np.asarray(w, float), np.asarray(b, float)) for w, b in params]
    if not all(np.isfinite(array).all() for layer in layers for array in layer):
        raise ValueError("Expected finite weights and biases, got nan or infinity.")
    document = {
        "sizes": [layers[0][0].shape[1], *(len(b) for _, b in layers)],
        "weights": [w.tolist() for w, _ in layers],
        "biases": [b[:, np.newaxis].tolist() for _, b in layers],
        "cost": names[0],
    }
    replace(Path(path), json.dumps(document).encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file in one step: whole, or as it was before. A missing folder is made.

    Raises StorageError if it cannot be written.
    """
    temporary = path.parent / f".{uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        problem = f"got an error: {error.strerror or error}."
        raise StorageError(f"{path}: expected to write here, {problem}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _read(path: Path) -> bytes:
    _expect(path.is_file(), "a file", "none here")  # reading a pipe might never end
    with open(path, "rb") as file:
        content = at_most(file, _MOST_BYTES + 1)
    _expect(len(content) <= _MOST_BYTES, f"at most {_MOST_BYTES} bytes", "more")
    return content


def _network(document: Any) -> BookNetwork:
    _expect(isinstance(document, dict), "a JSON object", _came(document))
    for key in _KEYS:
        _expect(key in document, f"the keys {', '.join(_KEYS)}", f"no {key}")
    sizes, weights, biases, cost = (document[key] for key in _KEYS)
    known = isinstance(cost, str) and cost in _COSTS
    _expect(known, f"the cost {' or '.join(_COSTS)}", _came(cost))
    several = isinstance(sizes, list) and len(sizes) > 1
    _expect(several, "two or more sizes in a list", _came(sizes))
    for size in sizes:
        _expect(type(size) is int and size > 0, "whole sizes from 1", _came(size))
    _expect_list(weights, len(sizes) - 1, "weights")
    _expect_list(biases, len(sizes) - 1, "biases")
    params = []
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        w = _matrix(weights[l], n_out, n_in, f"weights[{l}]")
        b = _matrix(biases[l], n_out, 1, f"biases[{l}]")
        params.append(Layer(jnp.asarray(w), jnp.asarray(b[:, 0])))
    return BookNetwork(params, _COSTS[cost])


def _matrix(rows: Any, n_rows: int, n_columns: int, name: str) -> np.ndarray:
    _expect_list(rows, n_rows, name)
    for j, row in enumerate(rows):
        _expect_list(row, n_columns, f"{name}[{j}]")
        for value in row if set(map(type, row)) - {int, float} else ():
            number = type(value) in (int, float)
            _expect(number, f"numbers in {name}[{j}]", _came(value))
    dtype = jnp.result_type(float)
    try:
        with np.errstate(over="ignore"):
            matrix = np.array(rows, float).astype(dtype)
    except OverflowError:  # an integer above every float
        matrix = np.array([[np.inf]], dtype)
    _expect(
        bool(np.isfinite(matrix).all()),
        f"finite {dtype} numbers in {name}",
        "nan, infinity or larger",
    )
    return matrix


def _expect_list(value: Any, length: int, name: str) -> None:
    right = isinstance(value, list) and len(value) == length
    _expect(right, f"a list of {_came(length)} in {name}", _came(value))


def _expect(right: bool, expected: str, came: str) -> None:
    if not right:
        raise StorageError(f"expected {expected}, got {came}.")


def _came(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else json.dumps(value)[:40]
