"""Costs, accuracy and confusion, on networks whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Layer
from tests.helpers import compiled, problem

# Each output is its input, so the answer is the largest input.
COPY = [Layer(w=jnp.eye(3), b=jnp.zeros(3))]


def test_accuracy_and_confusion_count_the_right_answers():
    """The confusion matrix has a row for each truth."""
    x = jnp.array([[2.0, 1, 0], [0, 2, 1], [1, 2, 0], [0, 0, 9]])
    data = Dataset(x, jnp.eye(3)[np.array([0, 1, 2, 2])])
    assert compiled(jaxnet.accuracy)(COPY, data) == 0.75
    expected = [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    found = compiled(jaxnet.confusion_matrix)(COPY, data)
    np.testing.assert_array_equal(found, expected)


def test_saturated_outputs_do_not_tie():
    """In float32 both activations of the first row are exactly 1."""
    data = Dataset(jnp.array([[30.0, 40.0, 0.0]]), jnp.eye(3)[1:2])
    a = compiled(jaxnet.predict)(COPY, data.x[0])
    assert a[0] == a[1] and compiled(jaxnet.accuracy)(COPY, data) == 1


@pytest.mark.parametrize(
    ("activation", "answers"),
    [(jaxnet.sigmoid, [0, 0, 1, 1, 1]), (jaxnet.linear, [0, 0, 0, 1, 1])],
    ids=str,
)
def test_a_single_output_answers_1_above_one_half(activation, answers):
    """Of 0.5 and less it answers 0, whatever the activation of the output."""
    x, y = np.array([-1.0, 0.0, 0.4, 0.6, 2.0]), np.array([0, 0, 1, 1, 0])
    data = Dataset(*(jnp.asarray(a[:, None], jnp.float32) for a in (x, y)))
    copy = [Layer(jnp.eye(1), jnp.zeros(1), activation)]
    accuracy = compiled(jaxnet.accuracy)(copy, data)
    assert accuracy == pytest.approx(np.mean(y == answers))
    matrix = np.zeros((2, 2), int)
    np.add.at(matrix, (y, answers), 1)
    found = compiled(jaxnet.confusion_matrix)(copy, data)
    np.testing.assert_array_equal(found, matrix)


def test_total_cost_has_the_training_set_s_n_whatever_is_measured(x64):
    params, x, y = problem([3, 4, 2], m=7)
    data = Dataset(x, y)
    absolute, squares = (
        sum(float((abs(np.asarray(w)) ** power).sum()) for w, _ in params)
        for power in (1, 2)
    )
    plain = float(jaxnet.total_cost(params, data))
    assert plain == float(jaxnet.loss(params, x, y))
    found = jaxnet.total_cost(params, data, l1=0.2, l2=5.0, n=50)
    expected = plain + 0.2 * absolute / 50 + 5.0 * squares / (2 * 50)
    assert float(found) == pytest.approx(expected, rel=1e-14)
    as_in_the_book = jaxnet.total_cost(params, data, l2=5.0, n=len(x))
    assert float(as_in_the_book) == pytest.approx(plain + 5 * squares / 14, rel=1e-14)


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
        accuracy = compiled(jaxnet.accuracy)(params, examples)
        assert found[f"{name}_accuracy"] == accuracy
    alone = jax.eval_shape(jaxnet.monitor(training), params)
    assert set(alone) == {"training_cost", "training_accuracy"}
