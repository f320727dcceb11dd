"""Any continuous function of inputs between 0 and 1 as a network."""

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from jaxnet.activations import Activation, linear, sigmoid
from jaxnet.checks import check_callable, check_integer
from jaxnet.layers import Params
from jaxnet.universality.pieces import STEEP, bump, stacked, tower, weighted

_MAX_PIECES = 2000  # whose layers take 64 MB or more while they are combined


def approximate(
    f: Callable[..., Any],
    n: int,
    *,
    inputs: int = 1,
    shifts: int = 1,
    w: int | float = STEEP,
    activation: Activation = sigmoid,
    output: Activation = sigmoid,
) -> Params:
    """A network whose output is about f(x), for x in [0, 1], or of several `inputs`.

    Each axis is cut into n intervals. A bump, or a tower of several inputs, stands on
    each cell, as high as f at its centre; for sigmoid outputs, as sigma^-1 of that.
    With `shifts` = M, it is the mean of M such networks, each shifted by 1/(n M): where
    a step of one of them is under way, the others are right, and the error is 1/M.

    f takes an array for each input and acts elementwise. `error_bound` bounds the error
    for one input and sigmoid steps.

    >>> params = jaxnet.universality.approximate(lambda x: 0.2 + 0.4 * x**2, 50)
    >>> [w.shape for w, b in params]
    [(100, 1), (1, 100)]

    Raises ValueError if f is not finite, or not between 0 and 1 for sigmoid outputs,
    and for an activation whose limits are not finite and different.
    """
    check_callable("f", f, "lambda x: x**2")
    for name, number in {"n": n, "inputs": inputs, "shifts": shifts}.items():
        check_integer(name, number, 1)
    if output not in (sigmoid, linear):
        raise ValueError(f"Expected output=jaxnet.sigmoid or linear, got {output}.")
    pieces = sum((n + (k > 0)) ** inputs for k in range(shifts))
    if pieces > _MAX_PIECES:
        raise ValueError(
            f"Expected at most {_MAX_PIECES:,} bumps or towers, got {pieces:,}. Use a "
            "smaller n, or fewer inputs or shifts."
        )
    cells = [_cells(n, k / shifts, inputs) for k in range(shifts)]
    low, high, centres = np.concatenate(cells, axis=1)
    values = np.asarray(f(*centres.T), float)
    if values.shape not in ((), (pieces,)):
        raise ValueError(
            f"Expected f to act elementwise, with {pieces} values of {pieces} inputs, "
            f"got an array of shape {values.shape}."
        )
    values = np.broadcast_to(values, pieces)
    if output == sigmoid:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(values / (1 - values))
    if not np.isfinite(values).all():
        between = " between 0 and 1, as sigmoid outputs are" * (output == sigmoid)
        hint = ". Pass output=jaxnet.linear, or rescale f" * (output == sigmoid)
        raise ValueError(f"Expected finite values of f{between}, got others{hint}.")
    piece = bump if inputs == 1 else tower
    parts = [
        piece(*edges, w=w, activation=activation)
        for edges in zip(low, high, strict=True)
    ]
    return weighted(stacked(parts), values / shifts, output=output)


def error_bound(
    slope: int | float, n: int, *, w: int | float = STEEP, output: Activation = sigmoid
) -> float:
    """A bound on |network - f| on [0, 1] for `approximate(f, n)`, of any `shifts`.

    `slope` bounds |f'|, or |(sigma^-1 f)'| for sigmoid outputs. A sum of bumps is a
    mean of f at the centres of cells, weighted by the chance that x plus logistic noise
    of scale 1/w is in the cell. The noise is 2 ln 2 / w on average, and a centre at
    most 1/2n away:

    |network - f| <= slope (1/2n + 2 ln 2 / w), a quarter of it through a sigmoid.
    """
    return slope * (1 / (2 * n) + 2 * log(2) / w) / (4 if output == sigmoid else 1)


def _cells(n: int, shift: float, inputs: int) -> np.ndarray:
    """The lows, highs and centres of a grid of cells, moved left by `shift` of one.

    The outer cells reach from -1 to 2, so that no step is under way at 0 or 1.
    """
    edges = (np.arange(n + 1 + (shift > 0)) - shift) / n
    inside = edges.clip(0, 1)
    centres = (inside[1:] + inside[:-1]) / 2
    edges[0], edges[-1] = -1, 2
    axes = np.meshgrid(*[np.arange(len(centres))] * inputs, indexing="ij")
    places = np.stack(axes, axis=-1).reshape(-1, inputs)
    return np.stack([edges[:-1][places], edges[1:][places], centres[places]])
