"""Costs, accuracy and confusion, on networks whose answers are known."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Layer
from tests.helpers import compiled, numpy_gradient, problem

# Each output is its input, so the answer is the largest input.
COPY = [Layer(w=jnp.eye(3), b=jnp.zeros(3))]


@jax.jit
def accuracy_and_confusion(params, data):
    return jaxnet.accuracy(params, data), jaxnet.confusion_matrix(params, data)


def test_accuracy_and_confusion_count_the_right_answers():
    """The confusion matrix has a row for each truth."""
    x = jnp.array([[2.0, 1, 0], [0, 2, 1], [1, 2, 0], [0, 0, 9]])
    data = Dataset(x, jnp.eye(3)[np.array([0, 1, 2, 2])])
    accuracy, matrix = accuracy_and_confusion(COPY, data)
    assert accuracy == 0.75
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 1, 0], [0, 1, 1]])


def test_saturated_outputs_do_not_tie():
    """In float32 both activations of the first row are exactly 1."""
    data = Dataset(jnp.array([[30.0, 40.0, 0.0]]), jnp.eye(3)[1:2])
    a = compiled(jaxnet.predict)(COPY, data.x[0])
    assert a[0] == a[1] and compiled(jaxnet.accuracy)(COPY, data) == 1


def test_a_network_with_a_broken_output_has_no_accuracy():
    """Nan counts as the largest output."""
    data = Dataset(jnp.eye(3)[:1], jnp.eye(3)[:1])
    for b, answer in (((0, np.nan, 0), 1), ((np.inf, 0, 0), 0)):
        broken = [replace(COPY[0], b=jax.device_put(np.array(b, np.float32)))]
        accuracy, matrix = accuracy_and_confusion(broken, data)
        assert np.isnan(accuracy) and matrix[0].argmax() == answer


def test_a_single_output_answers_1_above_one_half():
    """Of 0.5 and less it answers 0, whatever the activation of the output."""
    x, y = np.array([-1.0, 0.0, 0.4, 0.6, 2.0]), [0, 0, 1, 1, 0]
    data = Dataset(*(jnp.array(a, jnp.float32)[:, None] for a in (x, y)))
    for activation, answers in (
        (jaxnet.sigmoid, [0, 0, 1, 1, 1]),
        (jaxnet.linear, [0, 0, 0, 1, 1]),
    ):
        copy = [Layer(jnp.eye(1), jnp.zeros(1), activation)]
        accuracy, matrix = accuracy_and_confusion(copy, data)
        assert accuracy == pytest.approx(np.mean(np.equal(y, answers)))
        expected = np.zeros((2, 2), int)
        for truth, answer in zip(y, answers, strict=True):
            expected[truth, answer] += 1
        np.testing.assert_array_equal(matrix, expected)


def test_the_speed_of_a_layer_is_the_norm_of_its_mean_error(x64):
    params, x, y = problem([3, 4, 5, 2], m=12)
    slopes = numpy_gradient(params, x, y, "cross_entropy")
    expected = [np.linalg.norm(db) for _, db in slopes]
    cost = jaxnet.cross_entropy
    speeds = compiled(jaxnet.layer_speeds)(params, Dataset(x, y), cost)
    np.testing.assert_allclose(speeds, expected, rtol=1e-12)


def test_a_monitor_says_cost_and_accuracy_of_both_data_sets(x64):
    """The penalty of both is divided by the n of the training set."""
    params, x, y = problem([3, 4, 2], m=12)
    training, evaluation = Dataset(x[:8], y[:8]), Dataset(x[8:], y[8:])
    data = {"training": training, "evaluation": evaluation}
    cost = jaxnet.cross_entropy
    penalty = 2.0 * sum(np.square(w).sum() for w, _ in params) / (2 * 8)
    found = jax.jit(jaxnet.monitor(training, evaluation, cost, l2=2.0))(params)
    assert set(found) == {f"{n}_{of}" for n in data for of in ("cost", "accuracy")}
    for name, examples in data.items():
        total = compiled(jaxnet.loss)(params, examples.x, examples.y, cost) + penalty
        assert found[f"{name}_cost"] == pytest.approx(float(total), rel=1e-13)
        accuracy, _ = accuracy_and_confusion(params, examples)
        assert found[f"{name}_accuracy"] == accuracy
    alone = jax.eval_shape(jaxnet.monitor(training), params)
    assert set(alone) == {"training_cost", "training_accuracy"}
