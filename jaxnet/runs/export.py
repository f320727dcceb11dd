"""A network in a file that needs no jaxnet: for JAX, for ONNX, or for a browser.

A function for JAX or ONNX holds the whole computation, weights and all, for any number
of examples; nothing in it is Python. A page reads the digits that one draws on it.
"""

import base64
import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from jax import export
from jaxtyping import Array, Float

from jaxnet.activations import Activation, linear, relu, sigmoid, softmax, tanh
from jaxnet.checks import check_cost, require
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.experiments.files import StorageError, read_file, replace_file
from jaxnet.layers import Convolution, Layer, MaxPool, Params, dtype_of
from jaxnet.network import predict

_NODES = {
    sigmoid: "Sigmoid",
    tanh: "Tanh",
    relu: "Relu",
    softmax: "Softmax",
    linear: "Identity",
}

_KINDS: dict[type[Any], Callable[[Any], tuple[str, dict[str, Any]]]] = {
    Layer: lambda layer: ("Gemm", {"transB": 1}),
    Convolution: lambda layer: ("Conv", {}),
    MaxPool: lambda layer: (
        "MaxPool",
        dict.fromkeys(("kernel_shape", "strides"), [layer.size] * 2),
    ),
}
_OPSET = 17
_COSTS = (quadratic, linear_quadratic, cross_entropy, log_likelihood)
_EXTRA = "export", "Exported networks"
_MAX_BYTES = 2**31  # what a flatbuffer can be


def save_function(path: str | Path, params: Params) -> None:
    """Write the network as a function, by `jax.export`, for CPU, GPU and TPU.

    Raises ModuleNotFoundError if flatbuffers is missing.
    """
    require("flatbuffers", *_EXTRA)
    [m] = export.symbolic_shape("m")
    n = math.prod(params[0].shape_in)
    example = jax.ShapeDtypeStruct((m, n), dtype_of(params))
    function = jax.jit(jax.vmap(partial(predict, params)))
    exported = export.export(function, platforms=("cpu", "cuda", "tpu"))(example)
    replace_file(path, bytes(exported.serialize()))


def load_function(
    path: str | Path,
) -> Callable[[Float[Array, "m in"]], Float[Array, "m out"]]:
    """The function in a file of `save_function`.

    Raises StorageError if the file is another, ModuleNotFoundError without flatbuffers.
    """
    require("flatbuffers", *_EXTRA)
    content = bytearray(read_file(path, _MAX_BYTES))
    try:
        return export.deserialize(content).call
    except Exception as error:  # what the decoder meets in foreign bytes is its own
        raise StorageError(
            f"{path}: expected a function that jax.export has written, got another "
            f"file ({type(error).__name__})."
        ) from error


def save_onnx(
    path: str | Path, params: Params, classes: Sequence[str] | None = None
) -> None:
    """Write the network in the ONNX format, from `input` to `output`.

    Names of the classes are saved in the file's metadata, a line each.
    Raises ModuleNotFoundError if onnx is missing, ValueError for an activation that is
    none of jaxnet's own.
    """
    onnx = require("onnx", *_EXTRA)
    make: Any = onnx.helper
    nodes, weights, name = [], [], "input"
    for l, layer in enumerate(params, start=1):
        sigma = layer.activation
        _check_known(sigma, "ONNX")
        parameters = {
            f"{kind}{l}": np.asarray(getattr(layer, kind), np.float32)
            for kind in ("w", "b")
            if hasattr(layer, kind)
        }
        shape = np.array([-1, *layer.shape_in])
        for initial, array in {**parameters, f"s{l}": shape}.items():
            weights.append(onnx.numpy_helper.from_array(array, initial))
        z, a = f"z{l}", "output" if l == len(params) else f"a{l}"
        nodes.append(make.make_node("Reshape", [name, f"s{l}"], [f"x{l}"]))
        kind, options = _KINDS[type(layer)](layer)
        nodes.append(make.make_node(kind, [f"x{l}", *parameters], [z], **options))
        nodes.append(make.make_node(_NODES[sigma], [z], [a]))
        name = a
    ends = [
        make.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["m", size])
        for end, size in (
            ("input", math.prod(params[0].shape_in)),
            ("output", math.prod(params[-1].shape_out)),
        )
    ]
    graph = make.make_graph(nodes, "jaxnet", ends[:1], ends[1:], weights)
    opset = make.make_opsetid("", _OPSET)
    model = make.make_model(graph, opset_imports=[opset], ir_version=8)
    if classes:
        make.set_model_props(model, {"classes": "\n".join(classes)})
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())


def save_page(path: str | Path, params: Params, cost: Cost = quadratic) -> None:
    """Write a page, one HTML file, on which the network reads drawn digits, and learns.

    It loads nothing from anywhere. Raises ValueError unless it is a network of 784
    inputs and 10 outputs, of finite numbers, and of layers, activations and a cost that
    the page has too.
    """
    x = jax.ShapeDtypeStruct((784,), dtype_of(params))
    outputs = jax.eval_shape(partial(predict, params), x)
    if outputs.shape != (10,):
        raise ValueError(f"Expected a network of 10 outputs, got {len(outputs)}.")
    if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
        raise ValueError("Expected finite weights and biases, got nan or infinity.")
    check_cost(params, cost)
    if cost not in _COSTS:
        raise ValueError(f"Expected a cost of jaxnet.costs, got {cost}.")
    folder, hashes = files("jaxnet.runs") / "page", {"script": [], "style": []}
    layers = [_described(layer) for layer in params]
    network = msgspec.json.encode({"cost": cost.name, "layers": layers}).decode()

    def content(match: re.Match[str]) -> str:
        start, kind, name, end = match.groups()
        if name == "network.json":
            return start + network + end
        text = (folder / name).read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
        return start + text + end

    template = (folder / "page.html").read_text("utf-8")
    page = re.sub(r"(<(script|style)[^>]*>)([\w.]+)(</)", content, template)
    policy = "; ".join(f"{kind}-src {' '.join(h)}" for kind, h in hashes.items())
    replace_file(path, page.replace("POLICY", policy, 1).encode())


def _described(layer: Any) -> dict[str, Any]:
    """A layer as page/network.js reads it: its kind, and its fields by name."""
    kind = type(layer).__name__
    if type(layer) not in _KINDS:
        known = ", ".join(known.__name__ for known in _KINDS)
        raise ValueError(f"Expected layers that the page has too, {known}, got {kind}.")
    found: dict[str, Any] = {"kind": kind}
    for f in fields(layer):
        value = getattr(layer, f.name)
        if isinstance(value, Activation):
            _check_known(value, "the page")
            value = value.name
        elif hasattr(value, "dtype"):
            array = np.asarray(value, "<f4")
            data = base64.b64encode(array.tobytes()).decode()
            value = {"shape": array.shape, "float32": data}
        found[f.name] = value
    return found


def _check_known(sigma: Activation, where: str) -> None:
    if sigma not in _NODES:
        raise ValueError(
            f"Expected activations of jaxnet.activations, which {where} has too, got "
            f"{sigma}."
        )
