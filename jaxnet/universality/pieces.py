"""Steps, bumps and towers, and two ways to combine networks into one."""

from collections.abc import Sequence
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxnet.activations import Activation, linear, sigmoid
from jaxnet.checks import check_activation, check_numbers
from jaxnet.layers import Layer, Params

Numbers = ArrayLike | Sequence[float]

STEEP = 1000.0  # the weight of a neuron that is nearly a step
_FAR = 1e3


def steps(
    s: Numbers,
    w: int | float = STEEP,
    *,
    axis: int = 0,
    inputs: int = 1,
    activation: Activation = sigmoid,
) -> Params:
    """A layer of neurons that step up where the input `axis` passes each s.

    sigma(w x + b) with b = -w s; other inputs have weight 0. The steps go from the
    activation's limit at minus infinity to that at infinity.
    Raises ValueError for an activation whose limits are not finite and different, and
    TypeError for something else.
    """
    check_numbers({"w": w}, 0)
    _limits(activation)
    b = -w * np.atleast_1d(np.asarray(s, float))
    weights = np.zeros((len(b), inputs))
    weights[:, axis] = w
    return [_layer(weights, b, activation)]


def weighted(
    params: Params, weights: Numbers, b: int | float = 0.0, output: Activation = linear
) -> Params:
    """The network with a neuron added: sigma(sum_j weights_j a_j + b) of its outputs a.

    Linear outputs become part of the new neuron, rather than a layer of their own.
    """
    *below, last = params
    row = np.asarray(weights, float)[np.newaxis]
    if last.activation != linear:
        return [*params, _layer(row, np.array([b]), output)]
    w, biases = map(np.asarray, last)
    return [*below, _layer(row @ w, row @ biases + b, output)]


def stacked(networks: Sequence[Params]) -> Params:
    """Networks of the same inputs as one, with all their outputs, in this order.

    So a vector-valued function is approximated by a network for each component.
    Raises ValueError unless they have as many layers and the same activations.
    """
    kinds = {tuple(layer.activation for layer in params) for params in networks}
    if len(kinds) != 1:
        raise ValueError(
            "Expected networks of one depth and with the same activations, got "
            f"{len(kinds)} kinds: {', '.join(map(str, kinds)) or 'no network'}."
        )
    together = []
    for l, layers in enumerate(zip(*networks, strict=True)):
        ws = [np.asarray(layer.w) for layer in layers]
        w = _block_diagonal(ws) if l else np.concatenate(ws)
        b = np.concatenate([layer.b for layer in layers])
        together.append(_layer(w, b, layers[0].activation))
    return together


def bump(
    low: Numbers,
    high: Numbers,
    h: int | float = 1.0,
    *,
    w: int | float = STEEP,
    activation: Activation = sigmoid,
) -> Params:
    """A network that is h where its input is between low and high, and 0 elsewhere.

    With m inputs, low and high have m numbers, and the output is h times the number of
    inputs that are within theirs. Raises as `steps` does.
    """
    check_numbers({"w": w}, 0)
    left, right = _limits(activation)
    edges = np.stack(np.broadcast_arrays(*map(np.atleast_1d, (low, high))), axis=1)
    m = len(edges)
    pairs = _layer(w * np.repeat(np.eye(m), 2, axis=0), -w * edges.ravel(), activation)
    return weighted([pairs], np.tile([h, -h], m) / (right - left))


def tower(
    low: Numbers,
    high: Numbers,
    h: int | float = 50.0,
    *,
    w: int | float = STEEP,
    activation: Activation = sigmoid,
) -> Params:
    """A network that is 1 where each of m inputs is between its low and high, else 0.

    sigma(bump - (m - 1/2) h): within sigma(h/2), where one input is outside
    sigma(-h/2). The larger h, the closer to 1 and 0. Raises as `steps` does.
    """
    pieces = bump(low, high, h, w=w, activation=activation)
    m = pieces[0].w.shape[1]
    return weighted(pieces, [1.0], (0.5 - m) * h, sigmoid)


@cache
def _limits(activation: Activation) -> tuple[float, float]:
    """The activation's limits at minus and plus infinity. Raises ValueError."""
    check_activation(activation, hidden=True)
    z = jnp.array([-(_FAR**2), -_FAR, _FAR, _FAR**2])
    ends = np.asarray(activation.fn(z))
    left, right = float(ends[0]), float(ends[3])
    settled = np.allclose(ends, [left, left, right, right], atol=1e-2)
    if not settled or abs(right - left) < 1e-2:
        reason = "Two relu neurons, one subtracted from the other, have them."
        if activation == linear:
            reason = "A network of linear neurons is only ever a linear function."
        raise ValueError(
            "Expected an activation with different finite limits at minus and plus "
            f"infinity, such as jaxnet.sigmoid, got {activation}. {reason}"
        )
    return left, right


def _layer(w: np.ndarray, b: np.ndarray, activation: Activation) -> Layer:
    dtype = jnp.result_type(float)
    w, b = jax.device_put((w.astype(dtype), b.astype(dtype)))
    return Layer(w, b, activation)  # type: ignore


def _block_diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    whole = np.zeros(np.sum([block.shape for block in blocks], axis=0))
    row = column = 0
    for block in blocks:
        m, n = block.shape
        whole[row : row + m, column : column + n] = block
        row, column = row + m, column + n
    return whole
