"""One network on its way through an experiment, an epoch at a time."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxnet import schedule
from jaxnet.experiments import Experiment
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy
from jaxnet.sgd import State, epoch, start


class Course(NamedTuple):
    """A network on its way: what is known of it after each epoch."""

    state: State
    accuracy: Array
    going: Array
    broken_layer: Array
    halving: schedule.Plateau
    stopping: schedule.Plateau


def first_course(e: Experiment, key: Array) -> Course:
    """Where a seed's network begins."""
    state = start(e.init(key), e.optimizer)
    return Course(
        state,
        accuracy=jnp.asarray(jnp.nan, state.params[0].w.dtype),
        going=jnp.asarray(True),
        broken_layer=jnp.asarray(0),
        halving=schedule.begin(e.halve_after or 1),
        stopping=schedule.begin(e.stop_after or 1),
    )


def shapes(e: Experiment, networks: int) -> Course:
    """The shapes and dtypes of the courses of so many networks."""
    seeds = jax.ShapeDtypeStruct((networks,), int)
    keys = jax.eval_shape(jax.vmap(jax.random.key), seeds)
    return jax.eval_shape(jax.vmap(partial(first_course, e)), keys)


def learn(
    e: Experiment,
    key: Array,
    number: Array,
    state: State,
    train: Dataset,
    rates: dict[str, Any],
) -> State:
    """The state after the experiment's epoch of that number."""
    key = jax.random.fold_in(key, number)
    return epoch(key, state, train, **{**e.options(), **rates})  # type: ignore


def next_course(
    e: Experiment, course: Course, state: State, whole: Params, evaluation: Dataset
) -> Course:
    """The course with what an epoch has come to, or as it was if that is not finite."""
    right = accuracy(whole, evaluation)
    layer = jnp.where(jnp.isnan(right), len(state.params), 0)
    for l, parameters in reversed(list(enumerate(state.params, start=1))):
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(parameters)]
        layer = jnp.where(jnp.stack(finite).all(), layer, l)
    new = course._replace(state=state, accuracy=right, broken_layer=layer)
    if e.halve_after:
        halving = schedule.after_epoch(course.halving, right, e.halve_after)
        over = schedule.reached(halving, schedule.LAST_SCALE)
        new = new._replace(halving=halving, going=new.going & ~over)
    if e.stop_after:
        stopping = schedule.after_epoch(course.stopping, right, e.stop_after)
        over = schedule.reached(stopping, schedule.EARLY_STOP)
        new = new._replace(stopping=stopping, going=new.going & ~over)
    diverged = course._replace(
        accuracy=jnp.full_like(right, jnp.nan),
        broken_layer=layer,
        going=jnp.asarray(False),
    )
    after = jax.tree.map(partial(jnp.where, layer == 0), new, diverged)
    return jax.tree.map(partial(jnp.where, course.going), after, course)
