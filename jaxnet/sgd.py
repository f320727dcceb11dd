"""Learning as a fold: a step, an epoch of steps, a run of epochs. Chapter 1.5.

Keys, eta, lambda and the dropout rate are traced, so they may be swept with `jax.vmap`
and never recompile; sizes, the mini-batch size and functions are static.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from jaxnet.checks import (
    check_callable,
    check_cost,
    check_data,
    check_examples,
    check_integer,
    check_numbers,
    check_params,
)
from jaxnet.costs import Cost, quadratic
from jaxnet.forms import gradient_of
from jaxnet.gradients import Gradient, Inputs, Targets, backprop, on_any_mesh
from jaxnet.layers import Dataset, Params, Scalar, as_numbers, dtype_of
from jaxnet.network import stream
from jaxnet.regularization import with_dropout, with_penalty, without_dropout
from jaxnet.static import ByContent, warn_if_rebuilt

if TYPE_CHECKING:
    from optax import GradientTransformation
else:
    GradientTransformation = Any  # importing optax takes as long as most of JAX

Optimizer = GradientTransformation | Callable[[Any], GradientTransformation]
Augment = Callable[[Key[Array, ""], Array], Array]


class Options(TypedDict, total=False):
    """How to learn, as `epoch` describes it."""

    batch_size: Required[int]
    eta: Scalar
    l1: Scalar
    l2: Scalar
    dropout: Scalar
    cost: Cost
    gradient: Gradient
    optimizer: Optimizer
    augment: Augment | None
    shuffle: bool


class State(NamedTuple):
    """What a step changes: the network, and the state of its optimizer."""

    params: Params
    optimizer: Any


def gradient_descent(eta: Scalar) -> GradientTransformation:
    """`optax.sgd(eta)`, the default optimizer."""
    import optax

    return optax.sgd(eta)


def start(params: Params, optimizer: Optimizer = gradient_descent) -> State:
    """The state before the first step.

    Raises ValueError for a function from eta to an optimizer that keeps eta in its
    state, such as `optax.inject_hyperparams(optax.sgd)`: pass what it returns instead;
    and TypeError for an optimizer that needs more than gradients.
    """
    check_params(params)
    if hasattr(optimizer, "update"):
        return _first_state(params, _transformation(optimizer, None))
    with jax.ensure_compile_time_eval():  # eta, which is not known here, may be nan
        like = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), params)
        memory = jax.tree.leaves(_transformation(optimizer, jnp.nan).init(like))
        if any(jnp.isnan(leaf).any() for leaf in memory):
            raise ValueError(
                "Expected an optimizer whose state does not depend on eta, got one "
                "that keeps it. Pass it ready-made, as in optimizer=optax.rprop(0.1), "
                "to start and to epoch, without eta; or use train."
            )
    return _first_state(params, _transformation(optimizer, 0.0))


def _first_state(params: Params, update: GradientTransformation) -> State:
    state = update.init(params)
    with jax.numpy_dtype_promotion("standard"):  # some of optax counts in integers
        try:
            jax.eval_shape(update.update, params, state, params)
        except (TypeError, ValueError, AttributeError) as error:
            raise TypeError(
                "Expected an optimizer that takes gradients, its state and parameters, "
                f"got one that fails with them: {error} Call it in a loop of your own, "
                "with jaxnet.loss and jaxnet.backprop."
            ) from error
    return State(params, state)


def _transformation(optimizer: Optimizer, eta: Scalar | None) -> GradientTransformation:
    """The optimizer, ready-made or built from eta; else TypeError."""
    if hasattr(optimizer, "update"):
        if eta is not None:
            raise TypeError(
                "Expected no eta with a ready-made optimizer, which has its own "
                f"learning rate, got {eta}. Or pass a function of eta, such as "
                "optax.adam itself and not optax.adam(1e-3)."
            )
        return optimizer  # type: ignore
    check_callable(
        "optimizer", optimizer, "optax.adam, or a ready-made optax.adam(1e-3)"
    )
    if eta is None or callable(eta):
        raise TypeError(
            f"Expected a learning rate eta, such as 3.0, got {eta}. With a schedule, "
            "pass a ready-made optimizer, such as optax.sgd(schedule), and no eta."
        )
    update = optimizer(eta)  # type: ignore
    if not hasattr(update, "update"):
        raise TypeError(
            "Expected a function from eta to an optax transformation, such as "
            f"optax.adam, got one that returns a {type(update).__name__}."
        )
    return update


def _check_state(state: State) -> State:
    """The state. Raises TypeError unless it is one."""
    if not isinstance(state, State):
        raise TypeError(
            f"Expected a State, from start(params), got a {type(state).__name__}."
        )
    return state


def step(
    state: State,
    x: Inputs,
    y: Targets,
    *,
    eta: Scalar | None = None,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    optimizer: Optimizer = gradient_descent,
) -> State:
    """The state after learning from one mini-batch, with options as for `epoch`.

    With `optax.sgd`, w' = w - eta/m sum_x dC_x/dw  (1.20)
    and b' = b - eta/m sum_x dC_x/db  (1.21).
    Raises ValueError or TypeError as `epoch` does.
    """
    from optax import apply_updates

    params, memory = _check_state(state)
    check_examples(params, x, y)
    check_callable("gradient", gradient, "jaxnet.backprop")
    update = _transformation(optimizer, eta)
    expected = jax.tree.structure(jax.eval_shape(update.init, params))
    if jax.tree.structure(memory) != expected:
        raise ValueError(
            "Expected a State of this optimizer, from start(params, optimizer), got "
            "that of another optimizer."
        )
    slopes = gradient_of(gradient, params, x, y, cost)
    with jax.numpy_dtype_promotion("standard"):  # some of optax counts in integers
        updates, memory = update.update(slopes, memory, params)
    return State(apply_updates(params, updates), memory)  # type: ignore


permutation = jax.random.permutation  # this and `fold` are replaced by jaxnet.fast


def fold(
    load: Callable[[Array, Array], tuple[Array, Array]],
    learn: Callable[[State, Array, Array, Array], State],
    state: State,
    batches: Int[Array, "batches m"],
    *_: Any,
) -> State:
    """The state after learning from each mini-batch in turn."""

    def next_state(state: State, batch: tuple[Array, Array]) -> tuple[State, None]:
        return learn(state, batch[0], *load(*batch)), None

    numbered = (jnp.arange(len(batches)), batches)
    return jax.lax.scan(next_state, state, numbered)[0]


def _plan(
    params: Params,
    data: Dataset,
    *,
    batch_size: int,
    eta: Scalar | None = None,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    dropout: Scalar = 0.0,
    cost: Cost = quadratic,
    gradient: Gradient = backprop,
    optimizer: Optimizer = gradient_descent,
    augment: Augment | None = None,
    shuffle: bool = True,
) -> tuple[dict[str, Array], Callable[..., State]]:
    """The options of an epoch, validated: the rates, and `_epoch` with all others."""
    check_data(params, data)
    check_cost(params, cost)
    check_callable("gradient", gradient, "jaxnet.backprop")
    if augment is not None:
        check_callable("augment", augment, "jaxnet.datasets.rotations()")
    check_integer("batch_size", batch_size, 1, len(data))
    check_numbers({"l1": l1, "l2": l2}, 0)
    check_numbers({"dropout": dropout}, 0, 1)
    _transformation(optimizer, eta)
    rates: dict[str, Any] = {"l1": l1, "l2": l2, "dropout": dropout}
    # Those that are 0 would cost time, and are left out.
    rates = {k: r for k, r in rates.items() if not isinstance(r, int | float) or r}
    if eta is not None:
        check_numbers({"learning rate eta": eta}, -float("inf"))
        rates["eta"] = eta
    rates = {k: jnp.asarray(rate, dtype_of(params)) for k, rate in rates.items()}
    functions = ByContent((cost, gradient, optimizer, augment))
    options = {"batch_size": batch_size, "shuffle": shuffle, "functions": functions}
    return rates, partial(_epoch, **options)


@partial(jax.jit, static_argnames=("batch_size", "shuffle", "functions"))
def _epoch(
    key: Key[Array, ""],
    state: State,
    data: Dataset,
    rates: dict[str, Array],
    *,
    batch_size: int,
    shuffle: bool,
    functions: ByContent,
) -> State:
    cost, gradient, optimizer, augment = functions.value
    options: Any = {"cost": cost, "gradient": gradient, "optimizer": optimizer}
    shapes = (batch_size, *map(jnp.shape, jax.tree.leaves((state, data))))
    sigmas = tuple(layer.activation for layer in state.params)
    warn_if_rebuilt("epoch", shapes, activation=sigmas, augment=augment, **options)
    n, dtype = len(data), dtype_of(state.params)
    l1, l2 = (rates[name] / n if name in rates else None for name in ("l1", "l2"))

    def load(number: Array, batch: Array) -> tuple[Array, Array]:
        x = as_numbers(jnp.asarray(data.x)[batch], dtype)
        if augment is not None:
            x = augment(jax.random.fold_in(stream(key, "augment"), number), x)
        return x, jnp.asarray(data.y)[batch]

    def learn(state: State, number: Array, x: Array, y: Array) -> State:
        slopes = gradient
        if "dropout" in rates:
            mask_key = jax.random.fold_in(stream(key, "dropout"), number)
            slopes = with_dropout(slopes, mask_key, rates["dropout"])
        changed = options | {"gradient": with_penalty(slopes, l1, l2)}
        return step(state, x, y, eta=rates.get("eta"), **changed)

    order = permutation(stream(key, "order"), n) if shuffle else jnp.arange(n)
    batches = order[: n - n % batch_size].reshape(-1, batch_size)
    state = fold(load, learn, state, batches, gradient, optimizer)
    if n % batch_size:  # the last mini-batch is shorter, and divided by its own length
        number = jnp.asarray(len(batches))
        state = learn(state, number, *load(number, order[n - n % batch_size :]))
    return state


def epoch(
    key: Key[Array, ""], state: State, data: Dataset, **options: Unpack[Options]
) -> State:
    """The state after learning from every example once, in an order drawn from `key`.

    Options, of which `batch_size` is required, and `eta` unless the optimizer is
    ready-made; the defaults are those of the book's first program:

    - `batch_size`: examples in a mini-batch; the last one may be shorter, and is
      averaged over its own length;
    - `eta`: the learning rate;
    - `l1`, `l2`: the book's lambda, of C + lambda/n sum |w| (web 95) and of
      C + lambda/2n sum w^2 (web 85);
    - `dropout`: the probability of dropping each hidden neuron. Evaluate
      `without_dropout(state.params, dropout)`; `train` does that for you;
    - `cost`: such as `jaxnet.cross_entropy`, by default `jaxnet.quadratic`;
    - `gradient`: `jaxnet.backprop`, `jaxnet.autodiff`, an oracle or your own, in JAX,
      NumPy or PyTorch and in any form that `jaxnet.forms` recognises;
    - `optimizer`: a function from eta, such as `optax.adam`, by default `optax.sgd`; or
      a ready-made one, such as `optax.adam(1e-3)` or `optax.sgd(schedule)`, without
      `eta`. Pass the same to `start`;
    - `augment`: a function of a key and of the inputs of a mini-batch, to change them;
    - `shuffle`: False to take the examples in their own order, as chapter 6 does.

    >>> data = jaxnet.Dataset(jnp.eye(4), jnp.eye(4))
    >>> state = jaxnet.start(jaxnet.init(jax.random.key(0), [4, 3, 4]))
    >>> for number in range(3):
    ...     key = jax.random.fold_in(jax.random.key(0), number)
    ...     state = jaxnet.epoch(key, state, data, batch_size=2, eta=3.0)

    Raises ValueError if the data do not fit the network, or a number is out of range,
    and TypeError for arguments of other types.
    """
    _check_state(state)
    rates, one_epoch = _plan(state.params, data, **options)
    return on_any_mesh(one_epoch, key, state, data, rates)


def train(
    key: Key[Array, ""],
    params: Params,
    data: Dataset,
    *,
    epochs: int,
    evaluate: Callable[[Params], Any] | None = None,
    **options: Unpack[Options],
) -> tuple[Params, Any]:
    """The network after `epochs` epochs, and what `evaluate(params)` gave after each.

    The options are those of `epoch`; number i gets the key `fold_in(key, i)`, so a
    loop over `epoch` with these keys does the same. After training with dropout, both
    `evaluate` and the caller get the network with all its neurons, as from
    `without_dropout`. `jaxnet.monitor` makes functions for `evaluate`. Jit or vmap the
    experiment that calls this, with data as its arguments: what it closes over becomes
    a constant of the program, and XLA spends long on those.

    >>> data = jaxnet.Dataset(jnp.eye(4), jnp.eye(4))
    >>> params = jaxnet.init(jax.random.key(0), [4, 3, 4])
    >>> params, costs = jaxnet.train(
    ...     jax.random.key(0), params, data, epochs=5, batch_size=2, eta=3.0,
    ...     evaluate=jax.tree_util.Partial(jaxnet.total_cost, data=data))
    >>> costs.shape
    (5,)

    Raises as `epoch` does.
    """
    check_integer("the number of epochs", epochs, 0)
    rates, one_epoch = _plan(params, data, **options)
    optimizer = options.get("optimizer", gradient_descent)
    if not isinstance(evaluate, jax.tree_util.Partial):  # one has data, maybe sharded
        evaluate = jax.tree_util.Partial(evaluate or (lambda params: None))

    def run(
        key: Array, params: Params, data: Dataset, rates: dict[str, Array], measure: Any
    ) -> tuple[Params, Any]:
        rate = rates.get("dropout", 0)

        def next_state(state: State, number: Int[Array, ""]) -> tuple[State, Any]:
            state = one_epoch(jax.random.fold_in(key, number), state, data, rates)
            return state, measure(without_dropout(state.params, rate))

        first = _first_state(params, _transformation(optimizer, rates.get("eta")))
        state, history = jax.lax.scan(next_state, first, jnp.arange(epochs))
        return without_dropout(state.params, rate), history

    return on_any_mesh(run, key, params, data, rates, evaluate)
