"""What is compared does the same thing, and the tables say what was measured."""

import json

import jax
import numpy as np
import pytest

import jaxnet
from scripts import benchmark, contenders, tables
from tests.helpers import assert_close

SIZES, M, ETA = (6, 5, 3), 4, 0.5


@pytest.fixture
def one_batch():
    """As many images as a mini-batch has: an epoch is a step, whatever its order."""
    pixels = jax.random.bits(jax.random.key(3), (M, 6), np.uint8)
    return jaxnet.Dataset(pixels, jax.nn.one_hot(np.arange(M) % 3, 3))


@pytest.mark.parametrize(
    "name", ["jitted_step", "epoch_by_jax_grad", "epoch_on_floats"]
)
def test_our_other_ways_take_the_same_step(one_batch, name):
    expected = contenders.epoch(SIZES, one_batch, M, ETA).run()
    state = getattr(contenders, name)(SIZES, one_batch, M, ETA).run()
    assert_close(state.params, expected.params, rtol=1e-5)


@pytest.mark.parametrize("name", ["numpy_by_example", "numpy_by_mini_batch"])
def test_numpy_takes_the_same_step(one_batch, name):
    expected = contenders.epoch(SIZES, one_batch, M, ETA).run().params
    layers = getattr(contenders, name)(SIZES, one_batch, M, ETA).run()
    for (w, b), layer in zip(layers, expected, strict=True):
        np.testing.assert_allclose(w, layer.w, rtol=1e-5)
        np.testing.assert_allclose(b.ravel(), layer.b, rtol=1e-5)


@pytest.mark.parametrize("name", ["equinox", "flax", "pytorch", "scikit_learn"])
def test_other_packages_learn_where_they_are_installed(small_mnist_data, name):
    begin = contenders.available().get(name)
    if begin is None:
        pytest.skip(f"{name} is not installed")
    x, y = small_mnist_data.train.x, small_mnist_data.train.y
    data = jaxnet.Dataset((256 * x).astype(np.uint8), y)
    way = begin((784, 30, 10), data, 10, ETA)
    way.run()
    assert 0 < way.part


def test_flops_count_three_products_a_layer_but_two_in_the_first():
    assert benchmark.flops((784, 30, 10), 1) == 4 * 784 * 30 + 6 * 30 * 10
    assert benchmark.flops((784, 30, 10), 50_000) == pytest.approx(4.79e9, rel=0.01)


def test_traffic_counts_bytes_once_and_weights_thrice_a_step():
    weights = 784 * 30 + 30 * 10
    assert benchmark.traffic((784, 30, 10), 10, 10) == 7840 + 12 * weights
    assert benchmark.traffic((784, 30, 10), 100, 50) == 78_400 + 24 * weights


def test_products_take_time():
    assert 0 < benchmark.products((200, 100, 50), 40) < 0.1


def test_the_tables_in_readme_are_those_of_the_file():
    found = json.loads(benchmark.RESULTS.read_text())
    assert tables.inside("benchmark") == benchmark.in_markdown(found)
