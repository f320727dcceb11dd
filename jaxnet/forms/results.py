"""What gradient functions return, as layers: pairs, two lists or dictionaries."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.layers import Params


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
        scalar = [np.ndim(_array(part)) == 0 for part in result if _is_array(part)]
        if scalar == [True]:  # the cost, before or after the gradient
            result = result[1] if _is_array(result[0]) else result[0]
            extra = ", with the cost"
    arrays, form = _in_order(result, names, shapes)
    arrays = [_array(array) for array in arrays]
    _check_kinds(arrays, names)
    if isinstance(result, dict) and _shapes(arrays) != shapes:
        turned = [a.T if a.ndim == 2 else a for a in arrays]
        if _shapes(turned) == shapes:
            arrays, form = turned, form + ", weights as (in, out)"
    for i, (array, name, shape) in enumerate(zip(arrays, names, shapes, strict=True)):
        if array.shape == (*shape, 1) or array.shape == (1, *shape):
            arrays[i] = array.reshape(shape)
            extra = (
                ", biases as columns" if array.shape[-1] == 1 else ", biases as rows"
            )
        elif array.shape != shape:
            hint = " Transposed?" if array.shape == shape[::-1] else ""
            if len(array.shape) > len(shape) and array.shape[1:] == shape:
                hint = " Is the sum over the examples missing?"
            raise ShapeError(
                f"Expected {name} of shape {shape}, got {array.shape}.{hint}"
            )
    return jax.tree.unflatten(tree, arrays), form + extra


def _in_order(
    result: Any, names: list[str], shapes: list[tuple[int, ...]]
) -> tuple[list[Any], str]:
    """The arrays in the order w^1, b^1, w^2, ..., and the form."""
    if isinstance(result, dict):
        return _by_name(result, names), "a dictionary"
    pairs = all(isinstance(part, tuple | list) for part in _items(result))
    orders = [(_leaves(result), "pairs (w, b)" if pairs else "layers")]
    if len(parts := [_items(part) for part in _items(result)]) == 2:
        for b, w, form in ((0, 1, "(nabla_b, nabla_w)"), (1, 0, "(nabla_w, nabla_b)")):
            biases, weights = iter(parts[b]), iter(parts[w])
            arrays = [next(biases if n[0] == "b" else weights, None) for n in names]
            left = [*biases, *weights]
            if len(arrays) > 2 and not left and all(a is not None for a in arrays):
                orders.append((arrays, f"two lists {form}"))
    sizes = [math.prod(shape) for shape in shapes]

    def fitting(order: tuple[list[Any], str]) -> int:
        each = zip(order[0], sizes, strict=False)
        return sum(_is_array(a) and np.size(_array(a)) == size for a, size in each)

    arrays, form = max(orders, key=fitting)
    if len(arrays) != len(names):
        raise ShapeError(
            f"Expected a gradient of {len(names)} arrays, {', '.join(names)}, got "
            f"{len(arrays)}."
        )
    return arrays, form


def _leaves(result: Any) -> list[Any]:
    return jax.tree.leaves(result, is_leaf=lambda leaf: leaf is None)


def _by_name(result: dict[Any, Any], names: list[str]) -> list[Any]:
    """The entries W1, dW1, nabla_w1, fc1.weight, ... in the order of their numbers."""
    found: dict[str, list[tuple[int, Any]]] = {"w": [], "b": []}
    for key, value in result.items():
        numbers = re.findall(r"\d+", str(key)) or ["0"]
        words = re.sub(r"^(d|grad|nabla|delta)_?(?=[wWbB])|\d", "", str(key)).lower()
        kind = "w" if words.startswith("w") or "weight" in words else "b"
        if words[:1] in ("w", "b") or re.search("weight|bias", words):
            found[kind].append((int(numbers[-1]), value))
    order = {
        kind: [v for _, v in sorted(e, key=lambda e: e[0])] for kind, e in found.items()
    }
    wanted = {
        kind: [n for n in names if n.startswith("b^") == (kind == "b")] for kind in "wb"
    }
    for kind, expected in wanted.items():
        if len(order[kind]) != len(expected):
            raise ShapeError(
                f"Expected a dictionary of {', '.join(names)}, with names such as W1 "
                f"and b1, got {', '.join(map(str, result)) or 'an empty one'}."
            )
    arrays = {n: a for k in "wb" for n, a in zip(wanted[k], order[k], strict=True)}
    return [arrays[name] for name in names]


def _check_kinds(arrays: Sequence[Any], names: list[str]) -> None:
    for array, name in zip(arrays, names, strict=True):
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


def _array(value: Any) -> Any:
    """NumPy's array of what is not one of JAX's, a PyTorch tensor for instance."""
    if value is None or isinstance(value, jax.Array):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise ShapeError(
            "Expected arrays, got nested lists of several lengths."
        ) from None


def _is_array(value: Any) -> bool:
    return np.isscalar(value) or hasattr(value, "shape")


def _items(value: Any) -> list[Any]:
    """The items of a list of arrays, or of an array of objects as NumPy makes them."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    lists = isinstance(value, list | tuple) or kind == "O"
    return list(value) if lists else []


def _shapes(arrays: Sequence[Any]) -> list[tuple[int, ...]]:
    return [a.shape for a in arrays]
