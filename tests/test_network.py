"""Initialisation and its random numbers."""

import jax
import numpy as np

import jaxnet
from jaxnet.network import stream


def test_weights_run_from_the_kth_neuron_to_the_jth():
    """Section 1.6: sizes [2, 3, 1] give weights of shapes (3, 2) and (1, 3)."""
    shapes = jax.eval_shape(lambda key: jaxnet.init(key, [2, 3, 1]), jax.random.key(0))
    assert [w.shape for w, _ in shapes] == [(3, 2), (1, 3)]
    assert [b.shape for _, b in shapes] == [(3,), (1,)]


def test_the_same_key_gives_the_same_bits_and_no_two_layers_the_same_numbers():
    (first, second), again = (jaxnet.init(jax.random.key(3), [5, 5, 5]) for _ in "ab")
    assert all(map(np.array_equal, (*first, *second), (*again[0], *again[1])))
    for one, other in zip(first, second, strict=True):
        assert not np.any(np.asarray(one) == np.asarray(other))
    expected = jax.random.fold_in(stream(jax.random.key(3), "init"), 1)
    assert all(map(np.array_equal, first, jaxnet.large_layer(expected, 5, 5)))


def test_one_key_for_init_and_train_gives_independent_numbers():
    """No two of the streams that a user's one key feeds are correlated."""
    key, n = jax.random.key(7), 4000
    first, second = jaxnet.init(key, [n, 1, n])
    draws = {"w^1": first.w[0], "w^2": second.w[:, 0], "b^2": second.b}
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        for purpose in ("order", "dropout", "augment"):
            draws[f"{purpose} {number}"] = jax.random.normal(
                stream(epoch_key, purpose), (n,)
            )
    correlations = np.corrcoef(np.array(list(draws.values())))
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 5 / n**0.5


def test_hidden_is_one_activation_or_one_for_each_hidden_layer():
    def activations(sizes, **choices):
        key = jax.random.key(0)
        params = jax.eval_shape(lambda key: jaxnet.init(key, sizes, **choices), key)
        return [layer.activation for layer in params]

    sigmoid, tanh, relu = jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu
    assert activations([2, 3, 4, 1]) == [sigmoid] * 3
    assert activations([2, 3, 4, 1], hidden=tanh) == [tanh, tanh, sigmoid]
    assert activations([2, 3, 4, 1], hidden=[tanh, relu]) == [tanh, relu, sigmoid]
    assert activations([2, 1], hidden=tanh, output=jaxnet.softmax) == [jaxnet.softmax]
