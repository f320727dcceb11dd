"""Layers are pytrees, and other kinds of layers are types with the same methods."""

from dataclasses import FrozenInstanceError, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Image, Layer, MaxPool, convolution, max_pool
from jaxnet.oracles import central_difference
from tests.helpers import assert_close, compiled, problem


def test_a_layer_is_a_pytree_of_weights_and_biases_with_a_static_activation():
    [layer], *_ = problem([3, 2], output=jaxnet.tanh)
    for w, b in (layer, jax.tree.leaves(layer)):
        assert w is layer.w and b is layer.b
    doubled = jax.tree.map(lambda p: 2 * p, layer)
    assert isinstance(doubled, Layer) and doubled.activation == jaxnet.tanh
    np.testing.assert_array_equal(doubled.w, 2 * layer.w)
    other = replace(layer, activation=jaxnet.relu)
    assert jax.tree.structure(layer) == jax.tree.structure(doubled)
    assert jax.tree.structure(layer) != jax.tree.structure(other)
    assert Layer(layer.w, layer.b).activation == jaxnet.sigmoid
    with pytest.raises(FrozenInstanceError):
        layer.w = w  # type: ignore


def test_jax_may_rebuild_layers_of_anything():
    params, x, _ = problem([3, 4, 2])
    for value in (None, True, object()):
        layer = jax.tree.map(lambda _, value=value: value, params)[0]
        assert isinstance(layer, Layer) and layer.w is layer.b is value
    shapes = jax.eval_shape(lambda params: params, params)
    assert [w.shape for w, _ in shapes] == [(4, 3), (2, 4)]
    only_weights = jax.tree.map(lambda p: 0 if p.ndim == 2 else None, params)
    several = [replace(layer, w=np.stack([layer.w, layer.w])) for layer in params]
    outputs = jax.jit(jax.vmap(jaxnet.predict, (only_weights, None)))(several, x[0])
    expected = compiled(jaxnet.predict)(params, x[0])
    np.testing.assert_allclose(outputs, [expected] * 2, rtol=1e-5)


def test_a_data_set_has_a_length_and_parts():
    _, x, y = problem([4, 3], m=23)
    data = Dataset(x, y)
    assert len(data) == 23
    mask, rows = np.arange(23) % 2 == 0, [3, 1, 4]
    for part, index in ((slice(5), slice(5)), (mask, mask), (rows, np.array(rows))):
        selected = data[part]
        assert isinstance(selected, Dataset)
        np.testing.assert_array_equal(selected.x, np.asarray(x)[index])
        np.testing.assert_array_equal(selected.y, np.asarray(y)[index])
    with pytest.raises(TypeError, match=r"data.x\[i\]"):
        data[3]  # type: ignore
    with pytest.raises(TypeError, match="not iterable"):
        x, y = data  # type: ignore


def test_bytes_are_their_256ths_everywhere():
    params, _, y = problem([4, 5, 3], m=23)
    pixels = np.random.default_rng(0).integers(0, 256, (23, 4), np.uint8)

    @jax.jit
    def found(x):
        data, run = Dataset(x, y), {"batch_size": 5, "eta": 1.0}
        after = jaxnet.epoch(jax.random.key(5), jaxnet.start(params), data, **run)
        exact = (
            jaxnet.predict(params, x[3]),
            jaxnet.errors(params, x[3], y[3]),
            jaxnet.accuracy(params, data),
            jaxnet.total_cost(params, data),
        )
        slopes = jaxnet.backprop(params, x, y), jaxnet.autodiff(params, x, y)
        return exact, (slopes, after.params)

    numbers = jnp.asarray(pixels / np.float32(256))
    pairs = zip(found(jnp.asarray(pixels)), found(numbers), (0, 1e-6), strict=True)
    for by_bytes, by_numbers, rtol in pairs:
        assert_close(by_bytes, by_numbers, rtol=rtol)


# Other kinds of layers: chapter 6


def test_the_first_layer_need_not_have_weights(x64):
    [layer], x, y = problem([4, 3])
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(7, 1, 4, 4)))
    params = [MaxPool((1, 4, 4), 2), layer]
    expected = compiled(central_difference)(params, x, y)
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        assert_close(compiled(gradient)(params, x, y), expected, rtol=1e-7)

    @jax.jit
    def costs(params, data):
        with_l2 = jaxnet.total_cost(params, data, l2=3.0, n=50)
        return jaxnet.total_cost(params, data), with_l2

    plain, with_l2 = costs(params, Dataset(x, y))
    added = 3.0 * float(np.sum(np.square(layer.w))) / (2 * 50)
    assert with_l2 == pytest.approx(float(plain) + added)


def test_networks_of_other_kinds_of_layers_learn():
    """With regularization and dropout, from bytes."""
    sizes = [Image(8, 8), convolution(3, 3), max_pool(2), 5, 3]
    key, cost = jax.random.key(0), jaxnet.log_likelihood
    params = jaxnet.init(key, sizes, output=cost.output, init_layer=jaxnet.scaled_layer)
    rng, labels = np.random.default_rng(2), np.arange(60) % 3
    pixels = rng.integers(0, 100, (60, 64), np.uint8)
    for image, label in zip(pixels.reshape(60, 8, 8), labels, strict=True):  # a bar
        image[2 * label + 1 : 2 * label + 3] += 150
    data = Dataset(*jax.device_put((pixels, np.eye(3, dtype=np.float32)[labels])))
    options = {"batch_size": 10, "eta": 0.5, "l2": 0.01, "dropout": 0.1, "cost": cost}
    learned, _ = jaxnet.train(key, params, data, epochs=30, **options)

    @jax.jit
    def measured(params):
        matrix = jaxnet.confusion_matrix(params, data)
        accuracy = jaxnet.accuracy(params, data)
        return accuracy, jaxnet.total_cost(params, data, cost), matrix

    (before, first_cost, _), (after, last_cost, matrix) = map(
        measured, (params, learned)
    )
    assert last_cost < first_cost / 2
    assert before < 0.6 < 0.95 < after
    assert np.trace(matrix) / 60 == after
