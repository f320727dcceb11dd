"""The correct values inside a network, and how exactly they can be known.

They come from `jax.grad`, `jax.vjp` and `jax.jvp` of the forward pass alone, so no
verdict depends on a rule written by hand, whatever the kinds of layers.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.activations import Activation, linear, not_elementwise
from jaxnet.compare.candidate import Candidate
from jaxnet.compare.comparison import Comparison, compare_trees, tolerance_for
from jaxnet.compare.measures import norm_of, relative_error
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import autodiff
from jaxnet.layers import Layer, MaxPool, Params
from jaxnet.network import forward
from jaxnet.oracles import demon

AUTOMATIC = Candidate(autodiff)  # with which all others are compared
_EPS = 2 * float(np.finfo(float).eps)

Leaves = list[np.ndarray]  # w^1, b^1, w^2, ... or those of one layer; examples first


class Problem(NamedTuple):
    """What a gradient is computed of: a network, a mini-batch and a cost."""

    params: Params
    x: Any  # arrays of JAX or NumPy
    y: Any
    cost: Cost = quadratic

    def in_float64(self) -> "Problem":
        """The same with NumPy's arrays of float64."""

        def convert(array: Any) -> np.ndarray:
            scale = 256 if array.dtype == np.uint8 else 1  # bytes stand for byte / 256
            return np.array(array, float) / scale

        params, x, y = jax.tree.map(convert, (self.params, self.x, self.y))
        return Problem(params, x, y, self.cost)


class Internals(NamedTuple):
    """The values in each layer, `a` also of the inputs; the first axis is examples.

    Layers are counted from 0 here, so that a[l] enters layer l.
    """

    params: Params
    z: list[np.ndarray]
    a: list[np.ndarray]
    slope: list[np.ndarray]  # sigma'(z)
    slope_at_a: list[np.ndarray]  # sigma'(a), a common mistake
    prime: list[np.ndarray]  # sigma.prime(z), which may be wrong
    delta: list[np.ndarray]
    grad_a: np.ndarray | None  # of the cost, if it has a formula
    delta_rounding: list[np.ndarray]
    a_rounding: list[np.ndarray]
    tolerance: float = 0.0
    order: int = 0  # 1: pooling sends errors to the first of equal maxima, -1: the last

    def carried(self, l: int, delta: Any, layer: Any = None) -> np.ndarray:
        """The errors w^T delta at a[l], of errors in layer l, or of another layer."""
        layer = self.params[l] if layer is None else layer
        if not (self.order and isinstance(layer, MaxPool)):
            return _pull(layer, self.a[l], delta)[1]
        squares = squares_of(layer, self.a[l])
        flat = squares.reshape(*delta.shape, -1)[..., :: self.order]
        largest = np.arange(flat.shape[-1]) == flat.argmax(axis=-1)[..., None]
        carried = (largest * delta[..., None])[..., :: self.order]
        return image_of(carried.reshape(squares.shape), self.a[l])

    def gradients(self, l: int, delta: Any, a: Any = None) -> Leaves:
        """The gradient of layer l for each example, with errors delta and inputs a."""
        a = self.a[l] if a is None else a
        return jax.tree.leaves(_pull(self.params[l], a, delta)[0])

    def all_gradients(self, deltas: list[np.ndarray] | None = None) -> Leaves:
        """The gradients of w^1, b^1, w^2, ... of each example, for these errors."""
        deltas = self.delta if deltas is None else deltas
        return [g for l, delta in enumerate(deltas) for g in self.gradients(l, delta)]

    def backward(self, delta: np.ndarray, slopes: list[np.ndarray]) -> list[np.ndarray]:
        """All errors, from those of the last layer and sigma' of each layer."""
        deltas = [delta]
        for l in reversed(range(len(self.params) - 1)):
            deltas.insert(0, self.carried(l + 1, deltas[0]) * slopes[l])
        return deltas

    def rounding(self, l: int) -> Leaves:
        """How far the gradient of layer l may be from exact for each example."""
        size, delta = np.abs(self.a[l]), np.abs(self.delta[l])
        of_delta = self.gradients(l, self.delta_rounding[l], size)
        of_a = self.gradients(l, delta, self.a_rounding[l])
        return [
            e + np.abs(g) * (g.ndim > 2) for e, g in zip(of_delta, of_a, strict=True)
        ]

    def match(self, actual: Any, expected: Any, rounding: Any = 0.0) -> bool:
        """Whether two arrays are equal within the tolerance or this rounding."""
        if np.shape(actual) != np.shape(expected):
            return False
        limit = norm_of(np.asarray(rounding))
        is_rounding = norm_of(actual - expected) <= limit < np.inf
        return is_rounding or relative_error(actual, expected) <= self.tolerance

    def factor(
        self, actual: Leaves, value: Leaves, start: Leaves | None = None
    ) -> float:
        """The c with which actual = start + c value in all arrays, or 0 for none."""
        start = start or [np.zeros(1)] * len(value)
        three = list(zip(actual, value, start, strict=True))
        if any(g.shape != v.shape for g, v, _ in three):
            return 0.0
        size = sum(float(np.vdot(v, v)) for _, v, _ in three)
        if not 0 < size < np.inf:
            return 0.0
        c = sum(float(np.vdot(v, g - s)) for g, v, s in three) / size
        return c if all(self.match(g, s + c * v) for g, v, s in three) else 0.0

    def as_pooled(self, gradient: Leaves) -> "Internals":
        """With the convention at equal maxima of pooling that suits this gradient.

        JAX's own, 0, is equal parts to all.
        """
        if not any(isinstance(layer, MaxPool) for layer in self.params):
            return self
        found = []
        for order in (1, 0, -1):  # the first, most often, where none suits
            other = self._replace(order=order)
            other = other._replace(delta=other.backward(self.delta[-1], self.slope))
            means = [leaf.mean(axis=0) for leaf in other.all_gradients()]
            found.append((sum(map(self.match, gradient, means)), other))
        if all(map(np.array_equal, found[0][1].delta, found[1][1].delta)):
            return self  # there are none
        return max(found, key=lambda each: each[0])[1]


def squares_of(pool: MaxPool, a: np.ndarray) -> np.ndarray:
    """The squares that a pooling layer sees in images, as the last two axes."""
    (maps, rows, columns), size = pool.shape_out, pool.size
    return a.reshape(len(a), maps, rows, size, columns, size).swapaxes(3, 4)


def image_of(squares: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The images of these squares, in the shape of others."""
    return squares.swapaxes(3, 4).reshape(like.shape)


def internals(problem: Problem) -> Internals:
    """The correct values inside a network, independent of `errors` and `backprop`."""
    params, x, y, cost = problem
    found = jax.tree.map(np.asarray, _values(*jax.device_put((params, x, y)), cost))
    lengths = [len(x), *(n for leaf in jax.tree.leaves(params) for n in leaf.shape)]
    tolerance = 16 * tolerance_for(float, max(lengths))
    return Internals(params, *found)._replace(tolerance=tolerance)


@partial(jax.jit, static_argnames="cost")  # one by one its parts compile for seconds
def _values(params: Params, x: Array, y: Array, cost: Cost) -> tuple[Any, ...]:
    sigmas = [layer.activation for layer in params]
    zs, activations = jax.vmap(partial(forward, params))(x)
    slopes, at_a = (
        [_slope(s, v) for s, v in zip(sigmas, values, strict=True)]
        for values in (zs, activations[1:])
    )
    primes = [
        slope if s.prime is not_elementwise else s.prime(z)
        for s, z, slope in zip(sigmas, zs, slopes, strict=True)
    ]
    deltas = jax.vmap(partial(demon, params, cost=cost))(x, y)
    grad_a = None
    if cost.formula is not None:
        grad_a = jax.vmap(jax.grad(cost.formula))(activations[-1], y)

    # First-order bounds of the rounding errors, layer by layer: those of a sum are
    # proportional to the sum of its absolute values, and sigma' is often taken as
    # a (1 - a), of which nothing is left where neurons saturate at 1.
    sizes = [jax.tree.map(jnp.abs, bare(layer)) for layer in params]
    z_errors, a_errors = [], [jnp.zeros_like(activations[0])]
    for l, size in enumerate(sizes):
        weigh, a = jax.vmap(size.weigh), jnp.abs(activations[l])
        moved = weigh(a + a_errors[-1] / _EPS)
        z_errors.append(_EPS * moved)
        of_a = _EPS * jnp.abs(activations[l + 1])
        a_errors.append(jnp.abs(slopes[l]) * z_errors[-1] + of_a)
    error_of = jax.vmap(jax.grad(cost.value))
    z, shift, a = zs[-1], z_errors[-1], activations[-1]
    by_y = jax.jvp(lambda y: error_of(z, y), (y,), (jnp.ones_like(y),))[1]
    sensitive = [jnp.abs(error_of(z + s * shift, y) - deltas[-1]) for s in (-1, 1)]
    size = jnp.abs(by_y) * (jnp.abs(a) + jnp.abs(y)) + jnp.abs(deltas[-1])
    bounds = [sum(sensitive) + _EPS * (size + jnp.abs(a - y))]
    for l in reversed(range(len(params) - 1)):
        carry = partial(_carry, a=activations[l + 1])
        exact = carry(bare(params[l + 1]), delta=deltas[l + 1])
        slope, z, shift = slopes[l], zs[l], z_errors[l]
        moved = [jnp.abs(_slope(sigmas[l], z + s * shift) - slope) for s in (-1, 1)]
        of_slope = sum(moved) + _EPS
        above = carry(sizes[l + 1], delta=bounds[0] + _EPS * jnp.abs(deltas[l + 1]))
        bound = above * (jnp.abs(slope) + of_slope) + jnp.abs(exact) * of_slope
        bounds.insert(0, bound)
    return zs, activations, slopes, at_a, primes, deltas, grad_a, bounds, a_errors


def _slope(sigma: Activation, z: Array) -> Array:
    """The derivative of sigma.fn; of softmax, the diagonal of the matrix."""
    if sigma.prime is not_elementwise:
        return jax.vmap(lambda z: jnp.diagonal(jax.jacobian(sigma.fn)(z)))(z)
    return jax.jvp(sigma.fn, (z,), (jnp.ones_like(z),))[1]


def bare(layer: Any) -> Any:
    """The layer without its activation, so that one program serves all of a shape."""
    return replace(layer, activation=linear)


def _carry(layer: Any, a: Array, delta: Array) -> Array:
    return jax.vmap(lambda a, delta: jax.vjp(layer.weigh, a)[1](delta)[0])(a, delta)


def weigh(layer: Any, a: np.ndarray) -> np.ndarray:
    """The weighted inputs of a layer, for each example."""
    if isinstance(layer, Layer):  # NumPy compiles nothing
        return a.reshape(len(a), -1) @ layer.w.T + layer.b
    return np.asarray(_weighed(bare(layer), a))


def _pull(layer: Any, a: np.ndarray, delta: np.ndarray) -> tuple[Any, np.ndarray]:
    """Each example's gradient of a layer, and the errors at its inputs."""
    if isinstance(layer, Layer):
        w = delta[:, :, None] * a.reshape(len(a), 1, -1)
        return replace(layer, w=w, b=delta), (delta @ layer.w).reshape(a.shape)
    return jax.tree.map(np.asarray, _pulled(bare(layer), a, delta))


@jax.jit
def _weighed(layer: Any, a: Array) -> Array:
    return jax.vmap(layer.weigh)(a)


@jax.jit
def _pulled(layer: Any, a: Array, delta: Array) -> tuple[Any, Array]:
    def one(a: Array, delta: Array) -> tuple[Any, Array]:
        return jax.vjp(lambda layer, a: layer.weigh(a), layer, a)[1](delta)

    return jax.vmap(one)(a, delta)


@partial(jax.jit, static_argnames="function")
def _by_example(function: Callable[..., Array], *values: Array) -> Array:
    return jax.vmap(function)(*values)


def by_example(function: Callable[..., Array], *values: np.ndarray) -> np.ndarray:
    """The values of a function of each example."""
    return np.asarray(_by_example(function, *values))


def compare_at(
    candidate: Candidate, problem: Problem, dtype: str = "float64"
) -> Comparison:
    """A gradient compared with `autodiff`'s, no more closely than both are exact."""
    coarsest = max(dtype, candidate.precision, key=lambda name: np.finfo(name).eps)
    longest = max(n for leaf in jax.tree.leaves(problem[:3]) for n in leaf.shape)
    tolerance = tolerance_for(coarsest, longest)
    with jax.enable_x64(dtype == "float64"):
        arrays = jax.tree.map(lambda leaf: np.array(leaf, dtype), problem[:3])
        given: Any = *jax.device_put(arrays), problem.cost
        both = candidate(*given), AUTOMATIC(*given)
    found = compare_trees(*both, tolerance)
    if found.agrees:
        return found
    with jax.enable_x64(True):
        inside = internals(problem.in_float64())
        inside = inside.as_pooled(jax.tree.leaves(both[0]))
    if inside.order:
        means = [leaf.mean(axis=0) for leaf in inside.all_gradients()]
        both = both[0], jax.tree.unflatten(jax.tree.structure(both[1]), means)
    scale = float(np.finfo(coarsest).eps / np.finfo(float).eps)
    each = [r for l in range(len(problem.params)) for r in inside.rounding(l)]
    norms = [scale * norm_of(leaf.mean(axis=0)) for leaf in each]
    floor = [norm if np.isfinite(norm) else 0.0 for norm in norms]
    return compare_trees(*both, tolerance, floor)
