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
    Raises StorageError, a ValueError, naming the file and what is wrong in it.
    """
    content, dtype = read_file(path, _MAX_BYTES), jnp.result_type(float)
    try:
        found = msgspec.json.decode(content, type=_Document)
        with np.errstate(over="ignore"):
            weights = [np.array(w, dtype) for w in found.weights]
            biases = [np.array(b, dtype) for b in found.biases]
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{path}: expected a network of the book's second program, got an error: "
            f"{str(error).rstrip('.')}."
        ) from error
    known = found.cost in _COSTS
    expect(known, path, f"the cost {' or '.join(_COSTS)}", repr(found.cost)[:40])
    n, counts = len(found.sizes) - 1, (len(weights), len(biases))
    expect(counts == (n, n), path, f"weights and biases of {n} layers", str(counts))
    params = []
    for l, (n_in, n_out) in enumerate(pairwise(found.sizes)):
        w, b, layer = weights[l], biases[l], f"in layer {l + 1}"
        expected = f"weights {(n_out, n_in)} and biases {(n_out, 1)}"
        shapes = f"weights {w.shape} and biases {b.shape}"
        expect(shapes == expected, path, f"{expected} {layer}", shapes)
        finite = bool(np.isfinite(w).all() and np.isfinite(b).all())
        expect(finite, path, f"finite {dtype} numbers {layer}", "larger ones")
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
