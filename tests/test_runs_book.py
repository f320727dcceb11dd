"""The book's own files are read exactly or refused by name, and written as a whole."""

import copy
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.runs import BookNetwork, StorageError, book
from tests.helpers import assert_close, problem

load, save = book.load_book_network, book.save_book_network
SMALL = {
    "sizes": [2, 3, 1],
    "weights": [[[0.5, -1.0], [2, 0.25], [1e-3, 3.0]], [[1.0, -2.0, 0.125]]],
    "biases": [[[0.1], [-0.2], [3]], [[-1.5]]],
    "cost": "CrossEntropyCost",
}
TEXT = json.dumps(SMALL).encode()


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


def test_the_books_file_is_read_and_predicts_as_the_book_says(tmp_path, x64):
    params, cost = load(write(tmp_path / "net", SMALL))
    assert cost is jaxnet.cross_entropy
    a = x = np.array([[0.3], [-0.7]])
    for w, b in zip(SMALL["weights"], SMALL["biases"], strict=True):
        a = 1 / (1 + np.exp(-(np.array(w) @ a + np.array(b))))
    assert_close(jaxnet.predict(params, jnp.asarray(x[:, 0])), a[:, 0], 1e-14)


def test_what_is_saved_has_the_books_layout(tmp_path):
    save(tmp_path / "net", problem([4, 3, 2])[0])
    document = json.loads((tmp_path / "net").read_text())
    assert list(document) == ["sizes", "weights", "biases", "cost"]
    assert document["sizes"] == [4, 3, 2] and document["cost"] == "QuadraticCost"
    assert [np.shape(w) for w in document["weights"]] == [(3, 4), (2, 3)]
    assert [np.shape(b) for b in document["biases"]] == [(3, 1), (2, 1)]


@pytest.mark.parametrize("cost", [jaxnet.quadratic, jaxnet.cross_entropy], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_round_trip_is_exact_and_replaces_the_file(tmp_path, dtype, cost):
    path, rng = tmp_path / "some" / "folder" / "net", np.random.default_rng(0)
    with jax.enable_x64(dtype is np.float64):
        for sizes in ([1, 1], [4, 1, 3], [2, 3, 4, 1]):
            params = jax.tree.map(
                lambda p: (p * 10.0 ** rng.uniform(-30, 30, p.shape)).astype(dtype),
                jax.tree.map(np.asarray, problem(sizes)[0]),
            )
            save(path, params, cost)
            loaded = load(path)
            assert isinstance(loaded, BookNetwork) and loaded.cost is cost
            same = jax.tree.map(np.array_equal, loaded.params, params)
            assert all(jax.tree.leaves(same)) and loaded.params[0].w.dtype == dtype
    assert list(path.parent.iterdir()) == [path]


SIGMOIDS, NAN = problem([2, 3, 1])[0], jnp.full(1, jnp.nan)
NOT_SAVED = {
    "linear_quadratic": (SIGMOIDS, jaxnet.linear_quadratic, "a cost that the book's f"),
    "tanh": (problem([2, 3, 1], hidden=jaxnet.tanh)[0], None, "got tanh, sigmoid"),
    "nan": ([SIGMOIDS[0], jaxnet.Layer(SIGMOIDS[1].w, NAN)], None, "finite weights"),
}


@pytest.mark.parametrize(
    ("params", "cost", "message"), NOT_SAVED.values(), ids=NOT_SAVED
)
def test_what_the_books_file_cannot_hold_is_not_saved(tmp_path, params, cost, message):
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        save(tmp_path / "net", params, cost or jaxnet.quadratic)
    assert not list(tmp_path.iterdir())


REFUSED = {
    "empty": (b"", "got an error: Input data was truncated"),
    "a pickle": (b"\x80\x02}q\0.", "got an error: JSON is malformed"),
    "deep objects": (b'{"a":' * 10**5, "got an error: maximum recursion"),
    "long cost": (changed("cost", to="H" * 1000), "CrossEntropyCost, got 'HHH"),
    "huge size": (changed("sizes", 0, to=10**4000), "`int` <= .* at `..sizes.0.`"),
    "other sizes": (changed("sizes", 1, to=4), "weights .4, 2. and biases .4, 1. in l"),
    "more sizes": (changed("sizes", to=[2, 3, 1, 1]), "biases of 3 layers, got .2, 2."),
    "ragged": (changed("weights", 0, 1, to=[1]), "an error: .* inhomogeneous shape"),
    "flat bias": (changed("biases", 1, to=[-1.5]), "got `float` - at `..biases.1..0.`"),
    "1e39": (changed("biases", 1, 0, 0, to=1e39), "finite float32 numbers in layer 2"),
    "1e999": (TEXT.replace(b"3.0", b"1e999"), "out of range - at `..weights.0..2..1.`"),
    "not all": ({"sizes": [2, 3, 1]}, "required field `weights"),
    "large": (TEXT + b" " * 300, f"at most {len(TEXT) + 100} bytes, got "),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_file_is_refused_by_name(tmp_path, monkeypatch, content, message):
    path = write(tmp_path / "some-file", content)
    if "at most" in message:  # too large to be parsed
        monkeypatch.setattr(book, "_MAX_BYTES", len(TEXT) + 100)
    with pytest.raises(StorageError, match=f"some-file: expected .*{message}") as info:
        load(path)
    assert len(str(info.value).splitlines()) == 1 and len(str(info.value)) < 400
