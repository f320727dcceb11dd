"""Networks in the file format of the book's second program, `network2.py`: chapter 3.

One JSON object: `sizes`, `weights`, `biases` (columns) and `cost`, the name of a class.
All neurons are sigmoids.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float
from msgspec import Meta

from jaxnet.activations import sigmoid
from jaxnet.checks import check_params
from jaxnet.costs import Cost, cross_entropy, quadratic
from jaxnet.experiments.files import StorageError, expect, read_file, replace_file
from jaxnet.layers import Layer, Params

_COSTS = {"QuadraticCost": quadratic, "CrossEntropyCost": cross_entropy}
_MAX_BYTES = 200_000_000  # nine million weights, a hundred of the book's networks


class BookNetwork(NamedTuple):
    """A network of the book's second program, and the cost it was trained with."""

    params: Params
    cost: Cost


class _Document(msgspec.Struct):
    sizes: Annotated[
        list[Annotated[int, Meta(ge=1, le=_MAX_BYTES)]], Meta(min_length=2)
    ]
    weights: list[list[list[float]]]
    biases: list[list[list[float]]]
    cost: str


def load_book_network(path: str | Path) -> BookNetwork:
    """The network in a file of the book's second program, or of `save_book_network`.

    Numbers are rounded to the default precision, which is float32 unless x64 is on.
    Raises StorageError, a ValueError, naming the file and the place in it.
    """
    content = read_file(path, _MAX_BYTES)
    try:
        found = msgspec.json.decode(content, type=_Document)
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{path}: expected a network of the book's second program, got an error: "
            f"{error}."
        ) from error
    known = found.cost in _COSTS
    expect(known, path, f"the cost {' or '.join(_COSTS)}", repr(found.cost)[:40])
    n = len(found.sizes) - 1
    for name in ("weights", "biases"):
        got = len(getattr(found, name))
        expect(got == n, path, f"{n} layers in {name}", str(got))
    params = []
    for l, (n_in, n_out) in enumerate(pairwise(found.sizes)):
        w = _matrix(path, f"weights[{l}]", found.weights[l], n_out, n_in)
        b = _matrix(path, f"biases[{l}]", found.biases[l], n_out, 1)
        params.append(Layer(jnp.asarray(w), jnp.asarray(b[:, 0])))
    return BookNetwork(params, _COSTS[found.cost])


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
    if any(type(l) is not Layer or l.activation != sigmoid for l in params):
        kinds = (l.activation if type(l) is Layer else type(l).__name__ for l in params)
        raise ValueError(
            "Expected fully connected layers of sigmoid neurons, the only ones in the "
            f"book's files, got {', '.join(map(str, kinds))}."
        )
    weights, biases = (
        [np.asarray(array, float) for array in arrays]
        for arrays in zip(*params, strict=True)
    )
    if not all(np.isfinite(array).all() for array in (*weights, *biases)):
        raise ValueError("Expected finite weights and biases, got nan or infinity.")
    document = _Document(
        [weights[0].shape[1], *map(len, biases)],
        [w.tolist() for w in weights],
        [b[:, np.newaxis].tolist() for b in biases],
        names[0],
    )
    replace_file(path, msgspec.json.encode(document))


def _matrix(
    path: str | Path, place: str, rows: list[list[float]], n_rows: int, n_columns: int
) -> Float[np.ndarray, "rows columns"]:
    lengths = {len(row) for row in rows}
    columns = "different lengths" if len(lengths) > 1 else max(lengths, default=0)
    expected, got = f"{n_rows} rows of {n_columns}", f"{len(rows)} rows of {columns}"
    expect(got == expected, path, f"{expected} in {place}", got)
    dtype = jnp.result_type(float)
    with np.errstate(over="ignore"):
        matrix = np.array(rows).astype(dtype)
    finite = bool(np.isfinite(matrix).all())
    expect(finite, path, f"finite {dtype} numbers in {place}", "larger ones")
    return matrix
