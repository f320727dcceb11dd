"""Accuracy and confusion, on a network whose answers are known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Layer

# Each output is its input, so the answer is the largest input.
COPY = [Layer(w=jnp.eye(3), b=jnp.zeros(3))]
X = jnp.array([[2.0, 1, 0], [0, 2, 1], [1, 2, 0], [0, 0, 9]])
DATA = Dataset(X, jnp.eye(3)[np.array([0, 1, 2, 2])])


def test_accuracy_is_the_fraction_of_right_answers():
    assert jaxnet.accuracy(COPY, DATA) == 0.75


def test_the_confusion_matrix_has_a_row_for_each_truth():
    expected = [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    np.testing.assert_array_equal(jaxnet.confusion_matrix(COPY, DATA), expected)


def test_saturated_outputs_do_not_tie():
    """In float32 both activations of the first row are exactly 1."""
    data = Dataset(jnp.array([[30.0, 40.0, 0.0]]), jnp.eye(3)[1:2])
    assert jaxnet.predict(COPY, data.x[0])[0] == jaxnet.predict(COPY, data.x[0])[1]
    assert jaxnet.accuracy(COPY, data) == 1


def test_a_tie_goes_to_the_lowest_class():
    data = Dataset(jnp.zeros((3, 3)), jnp.eye(3))
    assert jaxnet.accuracy(COPY, data) == pytest.approx(1 / 3)


def test_a_nan_network_has_no_accuracy():
    broken = [replace(COPY[0], b=jnp.array([0, jnp.nan, 0]))]
    assert jnp.isnan(jaxnet.accuracy(broken, DATA))


def test_a_single_output_answers_1_above_one_half():
    """Of 0.5 and less it answers 0, whatever the activation of the output."""
    x, y = jnp.array([[-1.0], [0.0], [0.4], [0.6], [2.0]]), jnp.array([0.0, 0, 1, 1, 0])
    data = Dataset(x, y[:, None])
    for activation, answers in (
        (jaxnet.sigmoid, [0, 0, 1, 1, 1]),  # of z = 0, exactly 0.5
        (jaxnet.linear, [0, 0, 0, 1, 1]),
    ):
        copy = [Layer(jnp.eye(1), jnp.zeros(1), activation)]
        right = [answer == truth for answer, truth in zip(answers, y, strict=True)]
        assert jaxnet.accuracy(copy, data) == pytest.approx(np.mean(right))
        matrix = np.zeros((2, 2), int)
        for answer, truth in zip(answers, y, strict=True):
            matrix[int(truth), answer] += 1
        np.testing.assert_array_equal(jaxnet.confusion_matrix(copy, data), matrix)


XOR = Dataset(
    jnp.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), jnp.array([[0.0], [1], [1], [0]])
)


def test_an_untrained_network_does_not_know_xor():
    for seed in range(5):
        params = jaxnet.init(jax.random.key(seed), [2, 2, 1])
        matrix = jaxnet.confusion_matrix(params, XOR)
        assert matrix.shape == (2, 2) and matrix.sum() == 4
        assert jaxnet.accuracy(params, XOR) == np.trace(matrix) / 4 < 1


def test_a_network_made_for_xor_knows_it():
    """Its hidden neurons are OR and NAND, and its output their AND."""
    params = [
        Layer(jnp.array([[20.0, 20], [-20, -20]]), jnp.array([-10.0, 30])),
        Layer(jnp.array([[20.0, 20]]), jnp.array([-30.0])),
    ]
    assert jaxnet.accuracy(params, XOR) == 1
    matrix = jaxnet.confusion_matrix(params, XOR)
    np.testing.assert_array_equal(matrix, [[2, 0], [0, 2]])


def test_integer_labels_are_refused():
    with pytest.raises(ValueError, match="Integer labels"):
        jaxnet.accuracy(COPY, Dataset(X, jnp.zeros(4)))
