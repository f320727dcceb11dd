"""What gradient functions return, as layers: pairs, two lists or dictionaries."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.layers import Params

_KEYS = {  # of dictionaries: fc1.weight, W1, dW1, nabla_w1, ...
    "w": re.compile("weight|^((d|grad|nabla|delta)_?)?w", re.IGNORECASE),
    "b": re.compile("bias|^((d|grad|nabla|delta)_?)?b", re.IGNORECASE),
}


class ShapeError(ValueError):
    """A gradient whose arrays are not like the network's, or the reference's."""


def name_of(path: tuple[Any, ...]) -> str:
    """w^1, b^1, w^2, ... for an array of a network, else JAX's name of the path."""
    match path:
        case (jax.tree_util.SequenceKey(idx=l), jax.tree_util.GetAttrKey(name=name)):
            return f"{name}^{l + 1}"
    return jax.tree_util.keystr(path) or "the gradient"


def as_layers(result: Any, params: Params) -> Params:
    """A gradient in any form as a list of layers like `params`.

    Raises ShapeError if it does not have the arrays of the network, by their names.
    """
    return read(result, params)[0]


def read(result: Any, params: Params) -> tuple[Params, str]:
    """A gradient as layers, and its form in words. Raises as `as_layers` does."""
    named, tree = jax.tree_util.tree_flatten_with_path(params)
    names = [name_of(path) for path, _ in named]
    shapes = [jnp.shape(leaf) for _, leaf in named]
    extra = ""
    if isinstance(result, tuple) and len(result) == 2:
        dims = [np.ndim(_array(part)) if _is_array(part) else None for part in result]
        if dims in ([0, None], [None, 0]):  # the cost, before or after the gradient
            result, extra = result[dims.index(None)], ", with the cost"
    if isinstance(result, dict):
        arrays, form = _by_name(result, names), "a dictionary"
    else:
        arrays, form = _in_order(result, names, shapes)
    for name, array in zip(names, arrays, strict=True):
        if array is None:
            raise ShapeError(f"Expected an array {name}, got {name} = None.")
        if not jnp.issubdtype(array.dtype, jnp.floating):
            hint = ""
            if jnp.issubdtype(array.dtype, jnp.integer):
                hint = " Does a cast or // drop what follows the decimal point?"
            raise ShapeError(
                f"Expected {name} of real floating-point numbers, got {array.dtype}."
                f"{hint}"
            )
    if isinstance(result, dict) and [a.shape for a in arrays] != shapes:
        turned = [a.T if a.ndim == 2 else a for a in arrays]
        if [a.shape for a in turned] == shapes:
            arrays, form = turned, form + ", weights as (in, out)"
    for i, (array, name, shape) in enumerate(zip(arrays, names, shapes, strict=True)):
        if array.shape in ((*shape, 1), (1, *shape)):
            arrays[i] = array.reshape(shape)
            kind = "columns" if array.shape[-1] == 1 else "rows"
            extra = f", biases as {kind}"
        elif array.shape != shape:
            hint = " Transposed?" if array.shape == shape[::-1] else ""
            if array.shape[1:] == shape:
                hint = " Is the sum over the examples missing?"
            raise ShapeError(
                f"Expected {name} of shape {shape}, got {array.shape}.{hint}"
            )
    return jax.tree.unflatten(tree, arrays), form + extra


def _in_order(
    result: Any, names: list[str], shapes: list[tuple[int, ...]]
) -> tuple[list[Any], str]:
    """The arrays in the order of the names, and the form."""
    arrays = _flat(result)
    if len(arrays) != len(names):
        raise ShapeError(
            f"Expected a gradient of {len(names)} arrays, {', '.join(names)}, got "
            f"{len(arrays)}."
        )
    pairs = all(isinstance(part, tuple | list) for part in result)
    places = list(range(len(names)))
    orders = [("pairs (w, b)" if pairs else "layers", places)]
    if len(result) == 2 and len(names) > 2:  # lists of the biases and of the weights
        is_bias = [name[0] == "b" for name in names]
        for first, form in (
            (True, "(nabla_b, nabla_w)"),
            (False, "(nabla_w, nabla_b)"),
        ):
            order = sorted(places, key=lambda i, first=first: is_bias[i] != first)
            orders.append((f"two lists {form}", order))

    def fitting(order: tuple[str, list[int]]) -> int:
        pairs = zip(order[1], arrays, strict=True)
        return sum(np.size(array) == math.prod(shapes[i]) for i, array in pairs)

    form, order = max(orders, key=fitting)
    return [arrays[order.index(i)] for i in places], form


def _by_name(result: dict[Any, Any], names: list[str]) -> list[Any]:
    """The entries W1, dW1, nabla_w1, fc1.weight, ... in the order of their numbers."""
    found: dict[str, list[tuple[int, int, Any]]] = {"w": [], "b": []}
    for i, (key, value) in enumerate(result.items()):
        number = int((re.findall(r"\d+", str(key)) or ["0"])[-1])
        kinds = [kind for kind, pattern in _KEYS.items() if pattern.search(str(key))]
        if kinds:
            found[kinds[0]].append((number, i, _array(value)))
    arrays = {}
    for kind, entries in found.items():
        wanted = [name for name in names if name[0] == kind]
        if len(entries) != len(wanted):
            raise ShapeError(
                f"Expected a dictionary of {', '.join(names)}, with names such as W1 "
                f"and b1, got {', '.join(map(str, result)) or 'an empty one'}."
            )
        ordered = sorted(entries, key=lambda entry: entry[:2])
        arrays |= dict(zip(wanted, (array for *_, array in ordered), strict=True))
    return [arrays[name] for name in names]


def _flat(result: Any) -> list[Any]:
    """All arrays in nested lists, layers, or arrays of objects as NumPy makes them."""
    if isinstance(result, list | tuple) or getattr(result, "dtype", "") == "O":
        return [array for part in result for array in _flat(part)]
    leaves = jax.tree.leaves(result, is_leaf=lambda leaf: leaf is None)
    return [_array(leaf) for leaf in leaves]


def _array(value: Any) -> Any:
    """NumPy's array of what is not one of JAX's, a PyTorch tensor for instance."""
    if value is None or isinstance(value, jax.Array):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _is_array(value: Any) -> bool:
    return np.isscalar(value) or hasattr(value, "shape")
