"""Products of convolutions; network3's weights and fixed order."""

from functools import partial

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import fast, layers
from jaxnet.experiments import CLAIMS
from tests.helpers import assert_close, problem
from tests.loops import draw


def test_the_first_weights_of_the_book_s_third_program():
    """Their standard deviations, of 500 and 288,000, and an output layer of 0."""
    e = CLAIMS["one convolution, as network3"].experiment
    first, _, hidden, output = jax.jit(e.init)(jax.random.key(0))
    assert np.std(first.w) == pytest.approx(125**-0.5, rel=0.1)
    assert np.std(hidden.w) == pytest.approx(100**-0.5, rel=0.01)
    assert np.std(hidden.b) == pytest.approx(1, rel=0.3)
    assert not np.any(output.w) and not np.any(output.b)


def test_without_shuffling_an_epoch_takes_the_examples_in_order(x64):
    params, x, y = problem([3, 4, 2], m=5)
    data, state = jaxnet.Dataset(x, y), jaxnet.start(params)
    options = {"batch_size": 2, "eta": 0.5, "shuffle": False}
    found = jaxnet.epoch(jax.random.key(0), state, data, **options)
    for i in (0, 2, 4):
        step = partial(jaxnet.step, eta=0.5)
        state = jax.jit(step)(state, x[i : i + 2], y[i : i + 2])
    assert_close(found.params, state.params, rtol=1e-12)


@pytest.mark.parametrize(
    "shape, size", [((2, 7, 8), 3), ((1, 8, 10), 3), ((3, 4, 4), 3), ((2, 9, 7), 4)]
)
def test_faster_products_are_those_of_a_convolution(x64, shape, size):
    """Of an odd and of an even number of neurons, and of many channels."""
    w, a = map(jax.device_put, (draw(4, shape[0], size, size), draw(2, *shape)))
    delta = jax.device_put(draw(2, 4, shape[1] - size + 1, shape[2] - size + 1))
    each = jax.vmap(layers.correlate, (0, None))(a, w)
    expected = jax.lax.conv_general_dilated(a, w, (1, 1), "VALID")
    assert_close(each, expected, rtol=1e-12)
    assert layers.correlate is fast.correlate and layers.pair is fast.pair
    assert_close(layers.pair(delta, a), fast._plain_pair(delta, a), rtol=1e-12)
