"""Faster parts of an epoch on a CPU, with equal results.

Importing this file replaces parts of `sgd.epoch` and `sgd.train`, and the products of a
`Convolution`. Without it, and the one import in `jaxnet/__init__.py`, everything works,
only slower.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import cycle
from typing import Any, Self, no_type_check

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxnet import layers, sgd
from jaxnet.activations import Activation, linear, relu, sigmoid, tanh
from jaxnet.gradients import Gradient, backprop
from jaxnet.layers import Images, Layer, Params, by_square, from_squares
from jaxnet.sgd import Optimizer, State, gradient_descent

_VECTOR = 16  # float32 numbers that a processor multiplies at once
_FEW = 16  # examples in a mini-batch
_MANY = 2048  # inputs of a mini-batch, from which on layouts matter
_NEAREST_CACHE = 8192  # float32 numbers in 32 KiB


def shuffle(key: Key[Array, ""], n: int) -> Int[Array, " n"]:
    """The numbers 0 to n - 1 in random order, by two sorts of random bits.

    Each number lies in the low bits of its own sort key, so that one array is sorted
    instead of two; gain 1.12. `jax.random.permutation` takes over where large numbers
    leave too few random bits.
    """
    width = (n - 1).bit_length()
    if width > 18:
        return jax.random.permutation(key, n)
    low = jnp.uint32(2**width - 1)
    numbers = jnp.arange(n, dtype=jnp.uint32)
    bits = jax.random.bits(key, (2, n), jnp.uint32)
    first, then = (jnp.sort((row & ~low) | numbers) & low for row in bits)
    return first[then].astype(int)


def fold(
    load: Callable[[Array, Array], tuple[Array, Array]],
    learn: Callable[[State, Array, Array, Array], State],
    state: State,
    batches: Int[Array, "batches m"],
    gradient: Gradient,
    optimizer: Optimizer,
) -> State:
    """`sgd.fold`, with the next mini-batch carried through the loop.

    XLA would gather an input again wherever a step uses it, and would copy a mini-batch
    that is gathered before the step is done; gain 1.18. The layers of the loop are
    `Turned` where that pays.
    """

    def learn_and_load(
        carry: tuple[State, tuple[Array, Array]], following: tuple[Array, Array]
    ) -> tuple[tuple[State, tuple[Array, Array]], None]:
        state, examples = carry
        number, batch = following
        state = learn(state, number, *examples)
        # A dependency on the new state, for XLA; a diverged one may learn anything.
        leaf = jax.tree.leaves(state.params)[0]
        diverged = jnp.isnan(leaf[(0,) * leaf.ndim])
        batch = jnp.where(diverged, 0, batch)
        return (state, load(number + 1, batch)), None

    numbers = jnp.arange(len(batches))
    following = (numbers, jnp.roll(batches, -1, axis=0))
    turns = _turning_pays(state.params, batches.shape[1], gradient, optimizer)
    first = _turned(state) if turns else state
    carry = (first, load(numbers[0], batches[0]))
    (last, _), _ = jax.lax.scan(learn_and_load, carry, following)
    return _turned_back(last, state) if turns else last


@no_type_check  # as Layer
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Turned:
    """A fully connected layer during an epoch: weights transposed, and whole vectors.

    XLA multiplies by weights of shape (in, out) without copying them, and its loop over
    32 neurons takes a quarter of the time of one over 30. The hidden neurons that are
    added send nothing and learn nothing, even if the others become infinite.
    """

    w: Float[Array, "in out"]
    b: Float[Array, " out"]
    activation: Activation = field(metadata={"static": True})
    shape_in: tuple[int] = field(metadata={"static": True})  # before padding
    shape_out: tuple[int] = field(metadata={"static": True})

    def by_input(self, values: Float[Array, " inputs"]) -> Float[Array, "in 1"]:
        """A value for each input, as a factor of the weights."""
        return jnp.pad(values, (0, len(self.w) - len(values)))[:, None]

    def weigh(self, a: Float[Array, "..."]) -> Float[Array, " out"]:
        """`Layer.weigh`."""
        return a.ravel() @ self.w + self.b

    def carry(
        self, delta: Float[Array, " out"], a: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """`Layer.carry`, and no error for neurons that are added."""
        return self._real((self.w @ delta)[:, None]).reshape(a.shape)

    def gradient(self, delta: Float[Array, "m out"], a: Float[Array, "m ..."]) -> Self:
        """`Layer.gradient`, with (BP4) as a sum of outer products written out.

        XLA fuses it with the update of the weights: one pass over them, and the
        gradient is never stored. More inputs than the nearest cache holds would cost
        time.
        """
        m = len(a)
        a, b = a.reshape(m, -1), jnp.mean(delta, axis=0)
        if a.size > _MANY:
            # XLA keeps a product, and would compute elementwise values for each input.
            delta = jnp.eye(m, dtype=delta.dtype) @ delta
        if a.size > _NEAREST_CACHE:
            w = a.T @ delta
        else:
            w = reduce(jnp.add, map(jnp.outer, a, delta))
        return replace(self, w=self._real(w / m), b=b)

    def _real(self, rows: Float[Array, "in out"]) -> Float[Array, "in out"]:
        """The rows, one for each input, with 0 for inputs that are added."""
        if self.shape_in == (len(rows),):
            return rows
        return jnp.where(jnp.arange(len(rows))[:, None] < self.shape_in[0], rows, 0)


def correlate(
    a: Float[Array, "channels rows columns"], w: Float[Array, "maps channels i j"]
) -> Float[Array, "maps y x"]:
    """`layers.correlate`, computed in the order in which pooling reads the result.

    XLA then has nothing to rearrange, and the loops of pooling and its activation run
    over whole vectors; with `pair`, an epoch takes half of the time.
    """
    if jax.default_backend() != "cpu":
        return _plain_correlate(a, w)
    maps, _, rows, columns = w.shape
    shape = maps, a.shape[1] - rows + 1, a.shape[2] - columns + 1
    product = w.reshape(maps, -1) @ _fields(a, shape)
    return from_squares(product, shape, _side(shape))


def pair(
    delta: Float[Array, "m maps y x"], a: Float[Array, "m channels rows columns"]
) -> Float[Array, "maps channels i j"]:
    """`layers.pair`, from the numbers that `correlate` has already arranged."""
    if jax.default_backend() != "cpu":
        return _plain_pair(delta, a)
    shape: Images = delta.shape[1:]  # type: ignore
    rows, columns = (n - k + 1 for n, k in zip(a.shape[2:], shape[1:], strict=True))
    fields = jax.vmap(partial(_fields, shape=shape))(a)
    delta = jax.vmap(partial(by_square, size=_side(shape)))(delta)
    delta = delta.reshape(*delta.shape[:2], -1)
    if fields.shape[1] < fields.shape[2]:  # a small result for each example
        pairs = jnp.einsum("mck,mfk->mcf", fields, delta).sum(axis=0).T
    else:
        by_map, by_weight = (
            jnp.moveaxis(each, 1, 0).reshape(each.shape[1], -1)
            for each in (delta, fields)
        )
        pairs = by_map @ by_weight.T
    return pairs.reshape(shape[0], a.shape[1], rows, columns)


def _fields(
    a: Float[Array, "channels rows columns"], shape: Images
) -> Float[Array, "weights neurons"]:
    """The number that each weight of a map of this shape meets at each neuron.

    Every second row and column is taken once, so that all copies are of neighbours.
    """
    (_, high, wide), n = shape, _side(shape)
    channels, rows, columns = a.shape
    padded = jnp.pad(a, ((0, 0), (0, -rows % n), (0, -columns % n)))
    parts = padded.reshape(channels, -(-rows // n), n, -(-columns // n), n)
    parts = parts.transpose(2, 4, 0, 1, 3)

    def moved_by(i: int, j: int) -> Float[Array, "channels y x"]:
        y, x = i // n, j // n
        return parts[i % n, j % n, :, y : y + high // n, x : x + wide // n]

    fields = [
        jnp.stack([moved_by(i + p, j + q) for p in range(n) for q in range(n)], axis=1)
        for i in range(rows - high + 1)
        for j in range(columns - wide + 1)
    ]
    rows_of_numbers = [field.reshape(channels, -1) for field in fields]
    return jnp.stack(rows_of_numbers, axis=1).reshape(-1, high * wide)


def _side(shape: Images) -> int:
    """The side of the squares that are pooled, most often."""
    return 1 if shape[1] % 2 or shape[2] % 2 else 2


def _is_layer(node: Any) -> bool:
    return isinstance(node, Layer)


def _turning_pays(
    params: Params, m: int, gradient: Gradient, optimizer: Optimizer
) -> bool:
    """Whether layers may be turned, and are then faster.

    The update must be elementwise, and activations finite at 0. Small networks only
    compile for longer, and large mini-batches are products of matrices in any layout.
    """
    import optax

    by_element = (gradient_descent, optax.sgd, optax.adagrad, optax.rmsprop, optax.adam)
    return (
        jax.default_backend() == "cpu"
        and gradient is backprop
        and (optimizer.func if isinstance(optimizer, partial) else optimizer)
        in by_element
        and all(type(layer) is Layer for layer in params)
        and all(
            layer.activation in (sigmoid, tanh, relu, linear) for layer in params[:-1]
        )
        and 1 < m <= _FEW
        and _MANY < m * params[0].shape_in[0] <= _NEAREST_CACHE
    )


def _turned(state: State) -> State:
    """The state with each layer turned, in the optimizer's memory too."""
    layers = len(state.params)
    numbers = cycle(range(1, layers + 1))

    def turned(node: Any) -> Any:
        if not _is_layer(node):
            return node
        l, (n_out, n_in) = next(numbers), node.w.shape
        above = -n_out % _VECTOR if l < layers else 0
        below = -n_in % _VECTOR if l > 1 else 0
        w = jnp.pad(node.w.T, ((0, below), (0, above)))
        b = jnp.pad(node.b, (0, above))
        return Turned(w, b, node.activation, node.shape_in, node.shape_out)

    return jax.tree.map(turned, state, is_leaf=_is_layer)


def _turned_back(state: State, like: State) -> State:
    """The state that `_turned` was given, `like`, as it is now."""

    def back(before: Any, node: Any) -> Any:
        if not _is_layer(before):
            return node
        n_out, n_in = before.w.shape
        return replace(before, w=node.w[:n_in, :n_out].T, b=node.b[:n_out])

    return jax.tree.map(back, like, state, is_leaf=_is_layer)


sgd.permutation = shuffle
_plain_fold, sgd.fold = sgd.fold, fold
_plain_correlate, layers.correlate = layers.correlate, correlate
_plain_pair, layers.pair = layers.pair, pair
