"""Layers, and the data they learn from: chapters 1.6 and 2.1.

A kind of layer is a pytree type with a static `activation` and three methods: `weigh`,
the forward rule of one example, `carry`, which takes its error back to the activations
that entered, and `gradient`, the layer's gradient averaged over a mini-batch. The rest
of jaxnet treats all kinds alike.
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

from jaxnet.activations import Activation, sigmoid
from jaxnet.static import brief

Scalar = int | float | Float[Array, ""]
Params = list[Any]  # of layers of any kind: a network, or a gradient of its cost


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
    def inputs(self) -> int:
        """The number of inputs."""
        return self.w.shape[1]

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
class Dataset:
    """Examples as rows: inputs, and one-hot targets or others between 0 and 1.

    `len(data)` is the number of examples; `data[:1000]` and `data[mask]` are data sets.
    Inputs may be bytes, in a quarter of the memory: they stand for byte / 256.
    """

    x: Float[Array, "n in"] | UInt8[Array, "n in"]
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


def as_numbers(
    x: Float[Array, "..."] | UInt8[Array, "..."], dtype: DTypeLike
) -> Float[Array, "..."]:
    """Inputs for a network: bytes / 256, and numbers as they are."""
    return x.astype(dtype) / 256 if x.dtype == jnp.uint8 else x


def dtype_of(params: Params) -> jnp.dtype:
    """The dtype of a network's parameters."""
    return jnp.result_type(*jax.tree.leaves(params))
