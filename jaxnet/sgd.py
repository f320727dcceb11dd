"""Learning as a fold: a step, an epoch of steps, a run of epochs. Chapter 1.5.

Keys and eta are traced, so they may be swept with `jax.vmap` and never recompile;
sizes, the mini-batch size and the choices of function are static. An optimizer is a
function from eta to an optax transformation, such as `optax.sgd` or `optax.adam`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from jaxnet.activations import sigmoid
from jaxnet.checks import check_finite, check_training
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.network import Dataset, Hidden, Params, Scalar

Optimizer = Callable[[Any], optax.GradientTransformation]

_SHUFFLE = 0  # fold_in number of the stream that orders the examples of an epoch


class State(NamedTuple):
    """What a step changes: the network, and what its optimizer remembers."""

    params: Params
    optimizer: optax.OptState


def start(params: Params, optimizer: Optimizer = optax.sgd) -> State:
    """The state before the first step."""
    return State(params, optimizer(0.0).init(params))


def step(
    state: State,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    eta: Scalar,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    hidden: Hidden = sigmoid,
    optimizer: Optimizer = optax.sgd,
) -> State:
    """The state after learning from one mini-batch.

    With `optax.sgd`, w' = w - eta/m sum_x dC_x/dw  (1.20)
    and b' = b - eta/m sum_x dC_x/db  (1.21).
    """
    slope = gradient(state.params, x, y, cost=cost, hidden=hidden)
    updates, memory = optimizer(eta).update(slope, state.optimizer, state.params)
    return State(cast(Params, optax.apply_updates(state.params, updates)), memory)


@partial(jax.jit, static_argnames=("batch_size", "choices"))
def _epoch(key, state, data, eta, batch_size, choices):
    def learn(state: State, batch: Array) -> tuple[State, None]:
        return step(state, data.x[batch], data.y[batch], eta, *choices), None

    n = len(data.x)
    order = jax.random.permutation(jax.random.fold_in(key, _SHUFFLE), n)
    whole, rest = order[: n - n % batch_size], order[n - n % batch_size :]
    state, _ = jax.lax.scan(learn, state, whole.reshape(-1, batch_size))
    return learn(state, rest)[0] if len(rest) else state


def epoch(
    key: Key[Array, ""],
    state: State,
    data: Dataset,
    *,
    batch_size: int,
    eta: Scalar,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    hidden: Hidden = sigmoid,
    optimizer: Optimizer = optax.sgd,
) -> State:
    """The state after visiting every example once, in an order drawn from `key`.

    A last, shorter mini-batch is kept and divided by its own length, as in the book.
    Raises ValueError if the data do not fit the network, the mini-batch is larger
    than the data, or eta is not finite.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"Expected a State, from start(params), got {type(state).__name__}."
        )
    choices = (cost, gradient, hidden, optimizer)
    check_training(state.params, data, batch_size, eta, choices)
    eta = jnp.asarray(eta, state.params[0].w.dtype)
    return _epoch(key, state, data, eta, batch_size, choices)


def train(
    key: Key[Array, ""],
    params: Params,
    data: Dataset,
    *,
    epochs: int,
    batch_size: int,
    eta: Scalar,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    hidden: Hidden = sigmoid,
    optimizer: Optimizer = optax.sgd,
    evaluate: Callable[[Params], Any] = lambda params: None,
) -> tuple[Params, Any]:
    """The network after `epochs` epochs, and what `evaluate` said after each.

    Epoch number i draws from `fold_in(key, i)`: a Python loop over `epoch` with these
    keys does the same. Jit or vmap the experiment that calls this.
    Raises ValueError as `epoch` does, and if the data hold nan or infinity.
    """
    choices = (cost, gradient, hidden, optimizer)
    check_training(params, data, batch_size, eta, choices)
    check_finite(data)
    eta = jnp.asarray(eta, params[0].w.dtype)

    def one_epoch(state: State, number: Array) -> tuple[State, Any]:
        epoch_key = jax.random.fold_in(key, number)
        state = _epoch(epoch_key, state, data, eta, batch_size, choices)
        return state, evaluate(state.params)

    first = start(params, optimizer)
    last, history = jax.lax.scan(one_epoch, first, jnp.arange(epochs))
    return last.params, history
