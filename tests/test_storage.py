"""The book's own files are read exactly or refused by name, and written whole."""

import copy
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet
from jaxnet import storage
from jaxnet.storage import (
    BookNetwork,
    StorageError,
    load_book_network,
    save_book_network,
)
from tests.helpers import assert_close, problem

SMALL = {
    "sizes": [2, 3, 1],
    "weights": [[[0.5, -1.0], [2, 0.25], [1e-3, 3.0]], [[1.0, -2.0, 0.125]]],
    "biases": [[[0.1], [-0.2], [3]], [[-1.5]]],
    "cost": "CrossEntropyCost",
}


def write(path: Path, document) -> Path:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    path.write_bytes(text)
    return path


def changed(*keys, to) -> dict:
    """SMALL with another value in the place that the keys lead to."""
    document = copy.deepcopy(SMALL)
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return document


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_the_books_file_is_read(tmp_path):
    params, cost = load_book_network(write(tmp_path / "net", SMALL))
    assert cost is jaxnet.cross_entropy
    assert [layer.w.shape for layer in params] == [(3, 2), (1, 3)]
    assert params[0].w.dtype == params[0].b.dtype == jnp.float32
    assert params[0].w.tolist()[1] == [2.0, 0.25]
    assert params[1].b.tolist() == [-1.5]
    quadratic = write(tmp_path / "net", changed("cost", to="QuadraticCost"))
    assert load_book_network(str(quadratic)).cost is jaxnet.quadratic


def test_a_loaded_network_predicts_as_the_book_says(tmp_path, x64):
    params, _ = load_book_network(write(tmp_path / "net", SMALL))
    a = x = np.array([[0.3], [-0.7]])
    for w, b in zip(SMALL["weights"], SMALL["biases"], strict=True):
        a = 1 / (1 + np.exp(-(np.array(w) @ a + np.array(b))))
    assert_close(jaxnet.predict(params, jnp.asarray(x[:, 0])), a[:, 0], 1e-14)


def test_a_loaded_network_trains_on(tmp_path):
    params, x, y = problem([4, 3, 2])
    path = tmp_path / "net"
    save_book_network(path, params, jaxnet.cross_entropy)
    loaded, cost = load_book_network(path)
    data, key = jaxnet.Dataset(x, y), jax.random.key(1)
    options = {"batch_size": 3, "eta": 0.5, "cost": cost}
    one, other = (
        jaxnet.epoch(key, jaxnet.start(net), data, **options).params
        for net in (params, loaded)
    )
    assert_same(one, other)
    before, after = (jaxnet.loss(net, x, y, cost) for net in (loaded, one))
    assert float(after) < float(before)


def test_what_is_saved_has_the_books_layout(tmp_path):
    params, _, _ = problem([4, 3, 2])
    save_book_network(tmp_path / "net", params)
    document = json.loads((tmp_path / "net").read_text())
    assert list(document) == ["sizes", "weights", "biases", "cost"]
    assert document["sizes"] == [4, 3, 2] and document["cost"] == "QuadraticCost"
    assert [np.shape(w) for w in document["weights"]] == [(3, 4), (2, 3)]
    assert [np.shape(b) for b in document["biases"]] == [(3, 1), (2, 1)]


@pytest.mark.parametrize("double", [False, True])
@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    cost=st.sampled_from([jaxnet.quadratic, jaxnet.cross_entropy]),
)
def test_a_round_trip_is_exact(tmp_path_factory, double, sizes, seed, cost):
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    rng, dtype = np.random.default_rng(seed), np.float64 if double else np.float32
    with jax.enable_x64(double):

        def numbers(*shape):
            spread = 10.0 ** rng.uniform(-30, 30, shape)
            return jnp.asarray((rng.normal(size=shape) * spread).astype(dtype))

        params = [
            jaxnet.Layer(numbers(n_out, n_in), numbers(n_out))
            for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        save_book_network(path, params, cost)
        loaded = load_book_network(path)
        assert isinstance(loaded, BookNetwork) and loaded.cost is cost
        assert_same(loaded.params, params)


@pytest.mark.parametrize("name", ["linear_quadratic", "log_likelihood"])
def test_a_cost_the_book_has_no_name_for_is_not_saved(tmp_path, name):
    params, _, _ = problem([2, 2])
    with pytest.raises(ValueError, match="Expected a cost that the book's files"):
        save_book_network(tmp_path / "net", params, getattr(jaxnet, name))
    assert not list(tmp_path.iterdir())


def test_other_neurons_than_sigmoids_are_not_saved(tmp_path):
    """The book's files have no place for an activation."""
    params, _, _ = problem([2, 3, 1], hidden=jaxnet.tanh)
    with pytest.raises(ValueError, match="sigmoid neurons.* got tanh, sigmoid"):
        save_book_network(tmp_path / "net", params)
    assert not list(tmp_path.iterdir())


def test_what_is_no_network_is_not_saved(tmp_path):
    params, _, _ = problem([2, 3, 1])
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    scalar = [jaxnet.Layer(jnp.ones(()), jnp.ones(()))]
    turned = [jaxnet.Layer(params[0].b, params[0].w)]
    for wrong in ([], params[::-1], stacked, scalar, turned):
        with pytest.raises((TypeError, ValueError), match="Expected .* got"):
            save_book_network(tmp_path / "net", wrong)
    for number in (jnp.nan, jnp.inf):
        broken = [params[0], jaxnet.Layer(params[1].w, jnp.full(1, number))]
        with pytest.raises(ValueError, match="Expected finite weights"):
            save_book_network(tmp_path / "net", broken)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_made_and_a_file_replaced(tmp_path):
    path = tmp_path / "some" / "folder" / "net"
    for seed in (1, 2):
        params, _, _ = problem([2, 3, 1], seed=seed)
        save_book_network(path, params)
        assert_same(load_book_network(path).params, params)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("trouble", [OSError(28, "No space left"), KeyboardInterrupt])
def test_the_previous_file_survives(tmp_path, monkeypatch, function, trouble):
    path = write(tmp_path / "net", SMALL)

    def fail(*_):
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        expected = StorageError if isinstance(trouble, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            save_book_network(path, problem([2, 2])[0])
    assert json.loads(path.read_bytes()) == SMALL
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["", "net/below"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
    write(tmp_path / "net", SMALL)
    path = tmp_path / place
    with pytest.raises(StorageError, match=f"{path}: expected to write here, got an"):
        save_book_network(path, problem([2, 2])[0])
    assert [file.name for file in tmp_path.iterdir()] == ["net"]


WHOLE = json.dumps(SMALL).encode()
TROUBLE = {
    "empty": (b"", "JSON, got an error: Expecting value"),
    "cut": (WHOLE[:-9], "JSON, got an error: "),
    "not Unicode": (b'{"\xff', "JSON, got an error: 'utf-8'"),
    "a pickle": (b"\x80\x02}q\0.", "JSON, got an error: 'utf-8'"),
    "two documents": (WHOLE * 2, "Extra data"),
    "a list": (b"[1, 2]", "a JSON object, got a list of 2"),
    "a word": (b'"abc"', 'a JSON object, got "abc"'),
    "deep": (b"[" * 10**5, "JSON, got an error: maximum recursion"),
    "deep objects": (b'{"a":' * 10**5, "got an error: maximum recursion"),
    "endless integer": (b'{"sizes": ' + b"9" * 10**4 + b"}", "JSON, got an error"),
    "unknown cost": (changed("cost", to="Hinge"), 'CrossEntropyCost, got "Hinge"'),
    "no cost": (changed("cost", to=None), "CrossEntropyCost, got null"),
    "cost list": (changed("cost", to=["QuadraticCost"]), "got a list of 1"),
    "one size": (
        changed("sizes", to=[2]),
        "two or more sizes in a list, got a list of 1",
    ),
    "size, not sizes": (changed("sizes", to=2), "two or more sizes in a list, got 2"),
    "half a neuron": (changed("sizes", 1, to=3.0), "sizes from 1, got 3.0"),
    "true neurons": (changed("sizes", 2, to=True), "sizes from 1, got true"),
    "no neurons": (changed("sizes", 2, to=0), "sizes from 1, got 0"),
    "huge size": (changed("sizes", 0, to=10**4000), "a list of 10{39} in weights"),
    "other sizes": (changed("sizes", 1, to=4), "a list of 4 in weights.0., got a list"),
    "more sizes": (changed("sizes", to=[2, 3, 1, 1]), "a list of 3 in weights, got a"),
    "no weights": (changed("weights", to={}), "a list of 2 in weights, got an object"),
    "ragged": (changed("weights", 0, 1, to=[1.0]), "a list of 2 in weights.0..1., got"),
    "extra nesting": (changed("weights", 1, 0, 2, to=[1]), "numbers in weights.1..0."),
    "a wrapped layer": (changed("weights", 0, to=[[[1, 2]] * 3]), "list of 3 in wei"),
    "flat bias": (changed("biases", 1, to=[-1.5]), "of 1 in biases.1..0., got -1.5"),
    "row bias": (changed("biases", 0, to=[[1, 2, 3]]), "a list of 3 in biases.0., got"),
    "text": (changed("biases", 1, 0, 0, to="1"), 'numbers in biases.1..0., got "1"'),
    "true": (changed("weights", 0, 0, 0, to=True), "numbers in .*, got true"),
    "null": (changed("weights", 0, 0, 0, to=None), "numbers in .*, got null"),
    "nan": (changed("weights", 0, 0, 0, to=np.nan), "finite float32 numbers in wei"),
    "infinity": (changed("biases", 1, 0, 0, to=-np.inf), "finite float32 numbers"),
    "1e39": (changed("biases", 1, 0, 0, to=1e39), "finite float32 numbers in bia"),
    "1e999": (WHOLE.replace(b"3.0", b"1e999"), "finite float32 numbers in weights"),
    "huge integer": (changed("biases", 1, 0, 0, to=10**400), "finite float32 numbers"),
} | {
    f"no {key}": ({k: v for k, v in SMALL.items() if k != key}, f"got no {key}")
    for key in SMALL
}


@pytest.mark.parametrize(("content", "message"), TROUBLE.values(), ids=TROUBLE)
def test_a_bad_file_is_refused_by_name(tmp_path, content, message):
    path = write(tmp_path / "some-file", content)
    with pytest.raises(StorageError, match=f"some-file: expected .*{message}") as info:
        load_book_network(path)
    assert len(str(info.value).splitlines()) == 1 and len(str(info.value)) < 400


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (".", "nowhere", "pipe", "a\0b"):
        with pytest.raises(StorageError, match="expected a file, got none here"):
            load_book_network(tmp_path / place)
    with pytest.raises(StorageError, match="got an error: File name too long"):
        load_book_network(tmp_path / ("a" * 300))


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "net", SMALL)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(StorageError, match="net: expected .*: Permission denied"):
        load_book_network(path)


def test_a_file_too_large_is_not_parsed(tmp_path, monkeypatch):
    path = write(tmp_path / "net", SMALL)
    monkeypatch.setattr(storage, "_MOST_BYTES", len(WHOLE))
    load_book_network(path)
    monkeypatch.setattr(storage, "_MOST_BYTES", len(WHOLE) - 1)
    with pytest.raises(StorageError, match=f"at most {len(WHOLE) - 1} bytes, got more"):
        load_book_network(path)


def test_storage_errors_are_value_errors():
    assert issubclass(StorageError, ValueError)


def read_or_refused(path: Path) -> bool:
    """Whether it is read: then as a network of finite numbers that predicts."""
    try:
        params, cost = load_book_network(path)
    except StorageError as error:
        text = str(error)
        assert text.startswith(f"{path}: expected ") and ", got " in text
        assert len(text.splitlines()) == 1
        return False
    sizes = [params[0].w.shape[1], *(len(layer.b) for layer in params)]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    assert [layer.w.shape for layer in params] == shapes
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert cost in (jaxnet.quadratic, jaxnet.cross_entropy)
    return True


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, 2, 3, 10**400, "QuadraticCost", np.nan, -np.inf, 1e300]),
    st.floats(),
    st.text(max_size=5),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=6,
)
steps = st.lists(st.integers(0, 4), min_size=1, max_size=4)
kinds = st.sampled_from(["set", "delete", "insert", "wrap"])


def mutated_tree(document, changes):
    for path, kind, value in changes:
        place, key = [document], 0
        for step in path:
            inner = place[key]
            if not isinstance(inner, list | dict) or not inner:
                break
            place = inner
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            key = keys[step % len(keys)]
        if kind == "set":
            place[key] = value
        elif kind == "wrap":
            place[key] = [place[key]]
        elif kind == "delete":
            del place[key]
        elif isinstance(place, list):
            place.insert(key, value)
    return document


@settings(max_examples=150)
@given(changes=st.lists(st.tuples(steps, kinds, values), min_size=1, max_size=3))
def test_a_mutated_document_is_read_or_refused(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "mutated-tree"
    read_or_refused(write(path, mutated_tree(copy.deepcopy(SMALL), changes)))


@settings(max_examples=150)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, len(WHOLE)),
            st.integers(0, 3),
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"[", b"]", b",", b"1", b"-", b"e", b"NaN", b"true"]),
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_mutated_bytes_are_read_or_refused(tmp_path_factory, changes):
    content = WHOLE
    for where, removed, inserted in changes:
        content = content[:where] + inserted + content[where + removed :]
    read_or_refused(write(tmp_path_factory.getbasetemp() / "mutated-bytes", content))


@settings(max_examples=150)
@given(
    content=st.one_of(st.binary(max_size=80), values.map(json.dumps).map(str.encode))
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = write(tmp_path_factory.getbasetemp() / "bytes", content)
    assert not read_or_refused(path)
