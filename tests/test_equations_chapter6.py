"""Chapter 6: convolution and pooling, and their backpropagation, by other ways."""

import jax
import numpy as np

import jaxnet
from jaxnet import Convolution, Image, MaxPool, convolution, max_pool
from jaxnet.experiments import CLAIMS
from jaxnet.experiments.experiment import work
from jaxnet.network import layers_of
from jaxnet.oracles import central_difference
from tests.helpers import assert_close, compiled
from tests.loops import by_loops, convolutional, draw, weigh

COST = jaxnet.log_likelihood


@jax.jit
def by_hand_and_automatic(params, x, y):
    gradients = jaxnet.backprop, jaxnet.autodiff
    return [gradient(params, x, y, COST) for gradient in gradients]


def test_problem_backpropagation_in_a_convolutional_network(x64):
    """`backprop` by the book's loops, by `jax.grad`, and by differences.

    An error takes the same way where activations of a square are equal, for which
    `jax.grad` shares it among them, and differences see a kink.
    """
    params, x, y = convolutional()
    by_hand, _ = by_hand_and_automatic(params, x, y)
    assert_close(jax.tree.map(np.asarray, by_hand), by_loops(params, x, y), rtol=1e-13)
    x, y = x[[1, 2, 1]], y[[1, 2, 0]]  # no new shape to compile
    by_hand, automatic = by_hand_and_automatic(params, x, y)
    assert_close(by_hand, automatic, rtol=1e-12)
    differences = compiled(central_difference)(params, x, y, COST)
    assert_close(by_hand, differences, rtol=1e-6)


def test_web_125_a_feature_map_and_the_transpose_of_its_matrix(x64):
    """As a function of a, or of w, z is a matrix; errors go back by its transpose."""
    layer = Convolution(draw(2, 3, 2, 3), 0 * draw(2), (3, 4, 5))
    delta, a = draw(2, 3, 3), draw(3, 4, 5)

    @jax.jit
    def found(layer, delta, a):
        outputs = jax.vmap(layer.weigh)(np.eye(a.size))
        slopes = layer.gradient(delta[None], a[None])
        return layer.weigh(a), outputs, layer.carry(delta, a), slopes

    z, outputs, carried, slopes = jax.tree.map(np.asarray, found(layer, delta, a))
    np.testing.assert_allclose(z, weigh(layer.w, a), rtol=1e-13)
    matrix = outputs.reshape(a.size, -1).T
    assert np.count_nonzero(matrix) == delta.size * layer.w[0].size
    np.testing.assert_allclose(matrix @ a.ravel(), z.ravel(), rtol=1e-12)
    expected = (matrix.T @ delta.ravel()).reshape(a.shape)
    np.testing.assert_allclose(carried, expected, rtol=1e-12)
    basis = np.eye(layer.w.size).reshape(-1, *layer.w.shape)
    of_weights = np.stack([weigh(w, a).ravel() for w in basis], axis=1)
    np.testing.assert_allclose(
        slopes.w.ravel(), of_weights.T @ delta.ravel(), rtol=1e-12
    )
    np.testing.assert_allclose(slopes.b, delta.sum(axis=(1, 2)), rtol=1e-13)


def test_the_error_of_equal_activations_goes_to_the_first():
    pool = MaxPool((1, 4, 4), 2)
    a = np.array([[[1, 3, 2, 2], [3, 3, 2, 2], [0, 0, 5, 4], [0, 1, 4, 5]]], np.float32)
    delta = np.array([[[1, 2], [3, 4]]], np.float32)

    @jax.jit
    def found(a, delta):
        return pool.weigh(a), pool.carry(delta, a), pool.carry(delta, a.ravel())

    z, carried, flat = found(a, delta)
    np.testing.assert_array_equal(z, [[[3, 2], [1, 5]]])
    expected = [[0, 1, 2, 0], [0, 0, 0, 0], [0, 0, 4, 0], [0, 3, 0, 0]]
    np.testing.assert_array_equal(carried, [expected])
    np.testing.assert_array_equal(flat, np.ravel(expected))


def test_the_shapes_and_numbers_of_parameters_are_the_book_s():
    """28 to 24 to 12 to 8 to 4; 20 x 26 = 520 parameters beside 23,550."""
    two = CLAIMS["two convolutions"].experiment
    assert [layer.shape_out for layer in layers_of(two.sizes)] == [
        *((20, 24, 24), (20, 12, 12), (40, 8, 8), (40, 4, 4), (100,), (10,))
    ]
    three = [Image(28, 28), convolution(3, 5), max_pool(2), 10]
    assert [layer.shape_out for layer in layers_of(three)][:2] == [
        *((3, 24, 24), (3, 12, 12))
    ]
    numbers = {"softmax, 100 hidden": 79_510, "one convolution": 289_630}
    numbers |= {"two convolutions": 85_670, "dropout": 1_672_570}
    for name, number in numbers.items():
        params = jax.eval_shape(CLAIMS[name].experiment.init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == number
    first = jax.eval_shape(two.init, jax.random.key(0))[0]
    assert first.w.size + first.b.size == 520
    assert work((784, 30, 10))[0] == (23_520, 23_520)
