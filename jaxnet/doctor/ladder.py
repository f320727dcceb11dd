"""The sanity ladder: what learning must do on any data, each rung in a second or so.

The least cost, the costs at initialisation and the penalties are known from theory.
"""

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxnet import sgd
from jaxnet.activations import softmax
from jaxnet.compare.leaves import compare_gradients
from jaxnet.costs import cross_entropy, log_likelihood
from jaxnet.doctor.finding import Trouble
from jaxnet.gradients import autodiff, backprop, loss
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy, total_cost
from jaxnet.network import init, scaled_layer
from jaxnet.sgd import train

_HIDDEN, _EPOCHS, _ETA = 30, 1000, 0.5
_TINY = 1e-6  # of weights, so that every output says nothing
_LAMBDA = 5.0
_LEARNT = 0.01  # of the cost of a network that says nothing
_REINSTALL = "Is the code of jaxnet or JAX changed? Reinstall them."
_COMPARE = "python -m jaxnet compare says what is wrong."


# Compiled once, and not op by op.
_init = jax.jit(partial(init, init_layer=scaled_layer), static_argnums=1)


def _network(seed: int, data: Dataset) -> Params:
    sizes = data.x.shape[1], _HIDDEN, data.y.shape[1]
    return _init(jax.random.key(seed), sizes)


def initial_cost(data: Dataset) -> str:
    """The costs of a network that says nothing: of ten classes, 10 ln 2 and ln 10."""
    classes = data.y.shape[1]
    came = map(float, _first_costs(_network(0, data), data))
    found = []
    for cost, name, words, expected in zip(
        came,
        ("cross-entropy", "log-likelihood"),
        (f"{classes} ln 2", f"ln {classes}"),
        (classes * math.log(2), math.log(classes)),
        strict=True,
    ):
        if not abs(cost - expected) < 1e-3 * expected:
            raise Trouble(
                f"with tiny weights the {name} cost is {cost:.4f}, expected {words} = "
                f"{expected:.4f}",
                _REINSTALL,
            )
        found.append(f"{name} {cost:.4f} = {words}")
    return f"with tiny weights: {', '.join(found)}"


@jax.jit
def _first_costs(params: Params, data: Dataset) -> list[Float[Array, ""]]:
    tiny = jax.tree.map(lambda leaf: _TINY * leaf, params)
    soft = [*tiny[:-1], replace(tiny[-1], activation=softmax)]
    return [
        loss(tiny, data.x, data.y, cross_entropy),
        loss(soft, data.x, data.y, log_likelihood),
    ]


def gradients(data: Dataset) -> str:
    """How far the gradient by hand is from the automatic one, in both precisions."""
    params = _network(0, data)
    found = []
    for dtype in ("float64", "float32"):
        # Compiled anew for each precision; an eager gradient compiles more than that.
        by_hand, automatic = (
            jax.jit(partial(gradient, cost=cross_entropy))
            for gradient in (backprop, autodiff)
        )
        with jax.default_matmul_precision("highest"):
            beside = compare_gradients(
                by_hand, automatic, params, data.x[:10], data.y[:10], dtype=dtype
            )
        worst = max(
            beside.leaves, key=lambda leaf: (not leaf.agrees, leaf.relative_error)
        )
        if not beside.agrees:
            raise Trouble(
                f"backprop differs from autodiff in {dtype}, {worst.name}, by "
                f"{worst.relative_error:.1e}, expected at most {beside.tolerance:.1e}",
                _COMPARE,
            )
        found.append(f"{beside.relative_error:.1e} in {dtype}")
    return f"backprop is autodiff within {', '.join(found)}"


class _Learnt(NamedTuple):
    """A network after learning a few examples, and what came of it on them."""

    params: Params
    cost: Float[Array, ""]
    cost_with_l2: Float[Array, ""]
    accuracy: Float[Array, ""]


def _learn(seed: int, few: Dataset) -> _Learnt:
    return _learn_by_heart(jax.random.key(seed), _network(seed, few), few)


@jax.jit
def _learn_by_heart(key: Key[Array, ""], params: Params, few: Dataset) -> _Learnt:
    params, _ = train(
        key,
        params,
        few,
        epochs=_EPOCHS,
        batch_size=min(10, len(few.x)),
        eta=_ETA,
        cost=cross_entropy,
    )
    return _Learnt(
        params,
        total_cost(params, few, cross_entropy),
        total_cost(params, few, cross_entropy, l2=_LAMBDA, n=len(few.x)),
        accuracy(params, few),
    )


def overfitting(few: Dataset) -> str:
    """The cost and accuracy after learning a few examples by heart."""
    n = len(few.x)
    learnt = _learn(0, few)
    right, cost, most = float(learnt.accuracy), float(learnt.cost), _nothing(few)
    words = f"{right * n:.0f}/{n} right, cost {cost:.4f}"
    if not (right == 1 and cost < most):
        raise Trouble(
            f"after {_EPOCHS} epochs on {n} examples: {words}, expected {n}/{n}, below "
            f"{most:.4f}",
            "Are inputs between 0 and 1, and no example twice with different labels? "
            "python -m jaxnet describe says.",
        )
    return f"{n} examples by heart: {words}"


def _nothing(few: Dataset) -> float:
    """A cost that is as good as none."""
    return _LEARNT * few.y.shape[1] * math.log(2)


def baseline(few: Dataset) -> str:
    """The cost without inputs: that of knowing the frequencies of the classes."""
    blank = replace(few, x=jnp.zeros_like(few.x))
    cost, seen = (float(_learn(0, data).cost) for data in (blank, few))
    p = np.asarray(few.y, float).mean(axis=0)
    terms = [q * math.log(q) for q in (*p, *(1 - p)) if q > 0]
    least = max(0.0, -math.fsum(terms))
    frequencies = 0.999 * least <= cost < 1.2 * least + _nothing(few)
    if not (frequencies and seen < cost + _nothing(few)):
        raise Trouble(
            f"with blank inputs the cost is {cost:.4f}, with inputs "
            f"{seen:.4f}; frequencies alone allow {least:.4f}",
            "Does a label reach the network by another way than its input?",
        )
    return f"blank inputs teach frequencies: cost {cost:.3f}, least {least:.3f}"


def penalties(few: Dataset) -> str:
    """By how much L2 raises the cost: lambda/2n sum w^2 (web 87)."""
    learnt = _learn(0, few)
    squares = sum(np.square(np.asarray(w, float)).sum() for w, _ in learnt.params)
    expected = _LAMBDA * squares / (2 * len(few.x))
    came = float(learnt.cost_with_l2) - float(learnt.cost)
    if not abs(came - expected) < 1e-4 * expected:
        raise Trouble(
            f"L2 raises the cost by {came:.4f}, expected lambda/2n sum w^2 = "
            f"{expected:.4f}",
            _REINSTALL,
        )
    return f"L2 raises the cost by {came:.4f} = lambda/2n sum w^2"


def same_bits(few: Dataset) -> str:
    """Whether the same key gives the same network, and another key another."""
    one, again, other = (_bits(_learn(seed, few).params) for seed in (0, 0, 1))
    if one != again:
        raise Trouble(
            "training twice with one key gives different bits",
            "On a GPU, set XLA_FLAGS=--xla_gpu_deterministic_ops=true.",
        )
    if one == other:
        raise Trouble("two keys give the same network", _REINSTALL)
    return "the same key gives the same bits, another key others"


def _bits(params: Params) -> bytes:
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(params))


def order(n: int) -> str:
    """Whether an epoch's order has every example once."""
    drawn = np.asarray(
        jax.jit(sgd.engine.shuffle, static_argnums=1)(jax.random.key(0), n)
    )
    times = np.bincount(drawn, minlength=n)
    if len(times) != n or (times != 1).any():
        raise Trouble(
            f"an epoch's order of {n:,} examples leaves out {np.sum(times[:n] == 0):,}",
            _REINSTALL,
        )
    return f"an epoch's order has each of {n:,} examples once"
