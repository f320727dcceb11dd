"""A network in a file is the same function without jaxnet."""

import importlib
import re
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.cli import main
from jaxnet.runs import (
    StorageError,
    load_function,
    save_function,
    save_onnx,
    save_page,
)
from tests.helpers import compiled, problem


def outputs(params, x):
    """One example after another, by `predict`."""
    return np.stack([compiled(jaxnet.predict)(params, a) for a in np.asarray(x)])


def small_images():
    sizes = [jaxnet.Image(8, 9, 2), jaxnet.convolution(3, 3), jaxnet.max_pool(1), 4]
    key = jax.random.key(0)
    params = jaxnet.init(key, sizes, jaxnet.tanh, jaxnet.softmax, jaxnet.scaled_layer)
    return params, np.random.default_rng(0).uniform(size=(6, 144)).astype(np.float32)


def of_all_kinds():
    hidden = [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear]
    return problem([5, 4, 4, 4, 4, 3], 6, hidden=hidden)[:2]


@pytest.mark.parametrize("network", [of_all_kinds, small_images])
def test_a_network_in_a_file_predicts_any_number_of_examples(network, tmp_path):
    params, x = network()
    x = np.asarray(x, np.float32)
    save_function(tmp_path / "new" / "net.jax", params)
    function = load_function(tmp_path / "new" / "net.jax")
    save_onnx(tmp_path / "new" / "net.onnx", params, ["cat", "dog", "eel"])
    onnx: Any = importlib.import_module("onnx.reference")
    machine = onnx.ReferenceEvaluator(str(tmp_path / "new" / "net.onnx"))
    for m in (1, 6):
        expected = outputs(params, x[:m])
        found = function(jax.device_put(x[:m]))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        [found] = machine.run(None, {"input": x[:m]})
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert machine.proto_.metadata_props[0].value == "cat\ndog\neel"
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["net.jax", "net.onnx"]


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
    params, x, _ = problem([784, 3, 10])
    network = tmp_path / "net.json"
    jaxnet.save_book_network(network, params)
    for name in ("a.jax", "a.json", "a.onnx", "a.html"):
        assert main(["export", str(network), str(tmp_path / name)]) == 0
    found = load_function(tmp_path / "a.jax")(x)
    np.testing.assert_allclose(found, outputs(params, x), rtol=1e-5)
    assert (tmp_path / "a.json").read_bytes() == network.read_bytes()
    for save, name in ((save_onnx, "a.onnx"), (save_page, "a.html")):
        save(tmp_path / "expected", params)
        expected = (tmp_path / "expected").read_bytes()
        assert (tmp_path / name).read_bytes() == expected
    assert main(["export", str(network), str(tmp_path / "c.txt")]) == 2
    assert "ends in .html, .jax, .onnx or .json, got '.txt'" in capsys.readouterr().err


def test_a_page_is_small_and_may_load_nothing(tmp_path):
    for hidden, largest in ((30, 200_000), (100, 500_000)):
        save_page(tmp_path / "page.html", problem([784, hidden, 10])[0])
        page = (tmp_path / "page.html").read_text()
        assert len(page.encode()) < largest
    assert "default-src 'none'; img-src data:; script-src 'sha256-" in page
    assert not re.search(
        r"https?:|@import|\bfetch\b|XMLHttpRequest|<link[^>]*css", page
    )


def test_other_networks_have_no_page_or_onnx(tmp_path, capsys):
    path, own = tmp_path / "page.html", jaxnet.Activation(jnp.sin, jnp.cos)
    params, sine = problem([784, 10])[0], problem([784, 3, 10], hidden=own)[0]
    kind = jax.tree_util.register_dataclass(type("Own", (jaxnet.Layer,), {}))
    cost = jaxnet.Cost(jaxnet.sigmoid, jaxnet.quadratic.value, jaxnet.quadratic.delta)
    for network, *cost_, message in (
        (problem([4, 10])[0], "inputs of shape"),
        (problem([784, 3])[0], "10 outputs, got 3"),
        (params, jaxnet.log_likelihood, "outputs of softmax for the cost"),
        (params, cost, "a cost of jaxnet.costs, got cost"),
        (sine, "which the page has too"),
        ([kind(params[0].w, params[0].b)], "MaxPool, got Own"),
        ([jaxnet.Layer(params[0].w * jnp.nan, params[0].b)], "finite weights and bia"),
    ):
        with pytest.raises(ValueError, match=message):
            save_page(path, network, *cost_)
    with pytest.raises(ValueError, match="which ONNX has too"):
        save_onnx(path, sine)
    assert not path.exists()
    jaxnet.save_book_network(tmp_path / "small.json", problem([4, 3])[0])
    assert main(["export", str(tmp_path / "small.json"), str(path)]) == 2
    assert "Expected inputs of shape (4,)" in capsys.readouterr().err
