"""What is refused at the boundary, and why.

Shapes, dtypes and choices of function are known when JAX traces, so looking at them
costs nothing under `jit`.
"""

import math

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from jaxnet.activations import Activation
from jaxnet.costs import Cost
from jaxnet.network import Dataset, Params, Scalar


def check_examples(
    params: Params, x: Array, y: Array, hidden: object, *, bytes_too: bool = False
) -> None:
    """Refuse what is not rows of examples that fit the network, with a ValueError.

    A hidden activation that is none, such as a name, is a TypeError.
    """
    one_each = hidden if isinstance(hidden, tuple) else ()
    if not isinstance(hidden, Activation):
        if not isinstance(hidden, tuple) or not all(
            isinstance(f, Activation) for f in one_each
        ):
            raise TypeError(f"Expected an Activation like jaxnet.tanh, got {hidden!r}.")
        if len(one_each) != len(params) - 1:
            raise ValueError(
                f"Expected one activation for each of {len(params) - 1} hidden layers, "
                f"got {len(one_each)}."
            )
    n_in, n_out = params[0].w.shape[1], params[-1].w.shape[0]
    if x.ndim != 2 or x.shape[1] != n_in:
        hint = " The book's column vectors? Transpose." if x.shape[-1:] == (1,) else ""
        raise ValueError(
            f"Expected inputs of shape (examples, {n_in}), one example a row, "
            f"got {x.shape}.{hint}"
        )
    if y.shape != (len(x), n_out):
        raise ValueError(
            f"Expected one-hot targets of shape {(len(x), n_out)}, got {y.shape}. "
            f"Integer labels? Encode them with jax.nn.one_hot(labels, {n_out})."
        )
    if len(x) == 0:
        raise ValueError("Expected at least one example, got none.")
    for name, array in (("inputs", x), ("targets", y)):
        allowed = bytes_too and name == "inputs" and array.dtype == jnp.uint8
        if not allowed and not jnp.issubdtype(array.dtype, jnp.floating):
            raise ValueError(
                f"Expected floating-point {name}, got {array.dtype}. "
                "Pixels are bytes / 256 here, and targets one-hot floats."
            )


def check_cost(cost: object) -> None:
    """Refuse what is not a Cost, such as a name, with a TypeError."""
    if not isinstance(cost, Cost):
        raise TypeError(f"Expected a Cost like jaxnet.quadratic, got {cost!r}.")


def check_training(
    params: Params,
    data: Dataset,
    batch_size: int,
    eta: Scalar,
    choices: tuple,
    numbers: dict[str, Scalar],
) -> None:
    """Refuse what cannot be trained on, with a ValueError or TypeError."""
    cost, gradient, hidden, optimizer = choices
    if not isinstance(data, Dataset):
        raise TypeError(
            f"Expected a Dataset(x, y) like mnist.train, got {type(data).__name__}."
        )
    check_examples(params, data.x, data.y, hidden, bytes_too=True)
    check_cost(cost)
    if not callable(gradient):
        raise TypeError(f"Expected a gradient like jaxnet.backprop, got {gradient!r}.")
    if not callable(optimizer):
        raise TypeError(
            f"Expected a function from eta to an optimizer, like optax.adam itself and "
            f"not optax.adam(eta), got {optimizer!r}."
        )
    if not 1 <= batch_size <= len(data.x):
        raise ValueError(
            f"Expected a mini-batch of 1 to {len(data.x)} examples, which is all the "
            f"training data, got {batch_size}."
        )
    for name, number in {"learning rate eta": eta, **numbers}.items():
        if jnp.ndim(number) != 0:
            raise ValueError(
                f"Expected one {name}, got an array of shape {jnp.shape(number)}. "
                "To sweep it, use jax.vmap."
            )
    if not isinstance(eta, Tracer) and not math.isfinite(eta):
        raise ValueError(f"Expected a finite learning rate eta, got {eta}.")
    for name, number in numbers.items():
        least, most = 0, 1 if name == "dropout" else math.inf
        if not isinstance(number, Tracer) and not least <= number < most:
            raise ValueError(
                f"Expected {name} of at least 0 and below {most}, got {number}."
            )


def check_finite(data: Dataset) -> None:
    """Refuse nan and infinity in data that are not being traced, with a ValueError."""
    if any(isinstance(array, Tracer) for array in data):
        return
    with jax.ensure_compile_time_eval():
        finite = all(bool(jnp.isfinite(array).all()) for array in data)
    if not finite:
        raise ValueError("Expected finite inputs and targets, got nan or infinity.")
