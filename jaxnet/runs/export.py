"""A network as one function of its inputs, in a file for JAX or for ONNX.

The file holds the whole computation, weights and all, for any number of examples. It
needs no jaxnet to run, and nothing in it is Python.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export
from jaxtyping import Array, Float

from jaxnet.activations import linear, relu, sigmoid, softmax, tanh
from jaxnet.checks import require
from jaxnet.experiments.files import StorageError, read_file, replace_file
from jaxnet.layers import Params
from jaxnet.network import predict

_NODES = {
    sigmoid: "Sigmoid",
    tanh: "Tanh",
    relu: "Relu",
    softmax: "Softmax",
    linear: "Identity",
}
_OPSET = 17
_EXTRA = "export", "Exported networks"
_MAX_BYTES = 2**31  # what a flatbuffer can be


def save_function(path: str | Path, params: Params) -> None:
    """Write the network as a function, by `jax.export`, for CPU, GPU and TPU.

    Raises ModuleNotFoundError if flatbuffers is missing.
    """
    require("flatbuffers", *_EXTRA)
    w = params[0].w
    [m] = export.symbolic_shape("m")
    example = jax.ShapeDtypeStruct((m, w.shape[1]), w.dtype)
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


def save_onnx(path: str | Path, params: Params) -> None:
    """Write the network in the ONNX format, from `input` to `output`.

    Raises ModuleNotFoundError if onnx is missing, ValueError for an activation that is
    none of jaxnet's own.
    """
    onnx = require("onnx", *_EXTRA)
    make: Any = onnx.helper
    nodes, weights, name = [], [], "input"
    for l, layer in enumerate(params, start=1):
        sigma = layer.activation
        if sigma not in _NODES:
            raise ValueError(
                "Expected activations of jaxnet.activations, which ONNX has too, got "
                f"{sigma}."
            )
        for kind, array in (("w", layer.w), ("b", layer.b)):
            array = np.asarray(array, np.float32)
            weights.append(onnx.numpy_helper.from_array(array, f"{kind}{l}"))
        z, a = f"z{l}", "output" if l == len(params) else f"a{l}"
        inputs = [name, f"w{l}", f"b{l}"]
        nodes.append(make.make_node("Gemm", inputs, [z], transB=1))
        nodes.append(make.make_node(_NODES[sigma], [z], [a]))
        name = a
    ends = [
        make.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["m", size])
        for end, size in (
            ("input", params[0].w.shape[1]),
            ("output", params[-1].w.shape[0]),
        )
    ]
    graph = make.make_graph(nodes, "jaxnet", ends[:1], ends[1:], weights)
    opset = make.make_opsetid("", _OPSET)
    model = make.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())
