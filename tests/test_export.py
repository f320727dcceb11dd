"""A network in a file is the same function without jaxnet."""

import importlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.cli import main
from jaxnet.export import function_of, load_function, save_function, save_onnx
from jaxnet.storage import StorageError
from tests.helpers import problem

# Of the hidden and the output layer.
CHOICES = {
    "sigmoid": (jaxnet.sigmoid, jaxnet.sigmoid),
    "tanh": (jaxnet.tanh, jaxnet.sigmoid),
    "softmax": (jaxnet.relu, jaxnet.softmax),
    "linear": (jaxnet.linear, jaxnet.linear),
}
each_choice = pytest.mark.parametrize("choice", CHOICES)


def network(choice):
    hidden, output = CHOICES[choice]
    params, x, _ = problem([5, 4, 3], 6, hidden=hidden, output=output)
    return params, x


def outputs(params, x):
    """One example after another, by `predict`."""
    return np.stack([jaxnet.predict(params, a) for a in x])


@each_choice
def test_a_function_is_predict_for_each_example(choice):
    params, x = network(choice)
    function = function_of(params)
    expected = outputs(params, x)
    np.testing.assert_allclose(function(x), expected, rtol=1e-6, atol=1e-7)


@each_choice
def test_an_exported_function_takes_any_number_of_examples(choice, tmp_path):
    params, x = network(choice)
    path = tmp_path / "new" / "net.jax"
    save_function(path, params)
    function = load_function(path)
    for m in (1, 6):
        expected = outputs(params, x[:m])
        np.testing.assert_allclose(function(x[:m]), expected, rtol=1e-5, atol=1e-7)
    assert [p.name for p in path.parent.iterdir()] == ["net.jax"]


@each_choice
def test_onnx_gives_the_same_outputs(choice, tmp_path):
    pytest.importorskip("onnx")
    reference: Any = importlib.import_module("onnx.reference")
    params, x = network(choice)
    save_onnx(tmp_path / "net.onnx", params)
    machine = reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    for m in (1, 6):
        [found] = machine.run(None, {"input": np.asarray(x[:m], np.float32)})
        expected = outputs(params, x[:m])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_activation_of_one_s_own_is_refused_by_onnx(tmp_path):
    pytest.importorskip("onnx")
    sine = jaxnet.Activation(jnp.sin, jnp.cos)
    params, _, _ = problem([5, 4, 3], hidden=sine)
    with pytest.raises(ValueError, match="which ONNX has too"):
        save_onnx(tmp_path / "net.onnx", params)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "package, save", [("onnx", save_onnx), ("flatbuffers", save_function)]
)
def test_a_missing_package_is_named(monkeypatch, tmp_path, package, save):
    monkeypatch.setitem(sys.modules, package, None)
    params, _, _ = problem([5, 3])
    expected = rf'needs {package}: .* install "jaxnet\[export\]"'
    with pytest.raises(ModuleNotFoundError, match=expected):
        save(tmp_path / "net", params)


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01.", b"not a function"])
def test_another_file_is_no_function(tmp_path, content):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="expected a f"):
        load_function(path)


def test_the_command_writes_what_the_ending_says(tmp_path, capsys):
    params = jaxnet.init(jax.random.key(0), [784, 3, 10])
    network = tmp_path / "net.json"
    jaxnet.save_book_network(network, params)
    x = jax.random.uniform(jax.random.key(1), (2, 784))
    assert main(["export", str(network), str(tmp_path / "a.jax")]) == 0
    expected = outputs(params, x)
    found = load_function(tmp_path / "a.jax")(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert main(["export", str(network), str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "b.json").read_bytes() == network.read_bytes()
    assert main(["export", str(network), str(tmp_path / "b.onnx")]) == 0
    save_onnx(tmp_path / "expected.onnx", params)
    onnx = (tmp_path / "expected.onnx").read_bytes()
    assert (tmp_path / "b.onnx").read_bytes() == onnx
    assert main(["export", str(network), str(tmp_path / "c.txt")]) == 2
    assert "ends in .jax, .onnx or .json, got '.txt'" in capsys.readouterr().err
