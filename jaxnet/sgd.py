"""Learning as a fold: a step, an epoch of steps, a run of epochs. Chapter 1.5.

Keys, eta, lambda and the dropout rate are traced, so they may be swept with `jax.vmap`
and never recompile; sizes, the mini-batch size and the choices of function are static.
An optimizer is a function from eta to an optax transformation, such as `optax.sgd`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from jaxnet import regularization
from jaxnet.activations import sigmoid
from jaxnet.checks import check_finite, check_training
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.network import Dataset, Hidden, Params, Scalar, as_numbers

Optimizer = Callable[[Any], optax.GradientTransformation]

Augment = Callable[[Array, Array], Array]

# fold_in numbers of an epoch's streams: its order, dropped neurons, changed inputs
_SHUFFLE, _DROP, _AUGMENT = 0, 1, 2


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
    penalties: Sequence[optax.GradientTransformation] = (),
) -> State:
    """The state after learning from one mini-batch.

    With `optax.sgd`, w' = w - eta/m sum_x dC_x/dw  (1.20)
    and b' = b - eta/m sum_x dC_x/db  (1.21). With the penalty `regularization.l2`,
    w' = (1 - eta lambda/n) w - eta/m sum_x dC_x/dw  (web 93).
    """
    slope = gradient(state.params, x, y, cost=cost, hidden=hidden)
    for term in penalties:
        slope, _ = term.update(slope, term.init(state.params), state.params)
    with jax.numpy_dtype_promotion("standard"):  # some of optax counts in integers
        updates, memory = optimizer(eta).update(slope, state.optimizer, state.params)
    return State(cast(Params, optax.apply_updates(state.params, updates)), memory)


class Rates(NamedTuple):
    """What is traced beside eta; None where it is off, which costs nothing."""

    l1: Scalar | None
    l2: Scalar | None
    dropout: Scalar | None


def shuffled(key: Key[Array, ""], n: int) -> Int[Array, " n"]:
    """The numbers 0 to n - 1 in random order, by two sorts of random bits.

    Each number lies in the low bits of its own sort key, so that one array is sorted
    instead of two: a sixth of the time of `jax.random.permutation`, which takes over
    where numbers so large leave too few random bits.
    """
    width = (n - 1).bit_length()
    if width > 18:
        return jax.random.permutation(key, n)
    low = jnp.uint32(2**width - 1)
    numbers = jnp.arange(n, dtype=jnp.uint32)
    bits = jax.random.bits(key, (2, n), jnp.uint32)
    first, then = (jnp.sort((row & ~low) | numbers) & low for row in bits)
    return first[then].astype(int)


def _not_before(state: State, batch: Array) -> Array:
    """The same numbers, but known only after the state is.

    So XLA loads the next mini-batch when the last one is done with, in its place, where
    it would copy both: a tenth of a step's time. (A broken network may learn anything.)
    """
    return jnp.where(jnp.isnan(state.params[0].w[0, 0]), 0, batch)


@partial(jax.jit, static_argnames=("batch_size", "choices", "augment"))
def _epoch(key, state, data, eta, rates, batch_size, choices, augment):
    cost, gradient, hidden, optimizer = choices
    n = len(data.x)
    l1, l2, dropout = rates
    penalties = [
        term(rate / n)
        for term, rate in ((regularization.l1, l1), (regularization.l2, l2))
        if rate is not None
    ]
    order_key, drop_key, augment_key = (
        jax.random.fold_in(key, stream) for stream in (_SHUFFLE, _DROP, _AUGMENT)
    )

    def load(batch: Array, number: Array) -> tuple[Array, Array]:
        x = as_numbers(data.x[batch], eta.dtype)
        if augment is not None:
            x = augment(jax.random.fold_in(augment_key, number), x)
        return x, data.y[batch]

    def learn(state: State, x: Array, y: Array, number: Array) -> State:
        sigmas = hidden
        if dropout is not None:
            mask_key = jax.random.fold_in(drop_key, number)
            sigmas = regularization.drop(mask_key, state.params, hidden, dropout)
        return step(state, x, y, eta, cost, gradient, sigmas, optimizer, penalties)

    def learn_and_load(
        carry: tuple[State, tuple[Array, Array]], following: tuple[Array, Array]
    ) -> tuple[tuple[State, tuple[Array, Array]], None]:
        state, (x, y) = carry
        batch, number = following
        state = learn(state, x, y, number)
        return (state, load(_not_before(state, batch), number + 1)), None

    order = shuffled(order_key, n)
    whole, rest = order[: n - n % batch_size], order[n - n % batch_size :]
    batches = whole.reshape(-1, batch_size)
    numbers = jnp.arange(len(batches))
    # A mini-batch is a value of the loop when it is learnt from: what a step computes
    # from a value still to be looked up, XLA looks up again for each neuron.
    first = (state, load(batches[0], numbers[0]))
    following = (jnp.roll(batches, -1, axis=0), numbers)
    (state, _), _ = jax.lax.scan(learn_and_load, first, following)
    if len(rest):
        state = learn(state, *load(rest, numbers[-1] + 1), numbers[-1] + 1)
    return state


def _rates(params: Params, l1: Scalar, l2: Scalar, dropout: Scalar) -> Rates:
    def traced(rate: Scalar) -> Array | None:
        off = isinstance(rate, int | float) and rate == 0
        return None if off else jnp.asarray(rate, params[0].w.dtype)

    return Rates(*map(traced, (l1, l2, dropout)))


def epoch(
    key: Key[Array, ""],
    state: State,
    data: Dataset,
    *,
    batch_size: int,
    eta: Scalar,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    dropout: Scalar = 0.0,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    hidden: Hidden = sigmoid,
    optimizer: Optimizer = optax.sgd,
    augment: Augment | None = None,
) -> State:
    """The state after visiting every example once, in an order drawn from `key`.

    A last, shorter mini-batch is kept and divided by its own length, as in the book.
    `l1` and `l2` are the book's lambda, of C + lambda/n sum |w| (web 95) and of
    C + lambda/2n sum w^2 (web 85); `dropout` is the chance of a hidden neuron to be
    left out of a mini-batch, so evaluate `whole_network(params, dropout)`.
    `augment(key, x)` may change the inputs of each mini-batch.
    Raises ValueError if the data do not fit the network, the mini-batch is larger
    than the data, or a number is out of its range.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"Expected a State, from start(params), got {type(state).__name__}."
        )
    choices = (cost, gradient, hidden, optimizer)
    numbers = {"l1": l1, "l2": l2, "dropout": dropout}
    check_training(state.params, data, batch_size, eta, choices, numbers)
    memory = jax.eval_shape(optimizer(0.0).init, state.params)
    if jax.tree.structure(memory) != jax.tree.structure(state.optimizer):
        raise ValueError(
            "Expected a State of this optimizer, from start(params, optimizer), got "
            "that of another optimizer."
        )
    eta = jnp.asarray(eta, state.params[0].w.dtype)
    rates = _rates(state.params, **numbers)
    return _epoch(key, state, data, eta, rates, batch_size, choices, augment)


def train(
    key: Key[Array, ""],
    params: Params,
    data: Dataset,
    *,
    epochs: int,
    batch_size: int,
    eta: Scalar,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    dropout: Scalar = 0.0,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    hidden: Hidden = sigmoid,
    optimizer: Optimizer = optax.sgd,
    augment: Augment | None = None,
    evaluate: Callable[[Params], Any] = lambda params: None,
) -> tuple[Params, Any]:
    """The network after `epochs` epochs, and what `evaluate` said after each.

    Epoch number i draws from `fold_in(key, i)`: a Python loop over `epoch` with these
    keys does the same. Jit or vmap the experiment that calls this. `metrics.monitor`
    makes functions for `evaluate`.
    Raises ValueError as `epoch` does, and if the data hold nan or infinity.
    """
    choices = (cost, gradient, hidden, optimizer)
    numbers = {"l1": l1, "l2": l2, "dropout": dropout}
    check_training(params, data, batch_size, eta, choices, numbers)
    check_finite(data)
    eta = jnp.asarray(eta, params[0].w.dtype)
    rates = _rates(params, **numbers)

    def one_epoch(state: State, number: Array) -> tuple[State, Any]:
        epoch_key = jax.random.fold_in(key, number)
        state = _epoch(epoch_key, state, data, eta, rates, batch_size, choices, augment)
        return state, evaluate(state.params)

    first = start(params, optimizer)
    last, history = jax.lax.scan(one_epoch, first, jnp.arange(epochs))
    return last.params, history
