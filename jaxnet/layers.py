"""Layers, and the data they learn from: chapters 1.6, 2.1 and 6.

A kind of layer is a pytree type with a static `activation` and three methods: `weigh`,
the forward rule of one example, `carry`, which takes its error back to the activations
that entered, and `gradient`, the layer's gradient averaged over a mini-batch. Its
`shape_in` and `shape_out` are the shapes of what enters and leaves it. The rest of
jaxnet treats all kinds alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Bool, Float, Integer, UInt8

from jaxnet.activations import Activation, linear, sigmoid
from jaxnet.static import brief

Scalar = int | float | Float[Array, ""]
Params = list[Any]  # of layers of any kind: a network, or a gradient of its cost
Images = tuple[int, int, int]  # their channels, rows and columns
Maps = Float[Array, "maps rows columns"]
Example = Float[Array, "..."] | UInt8[Array, "..."]  # the inputs of one


@no_type_check  # JAX also builds layers whose leaves are no arrays
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Layer:
    """A fully connected layer, or a gradient with respect to its weights and biases.

    It is also a pair: `w, b = layer`, and `layer[0]` is w.
    """

    w: Float[Array, "out in"]
    b: Float[Array, " out"]
    activation: Activation = field(default=sigmoid, metadata={"static": True})

    __repr__ = brief

    def __iter__(self) -> Iterator[Array]:
        """The weights, then the biases."""
        return iter((self.w, self.b))

    def __getitem__(self, i: int) -> Array:
        """The weights for 0, the biases for 1."""
        return (self.w, self.b)[i]

    @property
    def shape_in(self) -> tuple[int]:
        """The number of inputs."""
        return (self.w.shape[1],)

    @property
    def shape_out(self) -> tuple[int]:
        """The number of neurons."""
        return (self.w.shape[0],)

    def by_input(self, values: Float[Array, " in"]) -> Float[Array, "1 in"]:
        """A value for each input, as a factor of the weights."""
        return values[None, :]

    def weigh(self, a: Float[Array, "..."]) -> Float[Array, " out"]:
        """The weighted input z = w a + b  (2.3), of inputs of any shape in a row."""
        return self.w @ a.ravel() + self.b

    def carry(
        self, delta: Float[Array, " out"], a: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The error w^T delta at the activations a that entered, as in (BP2)."""
        return (self.w.T @ delta).reshape(a.shape)

    def gradient(self, delta: Float[Array, "m out"], a: Float[Array, "m ..."]) -> Self:
        """The gradient, averaged over a mini-batch of m examples."""
        m = len(a)
        return replace(
            self,
            w=delta.T @ a.reshape(m, -1) / m,  # (BP4)
            b=jnp.mean(delta, axis=0),  # (BP3)
        )


@no_type_check
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Convolution:
    """Feature maps, of neurons that share the weights of a local receptive field.

    Images enter as `shape_in`, or as the row of their numbers. The book asks for the
    equations of backpropagation here, as a problem; with f for a feature map, c for a
    channel, i and j for a place in the field and y and x for one in the map, they are

        z^l_fyx = sum_cij w^l_fcij a^(l-1)_c,y+i,x+j + b^l_f                  (web 125)
        delta^l_cyx = sum_fij w^(l+1)_fcij delta^(l+1)_f,y-i,x-j sigma'(z^l_cyx)  (BP2)
        dC/db^l_f = sum_yx delta^l_fyx                                            (BP3)
        dC/dw^l_fcij = sum_yx delta^l_fyx a^(l-1)_c,y+i,x+j                       (BP4)

    where delta^(l+1) is 0 outside its map. Neuron (f, y, x) uses weight w_fcij once, on
    a_c,y+i,x+j: summed over all its uses, this is (BP4), and a_cyx is used with w_fcij
    by neuron (f, y-i, x-j), which is (BP2).
    """

    w: Float[Array, "maps channels rows columns"]
    b: Float[Array, " maps"]
    shape_in: Images = field(metadata={"static": True})
    activation: Activation = field(default=sigmoid, metadata={"static": True})

    __repr__ = brief

    @property
    def shape_out(self) -> Images:
        """The feature maps, and the places of the field in the image."""
        (_, rows, columns), (maps, _, high, wide) = self.shape_in, self.w.shape
        return maps, rows - high + 1, columns - wide + 1

    def weigh(self, a: Float[Array, "..."]) -> Maps:
        """The weighted input z of each neuron  (web 125)."""
        return correlate(a.reshape(self.shape_in), self.w) + self.b[:, None, None]

    def carry(self, delta: Maps, a: Float[Array, "..."]) -> Float[Array, "..."]:
        """The error at the activations a that entered, as in (BP2)."""
        rows, columns = self.w.shape[2:]
        sent = jnp.tensordot(self.w, delta, axes=(0, 0))  # of c, i, j, y and x
        by_row: Any = sum(
            jnp.pad(sent[:, :, j], (*[(0, 0)] * 3, (j, columns - 1 - j)))
            for j in range(columns)
        )
        carried: Any = sum(
            jnp.pad(by_row[:, i], ((0, 0), (i, rows - 1 - i), (0, 0)))
            for i in range(rows)
        )
        return carried.reshape(a.shape)

    def gradient(
        self, delta: Float[Array, "m maps rows columns"], a: Float[Array, "m ..."]
    ) -> Self:
        """The gradient, averaged over a mini-batch of m examples."""
        m = len(a)
        return replace(
            self,
            w=pair(delta, a.reshape(m, *self.shape_in)) / m,  # (BP4)
            b=jnp.sum(delta, axis=(2, 3)).mean(axis=0),  # (BP3)
        )


@no_type_check
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MaxPool:
    """The largest activation of each square of `size` x `size`, without weights.

    z^l_cyx = max_ij a^(l-1)_c,size*y+i,size*x+j, so (BP2) routes the error of a square
    to its largest activation, the first in reading order if several are equal:

        delta^l_c,size*y+i,size*x+j = delta^(l+1)_cyx sigma'(z^l)   there, 0 elsewhere.
    """

    shape_in: Images = field(metadata={"static": True})
    size: int = field(default=2, metadata={"static": True})
    activation: Activation = field(default=linear, metadata={"static": True})

    __repr__ = brief

    @property
    def shape_out(self) -> Images:
        """The channels, and the squares that fit."""
        channels, rows, columns = self.shape_in
        return channels, rows // self.size, columns // self.size

    def weigh(self, a: Float[Array, "..."]) -> Maps:
        """The largest activation of each square."""
        squares = by_square(a.reshape(self.shape_in), self.size)
        return jnp.max(squares, axis=1).reshape(self.shape_out)

    def carry(self, delta: Maps, a: Float[Array, "..."]) -> Float[Array, "..."]:
        """The error of each square, at its first largest activation  (BP2)."""
        squares = by_square(a.reshape(self.shape_in), self.size)
        first = jnp.argmax(squares, axis=1, keepdims=True)
        here = jnp.arange(self.size**2)[None, :, None] == first
        errors = jnp.where(here, delta.reshape(first.shape), 0)
        return from_squares(errors, self.shape_in, self.size).reshape(a.shape)

    def gradient(
        self, delta: Float[Array, "m channels rows columns"], a: Float[Array, "m ..."]
    ) -> Self:
        """Itself, since there is nothing to learn."""
        return self


def by_square(a: Maps, size: int) -> Float[Array, "maps places squares"]:
    """The numbers of each square of size x size, in reading order."""
    maps, rows, columns = a.shape
    a = a.reshape(maps, rows // size, size, columns // size, size)
    return a.transpose(0, 2, 4, 1, 3).reshape(maps, size**2, -1)


def from_squares(squares: Float[Array, "..."], shape: Images, size: int) -> Maps:
    """The maps of this shape that `by_square` was given."""
    maps, rows, columns = shape
    a = squares.reshape(maps, size, size, rows // size, columns // size)
    return a.transpose(0, 3, 1, 4, 2).reshape(shape)


def correlate(
    a: Float[Array, "channels rows columns"], w: Float[Array, "maps channels i j"]
) -> Float[Array, "maps y x"]:
    """sum_cij w_fcij a_c,y+i,x+j at each y and x, as one product of matrices."""
    fields = _fields(a, *w.shape[2:])
    high, wide = fields.shape[3:]
    product = w.reshape(len(w), -1) @ fields.reshape(-1, high * wide)
    return product.reshape(len(w), high, wide)


def pair(
    delta: Float[Array, "m maps y x"], a: Float[Array, "m channels rows columns"]
) -> Float[Array, "maps channels i j"]:
    """sum_myx delta_mfyx a_m,c,y+i,x+j for each weight."""
    (*_, rows, columns), (*_, high, wide) = a.shape, delta.shape
    fields = jax.vmap(lambda a: _fields(a, rows - high + 1, columns - wide + 1))(a)
    return jnp.einsum("mfyx,mcijyx->fcij", delta, fields)


def _fields(
    a: Float[Array, "channels rows columns"], rows: int, columns: int
) -> Float[Array, "channels i j y x"]:
    """a_c,y+i,x+j for each place i, j in the field."""
    high, wide = a.shape[1] - rows + 1, a.shape[2] - columns + 1
    fields = [
        a[:, i : i + high, j : j + wide] for i in range(rows) for j in range(columns)
    ]
    return jnp.stack(fields, axis=1).reshape(len(a), rows, columns, high, wide)


@no_type_check
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dataset:
    """Examples as rows: inputs, and one-hot targets or others between 0 and 1.

    `len(data)` is the number of examples; `data[:1000]` and `data[mask]` are data sets.
    Inputs may be bytes, in a quarter of the memory: they stand for byte / 256.
    """

    x: Float[Array, "n ..."] | UInt8[Array, "n ..."]
    y: Float[Array, "n out"]

    __repr__ = brief
    __iter__ = None  # or a loop would count examples until an index is out of range

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.x)

    def __getitem__(
        self, rows: slice | list[int] | Integer[ArrayLike, " k"] | Bool[ArrayLike, " n"]
    ) -> "Dataset":
        """The examples in a slice, or that a mask or an array of indices selects."""
        if not isinstance(rows, slice | list) and jnp.ndim(rows) == 0:
            raise TypeError(
                f"Expected a slice, a mask or an array of indices, got {rows!r}. For "
                "one example, use data.x[i] and data.y[i]."
            )
        rows = rows if isinstance(rows, slice) else jnp.asarray(rows)
        return Dataset(self.x[rows], self.y[rows])

    @cached_property
    def extremes(self) -> tuple[float, float, float, float]:
        """The minimum and maximum of the inputs, then of the targets; nan if any is."""
        arrays = np.asarray(self.x), np.asarray(self.y)  # nothing to compile
        return tuple(float(end(a)) for a in arrays for end in (np.min, np.max))  # type: ignore


def as_numbers(x: Example, dtype: DTypeLike) -> Float[Array, "..."]:
    """Inputs for a network: bytes / 256, and numbers as they are."""
    return x.astype(dtype) / 256 if x.dtype == jnp.uint8 else x


def dtype_of(params: Params) -> jnp.dtype:
    """The dtype of a network's parameters."""
    return jnp.result_type(*jax.tree.leaves(params))
