"""A wrong gradient of convolutions is named; network3's weights and fixed order."""

from functools import partial

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import Convolution, Layer, MaxPool, fast, layers
from jaxnet.experiments import CLAIMS
from tests.helpers import assert_close, problem
from tests.loops import by_loops, carry, draw, dw, route, weigh

wrong = partial(partial, by_loops)


def turned(w):
    return w[:, :, ::-1, ::-1]


FAULTS = {
    "kernel turned forward": wrong(weigh=lambda w, a: weigh(turned(w), a)),
    "kernel turned backward": wrong(carry=lambda w, *rest: carry(turned(w), *rest)),
    "maps and channels exchanged": wrong(
        carry=lambda w, *rest: carry(w.swapaxes(0, 1), *rest)
    ),
    "error of the first map only": wrong(
        carry=lambda w, delta, shape: carry(w[:1], delta[:1], shape)
    ),
    "padding off by one": wrong(
        carry=lambda *given: np.roll(carry(*given), 1, axis=(1, 2))
    ),
    "weights' gradient turned": wrong(dw=lambda *given: turned(dw(*given))),
    "rows and columns exchanged": wrong(dw=lambda *given: dw(*given).swapaxes(2, 3)),
    "every second place": wrong(
        dw=lambda delta, *rest: dw(delta * (np.arange(delta.shape[2]) % 2), *rest)
    ),
    "activations one place farther": wrong(
        dw=lambda delta, a, shape: dw(delta, np.roll(a, 1, axis=2), shape)
    ),
    "mean over the map": wrong(
        dw=lambda delta, *rest: dw(delta, *rest) / delta[0].size
    ),
    "bias averaged over the map": wrong(db=lambda delta: delta.mean(axis=(1, 2))),
    "bias of the first place": wrong(db=lambda delta: delta[:, 0, 0]),
    "error to the whole square": wrong(
        route=lambda delta, squares: np.broadcast_to(
            delta[..., None, None], squares.shape
        )
    ),
    "square transposed": wrong(route=lambda *given: route(*given).swapaxes(3, 4)),
    "error divided among the square": wrong(route=lambda *given: route(*given) / 4),
    "no sigma' behind the pooling": wrong(prime=lambda sigma: np.ones_like),
}


@pytest.mark.slow
def test_a_diagnosis_detects_wrong_gradients_of_convolutions_and_pools():
    """In float64, at images without equal activations, where the error's way is free.

    It names the mistake where the gradient of an example shows it.
    """
    params = [
        Convolution(draw(3, 1, 2, 2), draw(3), (1, 7, 7), jaxnet.linear),
        MaxPool((3, 6, 6), 2, jaxnet.sigmoid),
        Convolution(draw(3, 3, 2, 2), draw(3), (3, 3, 3), jaxnet.sigmoid),
        Layer(draw(4, 12), draw(4), jaxnet.softmax),
    ]
    x, y = np.random.default_rng(0).uniform(size=(2, 49)), np.eye(4)[[1, 3]]

    def found(gradient):
        def candidate(params, x, y, cost):
            return gradient(params, x, y)

        return jaxnet.diagnose(candidate, params, x, y, jaxnet.log_likelihood)

    assert found(by_loops) == []
    rows = {fault: found(gradient) for fault, gradient in FAULTS.items()}
    assert all(rows.values())
    named = {fault for fault, broken in rows.items() if broken[0].mistake}
    assert named == {
        *("kernel turned backward", "weights' gradient turned", "mean over the map"),
        *("rows and columns exchanged", "bias averaged over the map"),
        *("error to the whole square", "error divided among the square"),
        "no sigma' behind the pooling",
    }


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


@pytest.mark.parametrize("shape", [(2, 7, 8), (1, 8, 10), (3, 4, 4)])
def test_faster_products_are_those_of_a_convolution(x64, shape):
    """Of an odd and of an even number of neurons, and of many channels."""
    w, a = map(jax.device_put, (draw(4, shape[0], 3, 3), draw(2, *shape)))
    delta = jax.device_put(draw(2, 4, shape[1] - 2, shape[2] - 2))
    each = jax.vmap(layers.correlate, (0, None))(a, w)
    expected = jax.lax.conv_general_dilated(a, w, (1, 1), "VALID")
    assert_close(each, expected, rtol=1e-12)
    assert layers.correlate is fast.correlate and layers.pair is fast.pair
    assert_close(layers.pair(delta, a), fast._plain_pair(delta, a), rtol=1e-12)
