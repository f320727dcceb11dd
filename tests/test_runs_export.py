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
from jaxnet.runs import StorageError, load_function, save_function, save_onnx
from tests.helpers import compiled, problem


def outputs(params, x):
    """One example after another, by `predict`."""
    return np.stack([compiled(jaxnet.predict)(params, a) for a in np.asarray(x)])


@pytest.mark.parametrize("output", [jaxnet.sigmoid, jaxnet.softmax], ids=str)
def test_a_network_in_a_file_predicts_any_number_of_examples(output, tmp_path):
    hidden = [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear]
    params, x, _ = problem([5, 4, 4, 4, 4, 3], 6, hidden=hidden, output=output)
    save_function(tmp_path / "new" / "net.jax", params)
    function = load_function(tmp_path / "new" / "net.jax")
    save_onnx(tmp_path / "new" / "net.onnx", params)
    onnx: Any = importlib.import_module("onnx.reference")
    machine = onnx.ReferenceEvaluator(str(tmp_path / "new" / "net.onnx"))
    for m in (1, 6):
        expected = outputs(params, x[:m])
        np.testing.assert_allclose(function(x[:m]), expected, rtol=1e-5, atol=1e-7)
        [found] = machine.run(None, {"input": np.asarray(x[:m], np.float32)})
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["net.jax", "net.onnx"]


def test_an_activation_of_one_s_own_is_refused_by_onnx(tmp_path):
    params, _, _ = problem([5, 4, 3], hidden=jaxnet.Activation(jnp.sin, jnp.cos))
    with pytest.raises(ValueError, match="which ONNX has too"):
        save_onnx(tmp_path / "net.onnx", params)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "save"), [("onnx", save_onnx), ("flatbuffers", save_function)]
)
def test_a_missing_package_is_named(monkeypatch, tmp_path, package, save):
    monkeypatch.setitem(sys.modules, package, None)
    expected = rf'need {package}: .* install "jaxnet\[export\]"'
    with pytest.raises(ModuleNotFoundError, match=expected):
        save(tmp_path / "net", problem([5, 3])[0])


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01.", b"not a function"])
def test_another_file_is_no_function(tmp_path, content):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=f"{path}: expected a (function|readable f)"):
        load_function(path)


def test_the_command_writes_what_the_ending_says(tmp_path, capsys):
    params = jaxnet.init(jax.random.key(0), [784, 3, 10])
    network = tmp_path / "net.json"
    jaxnet.save_book_network(network, params)
    for name in ("a.jax", "b.json", "b.onnx", "b.html"):
        assert main(["export", str(network), str(tmp_path / name)]) == 0
    x = jax.random.uniform(jax.random.key(1), (2, 784))
    found = load_function(tmp_path / "a.jax")(x)
    np.testing.assert_allclose(found, outputs(params, x), rtol=1e-5)
    assert (tmp_path / "b.json").read_bytes() == network.read_bytes()
    save_onnx(tmp_path / "expected.onnx", params)
    onnx = (tmp_path / "expected.onnx").read_bytes()
    assert (tmp_path / "b.onnx").read_bytes() == onnx
    jaxnet.runs.save_page(tmp_path / "expected.html", params)
    page = (tmp_path / "expected.html").read_bytes()
    assert (tmp_path / "b.html").read_bytes() == page
    assert main(["export", str(network), str(tmp_path / "c.txt")]) == 2
    assert "ends in .html, .jax, .onnx or .json, got '.txt'" in capsys.readouterr().err
