"""Validation of arguments, shared by all public functions.

Shapes, dtypes and functions are known when JAX traces, so checking them costs nothing
under `jit`. Values are checked only outside it.
"""

import math
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxnet.activations import Activation, not_elementwise, sigmoid, softmax
from jaxnet.costs import Cost
from jaxnet.layers import Convolution, Dataset, Layer, Params, dtype_of


def check_activation(activation: object, *, hidden: bool) -> None:
    """Raise TypeError unless it is an Activation.

    Raises ValueError for a hidden activation without an elementwise derivative.
    """
    if not isinstance(activation, Activation):
        raise TypeError(
            f"Expected an Activation such as jaxnet.tanh, got {activation!r}."
        )
    if hidden and activation.prime is not_elementwise:
        raise ValueError(
            f"Expected a hidden activation with an elementwise derivative, got "
            f"{activation}, which is for output layers: init(..., output={activation})."
        )


def check_params(params: Params) -> None:
    """Raise TypeError or ValueError unless params is a network whose layers fit."""
    if not isinstance(params, list | tuple) or not params:
        raise TypeError(
            f"Expected a network, a list of layers as from jaxnet.init, got "
            f"{_kind(params)}."
        )
    below = None
    for l, layer in enumerate(params, start=1):
        if not hasattr(layer, "weigh"):
            raise TypeError(
                f"Expected layer {l} to be a jaxnet.Layer(w, b), got {_kind(layer)}."
            )
        check_activation(layer.activation, hidden=l < len(params))
        for dtype in map(jnp.result_type, jax.tree.leaves(layer)):
            if not jnp.issubdtype(dtype, jnp.floating):
                raise ValueError(
                    f"Expected floating-point parameters in layer {l}, got {dtype}."
                )
        _check_shapes(l, layer, below)
        below = layer.shape_out


def _check_shapes(l: int, layer: Any, below: tuple[int, ...] | None) -> None:
    kinds = {
        Layer: ("(neurons, inputs) and b of shape (neurons,)", 2),
        Convolution: ("(maps, channels, rows, columns) and b of shape (maps,)", 4),
    }
    if type(layer) in kinds:
        w, b = jnp.shape(layer.w), jnp.shape(layer.b)
        words, n = kinds[type(layer)]
        if len(w) != n or b != w[:1] or 0 in w:
            hint = " Several networks? Use jax.vmap." if len(w) == n + 1 else ""
            raise ValueError(
                f"Expected w of shape {words} in layer {l}, got {w} and {b}.{hint}"
            )
    dense = isinstance(layer, Layer)
    got = f"w of shape {layer.w.shape}" if dense else f"one of {layer.shape_in}"
    if below is not None and layer.shape_in not in (below, (math.prod(below),)):
        n = below[0] if len(below) == 1 else below
        raise ValueError(
            f"Expected layer {l} to take the {n} outputs of layer {l - 1}, got {got}."
        )
    if isinstance(layer, Convolution) and layer.shape_in[0] != layer.w.shape[1]:
        raise ValueError(
            f"Expected w for {layer.shape_in[0]} channels in layer {l}, got "
            f"{layer.w.shape}."
        )
    size = getattr(layer, "size", 1)
    if min(layer.shape_out) < 1 or any(n % size for n in layer.shape_in[1:]):
        sides = f"multiples of {size}" if size > 1 else f"at least {layer.w.shape[2:]}"
        raise ValueError(
            f"Expected images of {sides} rows and columns in layer {l}, "
            f"{_kind(layer)}, got {layer.shape_in}."
        )


def check_cost(params: Params, cost: object) -> None:
    """Raise TypeError unless it is a Cost for this network.

    Raises ValueError unless its output is the last activation, and its value a number.
    """
    if not isinstance(cost, Cost):
        raise TypeError(f"Expected a Cost such as jaxnet.quadratic, got {cost!r}.")
    if params[-1].activation != cost.output:
        raise ValueError(
            f"Expected outputs of {cost.output} for the cost {cost}, got a network "
            f"with {params[-1].activation} outputs. Build it with jaxnet.init(key, "
            f"sizes, output=jaxnet.{cost.output})."
        )
    if shape := _shape_of_value(cost, params[-1].shape_out, dtype_of(params)):
        raise ValueError(
            f"Expected {cost}.value to be one number for each example, got an array of "
            f"shape {shape}. Is a sum over the outputs missing?"
        )


@cache
def _shape_of_value(cost: Cost, out: tuple[int, ...], dtype: Any) -> tuple[int, ...]:
    z = jax.ShapeDtypeStruct(out, dtype)
    return jax.eval_shape(cost.value, z, z).shape


def check_examples(
    params: Params, x: Array, y: Array | None = None, *, one: bool = False
) -> None:
    """Raise unless params is a network, and x and y are examples for it, as rows.

    With `one`, they are the inputs and the target of one example.
    """
    check_params(params)
    _check_array("inputs", x)
    rows = () if one else x.shape[:1]
    if not one and 0 in (x.ndim, *rows):
        raise ValueError(f"Expected at least one example, got inputs {x.shape}.")
    shape = params[0].shape_in
    n = math.prod(shape)
    if x.shape not in ((*rows, n), (*rows, *shape)):
        hint = "Each example is a row."
        if one and x.shape[1:] == (n,):
            hint = "Several examples? Use jax.vmap(partial(jaxnet.predict, params))(x)."
        elif x.shape[-1:] == (1,):
            hint = "Are these column vectors, as in the book? Use rows."
        expected = f"({n},) for one example" if one else f"(examples, {n})"
        raise ValueError(f"Expected inputs of shape {expected}, got {x.shape}. {hint}")
    if y is None:
        return
    shape = np.shape(y)
    n = math.prod(params[-1].shape_out)
    if shape != (*rows, n):
        hint = f"Integer labels? Encode them with jax.nn.one_hot(labels, {n})."
        if n == 1 and shape == rows:
            hint = "For one output, reshape them with y[:, None]."
        raise ValueError(
            f"Expected one-hot targets of shape {(*rows, n)}, got {shape}. {hint}"
        )
    _check_array("targets", y)
    output = params[-1].activation
    if _is_concrete(y) and output in (sigmoid, softmax):
        minimum, maximum = (float(end(np.asarray(y))) for end in (np.min, np.max))
        if not (0 <= minimum and maximum <= 1):
            raise ValueError(
                f"Expected targets between 0 and 1, as {output} outputs are, got "
                f"{minimum:g} to {maximum:g}."
            )


def check_data(params: Params, data: Dataset) -> None:
    """Raise unless params is a network and data a Dataset for it, with finite numbers.

    Warns of inputs in a range that looks like a mistake.
    """
    if not isinstance(data, Dataset):
        raise TypeError(
            f"Expected a Dataset(x, y) such as mnist.train, got {_kind(data)}."
        )
    check_examples(params, data.x, data.y)
    if not all(map(_is_concrete, (data.x, data.y))):
        return
    if not all(map(math.isfinite, data.extremes)):
        raise ValueError("Expected finite inputs and targets, got nan or infinity.")
    if words := unusual_range(data):
        warnings.warn(words, stacklevel=4)


def unusual_range(data: Dataset) -> str:
    """What is odd about the range of the inputs, or an empty text."""
    minimum, maximum, *_ = data.extremes
    if data.x.dtype == jnp.uint8 and 0 < maximum < 64:
        return (
            f"Inputs are bytes up to {maximum:g} only, which stand for byte / 256. If "
            f"they are levels from 0 to {maximum:g}, divide them by {maximum:g}: "
            "inputs this small hardly move a neuron."
        )
    if data.x.dtype != jnp.uint8 and minimum >= 0 and maximum >= 15:
        return (
            f"Inputs go up to {maximum:g}. If they are pixels, divide them by "
            f"{256 if 16 < maximum < 256 else maximum:g}"
            f"{', or pass them as bytes (uint8)' * (16 < maximum < 256)}: inputs this "
            "large saturate neurons."
        )
    return ""


def check_integer(
    name: str, value: object, minimum: int, maximum: int | float = math.inf
) -> None:
    """Raise TypeError unless it is an integer, and ValueError if it is out of range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"Expected {name} to be an integer, got {value!r}.")
    if not minimum <= value <= maximum:
        limit = (
            f"{minimum} to {maximum}" if maximum < math.inf else f"at least {minimum}"
        )
        raise ValueError(f"Expected {name} of {limit}, got {value}.")


def check_numbers(
    numbers: Mapping[str, Any], minimum: int | float, below: int | float = math.inf
) -> None:
    """Raise unless each is a number in the range, or a traced scalar."""
    for name, number in numbers.items():
        if not isinstance(number, int | float | np.number | np.ndarray | jax.Array):
            raise TypeError(f"Expected a number {name}, got {_kind(number)}.")
        if jnp.ndim(number) != 0:
            raise ValueError(
                f"Expected one {name}, got an array of shape {jnp.shape(number)}. "
                "To sweep it, use jax.vmap."
            )
        if isinstance(number, Tracer):
            continue
        if not (math.isfinite(number) and minimum <= float(number) < below):
            limit = "" if below == math.inf else f" and below {below:g}"
            at_least = "finite" if minimum == -math.inf else f"of at least {minimum:g}"
            raise ValueError(f"Expected {name} {at_least}{limit}, got {number}.")


def check_callable(name: str, value: object, example: str) -> None:
    """Raise TypeError unless it is a function."""
    if not callable(value):
        raise TypeError(
            f"Expected {name} to be a function such as {example}, got {value!r}."
        )


class MissingPackage(ModuleNotFoundError):
    """An optional package is missing; the message says which extra installs it."""


def require(name: str, extra: str, purpose: str) -> Any:
    """The module of an optional package.

    Raises MissingPackage, a ModuleNotFoundError, saying what to install.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = {"PIL.Image": "Pillow"}.get(name, name.partition(".")[0])
        raise MissingPackage(
            f'{purpose} need {package}: python -m pip install "jaxnet[{extra}]", or '
            f'".[{extra}]" in a checkout.'
        ) from error


def _check_array(name: str, array: Any) -> None:
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(f"Expected an array of {name}, got {_kind(array)}.")
    are_bytes = name == "inputs" and array.dtype == jnp.uint8
    if not (are_bytes or jnp.issubdtype(array.dtype, jnp.floating)):
        raise ValueError(
            f"Expected floating-point {name}, got {array.dtype}. Pixels are "
            "byte / 256 or bytes (uint8), and targets one-hot floats."
        )


def _is_concrete(array: Array) -> bool:
    """Whether its values can be read here: neither traced nor on another machine."""
    return not isinstance(array, Tracer) and getattr(
        array, "is_fully_addressable", True
    )


def _kind(value: object) -> str:
    if isinstance(value, str | int | float | bool):
        return repr(value)
    return f"a {type(value).__name__}"
