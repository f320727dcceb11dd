"""Layers, initialisation, the forward pass, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.network import stream
from tests.helpers import problem


def test_weights_run_from_the_kth_neuron_to_the_jth():
    """Section 1.6: sizes [2, 3, 1] give weights of shapes (3, 2) and (1, 3)."""
    params = jaxnet.init(jax.random.key(0), [2, 3, 1])
    assert [w.shape for w, _ in params] == [(3, 2), (1, 3)]
    assert [b.shape for _, b in params] == [(3,), (1,)]


@pytest.mark.parametrize("n_in", [20, 784])
def test_large_layers_have_unit_variance_and_scaled_ones_one_over_n_in(n_in):
    for init_layer, variance in (
        (jaxnet.large_layer, 1),
        (jaxnet.scaled_layer, 1 / n_in),
    ):
        w, b = init_layer(jax.random.key(1), n_in, 4000)
        assert abs(float(jnp.mean(w))) < 4 * (variance / w.size) ** 0.5
        assert float(jnp.var(w)) == pytest.approx(variance, rel=0.03)
        assert float(jnp.var(b)) == pytest.approx(1, rel=0.1)


def test_no_two_layers_share_their_random_numbers():
    first, second = jaxnet.init(jax.random.key(0), [5, 5, 5])
    assert not jnp.any(first.w == second.w)
    assert not jnp.any(first.b == second.b)


def test_the_same_key_gives_the_same_bits():
    one, other = (jaxnet.init(jax.random.key(3), [4, 3, 2]) for _ in range(2))
    assert all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def test_one_key_may_be_used_for_several_purposes():
    key = jax.random.key(3)
    purposes = ("init", "order", "dropout", "augment")
    drawn = [float(jax.random.normal(stream(key, purpose))) for purpose in purposes]
    assert len(set(drawn)) == 4
    [layer] = jaxnet.init(key, [3, 2])
    expected = jaxnet.large_layer(jax.random.fold_in(stream(key, "init"), 1), 3, 2)
    assert all(map(np.array_equal, layer, expected))


def test_hidden_is_one_activation_or_one_for_each_hidden_layer():
    def activations(sizes, **choices):
        params = jaxnet.init(jax.random.key(0), sizes, **choices)
        return [layer.activation for layer in params]

    sigmoid, tanh, relu = jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu
    assert activations([2, 3, 4, 1]) == [sigmoid] * 3
    assert activations([2, 3, 4, 1], hidden=tanh) == [tanh, tanh, sigmoid]
    assert activations([2, 3, 4, 1], hidden=[tanh, relu]) == [tanh, relu, sigmoid]
    assert activations([2, 1], hidden=tanh, output=jaxnet.softmax) == [jaxnet.softmax]


@pytest.mark.parametrize("hidden", [(), [jaxnet.tanh] * 3])
def test_another_number_of_activations_is_refused(hidden):
    with pytest.raises(ValueError, match="one for each of the 2 hidden layers"):
        jaxnet.init(jax.random.key(0), [4, 3, 5, 2], hidden=hidden)


@pytest.mark.parametrize("sizes", [[], [784]])
def test_sizes_that_make_no_network_are_refused(sizes):
    with pytest.raises(ValueError, match="two or more layers"):
        jaxnet.init(jax.random.key(0), sizes)


@pytest.mark.parametrize("sizes", [[784, 0, 10], [3, -1]])
def test_layers_without_neurons_are_refused(sizes):
    with pytest.raises(ValueError, match="neurons in each layer of at least 1"):
        jaxnet.init(jax.random.key(0), sizes)


def test_forward_keeps_every_weighted_input_and_activation(x64):
    params, x, _ = problem([3, 4, 2], hidden=jaxnet.tanh)
    zs, activations = jaxnet.forward(params, x[0])
    assert [len(z) for z in zs] == [4, 2]
    np.testing.assert_array_equal(activations[0], x[0])
    np.testing.assert_allclose(activations[1], np.tanh(zs[0]), rtol=1e-14)
    np.testing.assert_allclose(activations[2], 1 / (1 + np.exp(-zs[1])), rtol=1e-14)
    expected = np.asarray(params[1].w) @ np.tanh(zs[0]) + np.asarray(params[1].b)
    np.testing.assert_allclose(zs[1], expected, rtol=1e-14)
    np.testing.assert_array_equal(jaxnet.predict(params, x[0]), activations[2])


def test_each_layer_has_its_own_activation(x64):
    hidden = (jaxnet.tanh, jaxnet.linear)
    params, x, _ = problem([4, 3, 5, 2], hidden=hidden, output=jaxnet.softmax)
    zs, activations = jaxnet.forward(params, x[0])
    np.testing.assert_array_equal(activations[1], jnp.tanh(zs[0]))
    np.testing.assert_array_equal(activations[2], zs[1])
    np.testing.assert_array_equal(activations[3], jax.nn.softmax(zs[2]))
