"""Networks built by hand approximate functions, with the error that is promised."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Activation, perceptrons
from jaxnet.universality import (
    approximate,
    bump,
    error_bound,
    stacked,
    tower,
    weighted,
)
from tests.equations import autodiff, backprop, outputs, predict, sigma

X = np.linspace(0, 1, 2001)


@pytest.mark.parametrize("w", [100.0, 1000.0])
@pytest.mark.parametrize("shifts", [1, 3])
@pytest.mark.parametrize("n", [1, 7, 30])
def test_the_error_of_an_approximation_is_within_its_bound(n, shifts, w, x64):
    """Of f itself for linear outputs, and of its logit for sigmoid ones."""
    for output, f, slope in (
        (jaxnet.linear, lambda x: np.sin(20 * x), 20.0),
        (jaxnet.sigmoid, lambda x: sigma(3 * np.sin(20 * x)), 60.0),
    ):
        params = approximate(f, n, shifts=shifts, w=w, output=output)
        [error] = np.abs(outputs(params, X) - f(X))
        assert error.max() <= error_bound(slope, n, w=w, output=output) + 1e-12


def test_the_bound_is_nearly_reached(x64):
    [error] = np.abs(outputs(approximate(lambda x: x, 9, output=jaxnet.linear), X) - X)
    assert error.max() > 0.9 * error_bound(1.0, 9, output=jaxnet.linear)


def test_shifted_towers_mend_each_other_s_corners(x64):
    """Where four towers meet, all are near 0: the error is f, shared by M grids."""
    corners = np.meshgrid([0.25, 0.5, 0.75], [0.25, 0.5, 0.75])

    def f(x, y):
        return 2 + x * y

    options = {"inputs": 2, "output": jaxnet.linear}
    for shifts in (1, 2, 4):
        found = outputs(
            approximate(f, 4, shifts=shifts, **options), *map(np.ravel, corners)
        )
        share = 1 - found / f(*map(np.ravel, corners))
        np.testing.assert_allclose(share, 1 / shifts, atol=0.05)


def test_three_inputs_and_two_outputs(x64):
    """At the centres of the cells the towers are f, and networks lie side by side."""
    centres = np.array([[1, 1, 3], [3, 1, 1], [3, 3, 3]]) / 4
    fs = (lambda x, y, z: (1 + x + y * z) / 4, lambda x, y, z: x * y * z)
    both = stacked([approximate(f, 2, inputs=3) for f in fs])
    np.testing.assert_allclose(
        outputs(both, *centres), [f(*centres) for f in fs], rtol=1e-8
    )
    assert [len(b) for _, b in both] == [2 * 8 * 6, 2 * 8, 2]


def test_a_network_so_built_is_a_network_like_any_other():
    """In float32 too: it predicts, and its gradient by hand is the automatic one."""
    params = stacked([approximate(lambda x, y: x * y + 0.1, 2, inputs=2)] * 2)
    x = np.array([[0.1, 0.7], [0.49, 0.5], [0.9, 0.2]], np.float32)
    y = np.array([[0.0, 1.0], [0.5, 0.2], [1.0, 0.0]], np.float32)
    by_hand, automatic = (way(params, x, y) for way in (backprop, autodiff))
    for hand, auto in zip(by_hand, automatic, strict=True):
        assert np.abs(hand.w - auto.w).max() <= 1e-5 * np.abs(auto.w).max() + 1e-30
    assert any(np.abs(layer.w).max() > 0 for layer in by_hand)
    np.testing.assert_allclose(predict(params, x[0]), 0.25 * 0.75 + 0.1, rtol=1e-5)


STEPS = (
    *(jaxnet.sigmoid, jaxnet.tanh, perceptrons.step),
    Activation(lambda z: 3 - np.pi * jaxnet.sigmoid.fn(z), jnp.zeros_like, "downwards"),
)


@pytest.mark.parametrize("activation", STEPS, ids=str)
def test_any_activation_with_two_limits_makes_bumps(activation, x64):
    params = bump(0.4, 0.6, 0.7, activation=activation)
    found = [predict(params, np.array([x]))[0] for x in (0.0, 0.3, 0.5, 0.7)]
    np.testing.assert_allclose(found, [0, 0, 0.7, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(bump, 0.1, 0.2, activation=jaxnet.relu), "Two relu neurons"),
        (partial(tower, 0.1, 0.2, w=-1.0), "Expected w of at least 0, got -1.0"),
        (partial(approximate, np.sin, 0), "Expected n of at least 1, got 0"),
        (partial(approximate, np.exp, 5), "between 0 and 1, as sigmoid outputs are"),
        (partial(approximate, np.diff, 3), r"act elementwise, .* of shape \(2,\)"),
        (partial(approximate, np.sin, 3, output=jaxnet.tanh), "sigmoid or linear, got"),
        (partial(approximate, np.hypot, 50, inputs=2), "at most 2,000 bumps or towers"),
        (partial(stacked, [bump(0, 1), tower(0, 1)]), "of one depth and with the same"),
        (partial(stacked, []), "got 0 kinds: no network"),
    ],
)
def test_what_cannot_be_built_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_linear_outputs_are_merged_into_the_neuron_above():
    """As the book has it: steps, then the output neuron."""
    heights = weighted(
        stacked([bump(0, 0.5, 3.0), bump(0.5, 1, -1.0)]), [1.0, 2.0], 4.0
    )
    hidden, output = heights
    assert output.w.tolist() == [[3, -3, -2, 2]] and output.b.tolist() == [4]
    assert hidden.w.tolist() == [[1000]] * 4
    assert hidden.b.tolist() == [0, -500, -500, -1000]
