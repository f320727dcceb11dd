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

CHOICES = {
    "quadratic": (jaxnet.quadratic, jaxnet.sigmoid),
    "cross_entropy": (jaxnet.cross_entropy, jaxnet.tanh),
    "log_likelihood": (jaxnet.log_likelihood, jaxnet.relu),
    "linear_quadratic": (jaxnet.linear_quadratic, jaxnet.linear),
}
each_choice = pytest.mark.parametrize("choice", CHOICES)


def outputs(params, x, cost, hidden):
    """One example after another, by `predict`."""
    rows = [jaxnet.predict(params, a, hidden=hidden, output=cost.output) for a in x]
    return np.stack(rows)


@each_choice
def test_a_function_is_predict_for_each_example(choice):
    params, x, _ = problem([5, 4, 3], 6)
    function = function_of(params, *CHOICES[choice])
    expected = outputs(params, x, *CHOICES[choice])
    np.testing.assert_allclose(function(x), expected, rtol=1e-6, atol=1e-7)


@each_choice
def test_an_exported_function_takes_any_number_of_examples(choice, tmp_path):
    params, x, _ = problem([5, 4, 3], 6)
    path = tmp_path / "new" / "net.jax"
    save_function(path, params, *CHOICES[choice])
    function = load_function(path)
    for m in (1, 6):
        expected = outputs(params, x[:m], *CHOICES[choice])
        np.testing.assert_allclose(function(x[:m]), expected, rtol=1e-5, atol=1e-7)
    assert [p.name for p in path.parent.iterdir()] == ["net.jax"]


@each_choice
def test_onnx_gives_the_same_outputs(choice, tmp_path):
    pytest.importorskip("onnx")
    reference: Any = importlib.import_module("onnx.reference")
    params, x, _ = problem([5, 4, 3], 6)
    save_onnx(tmp_path / "net.onnx", params, *CHOICES[choice])
    machine = reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    for m in (1, 6):
        [found] = machine.run(None, {"input": np.asarray(x[:m], np.float32)})
        expected = outputs(params, x[:m], *CHOICES[choice])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_activation_of_one_s_own_is_refused_by_onnx(tmp_path):
    pytest.importorskip("onnx")
    params, _, _ = problem([5, 4, 3])
    sine = jaxnet.Activation(jnp.sin, jnp.cos)
    with pytest.raises(ValueError, match="which ONNX has too"):
        save_onnx(tmp_path / "net.onnx", params, jaxnet.quadratic, sine)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "package, save", [("onnx", save_onnx), ("flatbuffers", save_function)]
)
def test_a_missing_package_is_named(monkeypatch, tmp_path, package, save):
    monkeypatch.setitem(sys.modules, package, None)
    params, _, _ = problem([5, 3])
    expected = rf'needs {package}: .* install "jaxnet\[export\]"'
    with pytest.raises(ModuleNotFoundError, match=expected):
        save(tmp_path / "net", params, jaxnet.quadratic)


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
    expected = outputs(params, x, jaxnet.quadratic, jaxnet.sigmoid)
    found = load_function(tmp_path / "a.jax")(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert main(["export", str(network), str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "b.json").read_bytes() == network.read_bytes()
    assert main(["export", str(network), str(tmp_path / "b.onnx")]) == 0
    save_onnx(tmp_path / "expected.onnx", params, jaxnet.quadratic, jaxnet.sigmoid)
    onnx = (tmp_path / "expected.onnx").read_bytes()
    assert (tmp_path / "b.onnx").read_bytes() == onnx
    assert main(["export", str(network), str(tmp_path / "c.txt")]) == 2
    assert "ends in .jax, .onnx or .json, got '.txt'" in capsys.readouterr().err
