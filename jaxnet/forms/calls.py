"""How gradient functions are called: with what network, and how many examples.

What a function mentions in its code suggests the ways to try; the first that results in
the network's arrays is used.
"""

import contextlib
import copy
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxnet.costs import Cost, quadratic
from jaxnet.forms.results import read
from jaxnet.layers import Params

Result = tuple[Params, str]  # the gradient as layers, and its form in words


def _as_given(params: Params, x: Any, y: Any, cost: Cost) -> tuple[Any, Any, Any]:
    return params, x, y


@dataclass(frozen=True)
class Way:
    """A way to call a gradient function, with what is made of the usual arguments."""

    words: str
    function: Callable[..., Any]
    arguments: Callable[[Params, Any, Any, Cost], tuple[Any, Any, Any]] = _as_given
    by_example: bool = False
    in_jax: bool = False  # whether JAX may be able to trace it

    def call(self, params: Params, x: Any, y: Any, cost: Cost) -> Result:
        """The gradient of a mini-batch as layers, and its form in words."""

        def one(x: Any, y: Any) -> Result:
            given = self.arguments(params, x, y, cost)
            return read(_called(self.function, *given, cost), params)

        if not self.by_example:
            return one(x, y)
        if isinstance(x, Tracer):
            each = jax.vmap(lambda x, y: one(x, y)[0])(x, y)
            return jax.tree.map(partial(jnp.mean, axis=0), each), "in JAX"
        results = [one(*row) for row in zip(x, y, strict=True)]
        layers = [layers for layers, _ in results]
        return jax.tree.map(lambda *g: sum(g) / len(g), *layers), results[0][1]


def ways(function: Callable[..., Any]) -> Iterator[Way]:
    """The ways in which this function may expect to be called, the likeliest first."""
    torch = sys.modules.get("torch")
    kind = function if isinstance(function, type) else type(function)
    if torch and hasattr(torch, "nn") and issubclass(kind, torch.nn.Module):
        yield Way("a PyTorch module", partial(_of_module, torch, function))
        return
    if kind is function:
        method = next((n for n in ("backprop", "loss") if hasattr(kind, n)), "__call__")
        function = getattr(kind, method)
    owner, (names, strings) = _owner(function), _mentioned(function)
    plain = getattr(function, "__func__", function)
    if owner is not None or {"weights", "biases"} <= names:
        words = "a network's backprop, one example as columns"
        yield Way(words, plain, partial(_network, owner), by_example=True)
    if {"W", "w"} & {string.rstrip("0123456789") for string in strings}:
        for y_of, words in _TARGETS.items():
            words = f"parameters in a dictionary, {words}"
            yield Way(words, plain, partial(_dictionary, owner, y_of))
    if torch and torch in getattr(function, "__globals__", {}).values():
        yield Way("PyTorch tensors", function, partial(_tensors, torch))
    yield Way("", function, in_jax=True)
    yield Way("one example", function, by_example=True, in_jax=True)


def gradient_of(
    function: Callable[..., Any], params: Params, x: Any, y: Any, cost: Cost = quadratic
) -> Params:
    """The gradient as layers, of a function in any of these forms, also under `jit`.

    What JAX cannot trace is called back from the compiled program.
    """
    try:
        return Way("", function).call(params, x, y, cost)[0]
    except Exception as error:
        for way in ways(function):
            with contextlib.suppress(Exception):
                return _from_inside(way, params, x, y, cost)
        raise error


def _from_inside(way: Way, params: Params, x: Any, y: Any, cost: Cost) -> Params:
    if way.in_jax:
        with contextlib.suppress(Exception):  # it may need numbers, and not tracers
            return way.call(params, x, y, cost)[0]

    def outside(*arrays: Any) -> Params:
        params, x, y = jax.tree.map(np.array, arrays)
        slopes, _ = way.call(params, x, y, cost)
        return jax.tree.map(lambda g, p: np.asarray(g, p.dtype), slopes, params)

    with np.errstate(all="ignore"):  # any numbers show whether it can be called so
        outside(*jax.tree.map(lambda a: np.full(a.shape, 0.5, a.dtype), (params, x, y)))
    like = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), params)
    return jax.pure_callback(outside, like, params, x, y, vmap_method="sequential")


def takes_cost(function: Callable[..., Any]) -> bool:
    """Whether the function has a parameter `cost`, or takes any keyword."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "cost" or p.kind is p.VAR_KEYWORD for p in parameters)


def _called(
    function: Callable[..., Any], params: Any, x: Any, y: Any, cost: Cost
) -> Any:
    """The result for these arguments, and the cost if the function takes one."""
    if not takes_cost(function):
        return function(params, x, y)
    parameter = inspect.signature(function).parameters.get("cost")
    if parameter is not None and parameter.kind is parameter.POSITIONAL_ONLY:
        return function(params, x, y, cost)
    return function(params, x, y, cost=cost)


def _network(
    owner: Any, params: Params, x: Any, y: Any, cost: Cost
) -> tuple[Any, Any, Any]:
    """An object with weights and biases, and an example as columns, as in the book."""
    network = _instance(owner, params, cost)
    network.sizes, network.num_layers = _sizes(params), len(params) + 1
    network.weights = [np.array(w) for w, _ in params]
    network.biases = [np.array(b)[:, None] for _, b in params]
    return network, x[:, None], y[:, None]


_TARGETS: dict[Callable[[Any], Any] | None, str] = {
    (lambda y: y): "weights as (in, out)",
    (lambda y: np.argmax(y, axis=1)): "weights as (in, out), integer labels",
    None: "examples as columns",
}


def _dictionary(
    owner: Any,
    y_of: Callable[[Any], Any] | None,
    params: Params,
    x: Any,
    y: Any,
    cost: Cost,
) -> tuple[Any, Any, Any]:
    """A dictionary W1, b1, ..., or an object that has it as `params`."""
    named = {}
    for l, (w, b) in enumerate(params, start=1):
        named[f"W{l}"] = np.array(w.T, order="C") if y_of else np.array(w)
        named[f"b{l}"] = np.array(b) if y_of else np.array(b)[:, None]
    x, y = (x, y_of(y)) if y_of else (x.T, y.T)
    if owner is None:
        return named, x, y
    network = _instance(owner, params, cost)
    network.params = named
    return network, x, y


def _tensors(
    torch: Any, params: Params, x: Any, y: Any, cost: Cost
) -> tuple[Any, Any, Any]:
    pairs = [tuple(torch.from_numpy(leaf) for leaf in layer) for layer in params]
    return pairs, torch.from_numpy(x), torch.from_numpy(y)


def _of_module(
    torch: Any, module: Any, params: Params, x: Any, y: Any, cost: Cost
) -> list[Any]:
    """By autograd, of the module's `loss(x, y)` or of the cost of its outputs."""
    network = _instance(module, params, cost).double()
    x, y = (torch.tensor(np.array(array)) for array in (x, y))
    leaves = jax.tree.leaves(params)
    with torch.no_grad():
        for tensor, leaf in zip(network.parameters(), leaves, strict=True):
            tensor.copy_(torch.tensor(np.array(leaf)))
    if hasattr(network, "loss"):
        network.loss(x, y).backward()
    elif cost.name not in _TORCH_COSTS:
        raise TypeError(f"Expected a module with loss(x, y) for the cost {cost}.")
    else:
        (_TORCH_COSTS[cost.name](network(x), y) / len(x)).backward()
    return [tensor.grad for tensor in network.parameters()]


_TORCH_COSTS: dict[str, Callable[[Any, Any], Any]] = {  # summed over the examples
    "quadratic": lambda a, y: ((a - y) ** 2).sum() / 2,
    "linear_quadratic": lambda a, y: ((a - y) ** 2).sum() / 2,
    "cross_entropy": lambda a, y: -(y * a.log() + (1 - y) * (1 - a).log()).sum(),
    "log_likelihood": lambda a, y: -(y * a.log()).sum(),
}


def _owner(function: Callable[..., Any]) -> Any:
    """The object or class of which the function is a method; None if it is none."""
    if isinstance(function, types.MethodType):
        return function.__self__
    outer = getattr(function, "__qualname__", "").rpartition(".")[0]
    found = getattr(function, "__globals__", {}).get(outer)
    return found if isinstance(found, type) else None


def _instance(owner: Any, params: Params, cost: Cost) -> Any:
    """A network like the owner, one of its class, or an object without methods."""
    if owner is None:
        return types.SimpleNamespace()
    if not isinstance(owner, type):
        return copy.deepcopy(owner)
    sizes, options = _sizes(params), {}
    if takes_cost(owner):  # as in network2.py, whose costs are classes
        wanted = cost.name.replace("_", "") + "cost"
        beside = vars(sys.modules.get(owner.__module__, types))
        costs = [value for name, value in beside.items() if name.lower() == wanted]
        options = {"cost": costs[0]} if costs else {}
    for arguments in ((sizes,), tuple(sizes), ()):
        try:
            return owner(*arguments, **options)
        except Exception:
            continue
    return object.__new__(owner)


def _sizes(params: Params) -> list[int]:
    return [params[0].w.shape[1], *(len(b) for _, b in params)]


def _mentioned(function: Any) -> tuple[set[str], set[str]]:
    """The names and the strings in a function's code."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    codes = [getattr(function, "__code__", None)]
    names, strings = set(), set()
    for code in codes:
        if isinstance(code, types.CodeType):
            names |= set(code.co_names)
            strings |= {c for c in code.co_consts if isinstance(c, str)}
            codes += code.co_consts
    return names, strings
