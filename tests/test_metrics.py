"""Accuracy and confusion, on a network whose answers are known."""

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
    broken = [COPY[0]._replace(b=jnp.array([0, jnp.nan, 0]))]
    assert jnp.isnan(jaxnet.accuracy(broken, DATA))


def test_integer_labels_are_refused():
    with pytest.raises(ValueError, match="Integer labels"):
        jaxnet.accuracy(COPY, Dataset(X, jnp.zeros(4)))
