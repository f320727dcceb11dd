"""No improvement in n epochs: eta is halved down to 1/128, or training stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnet import schedule

after_epoch = jax.jit(schedule.after_epoch, static_argnames="patience")


def scales(accuracies, patience):
    state, found = schedule.begin(patience), []
    for accuracy in accuracies:
        state = after_epoch(state, accuracy, patience)
        found.append(float(jnp.asarray(state.scale)))
    return found


def by_hand(accuracies, patience):
    best, since, scale, found = -1.0, 0, 1.0, []
    for accuracy in accuracies:
        since = 0 if accuracy > best else since + 1
        best = max(best, accuracy)
        if since == patience:
            since, scale = 0, scale / 2
        found.append(scale)
    return found


@settings(max_examples=50)
@given(
    rights=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    patience=st.integers(1, 4),
)
def test_eta_is_halved_after_n_epochs_without_a_best(rights, patience):
    accuracies = [right / 20 for right in rights]
    assert scales(accuracies, patience) == by_hand(accuracies, patience)


@pytest.mark.parametrize("x64", [False, True])
def test_one_example_in_ten_thousand_is_an_improvement(x64):
    with jax.enable_x64(x64):
        accuracies = [0.9500 + 0.0001 * i for i in range(6)]
        assert scales(accuracies, 2) == [1] * 6
        assert scales([0.95] * 6, 2) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_a_schedule_ends_at_one_128th():
    state, epochs = schedule.begin(3), 0
    while not schedule.reached(state, schedule.LAST_SCALE):
        state = schedule.after_epoch(state, 0.5, 3)
        epochs += 1
    assert epochs == 1 + 7 * 3  # 1/128 is seven halvings


def test_early_stopping_is_the_first_halving():
    state = schedule.begin(10)
    stopped = []
    for _ in range(11):
        state = schedule.after_epoch(state, 0.5, 10)
        stopped.append(bool(schedule.reached(state, schedule.EARLY_STOP)))
    assert stopped == [False] * 10 + [True]


def test_many_runs_keep_their_own_count():
    accuracies = jnp.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.3]])

    def run(accuracies):
        def after(state, accuracy):
            return schedule.after_epoch(state, accuracy, 2), None

        return jax.lax.scan(after, schedule.begin(2), accuracies)[0].scale

    np.testing.assert_array_equal(jax.vmap(run)(accuracies), [0.5, 1.0])
