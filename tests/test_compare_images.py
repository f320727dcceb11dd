"""What a diagnosis says of wrong gradients of convolutions and pooling.

Each is one of loops with a wrong piece, at images with equal activations.
"""

from typing import Any

import numpy as np
import pytest

import jaxnet
from jaxnet import Convolution, Layer, MaxPool
from jaxnet.compare import diagnose
from tests.loops import by_loops, carry, draw, dw, route, weigh

KERNELS: Any = np.random.default_rng(0).integers(-1, 2, (3, 1, 2, 2)).astype(float)
NETWORK = [
    Convolution(KERNELS, draw(3), (1, 7, 7), jaxnet.linear),
    MaxPool((3, 6, 6), 2, jaxnet.sigmoid),
    Convolution(draw(3, 3, 2, 2), draw(3), (3, 3, 3), jaxnet.sigmoid),
    Layer(draw(4, 12), draw(4), jaxnet.softmax),
]
X, Y = np.random.default_rng(0).uniform(size=(2, 49)), np.eye(4)[[1, 3]]
X[0] = X[0] > 0.5


def turned(w):
    return w[..., ::-1, ::-1]


def all_maxima(delta, squares):
    return delta[..., None, None] * (squares == squares.max((3, 4), keepdims=True))


def whole(delta, squares):
    return np.broadcast_to(delta[..., None, None], squares.shape)


def to_first(delta, squares):
    return delta[..., None, None] * (np.arange(4).reshape(2, 2) == 0)


def first_channel(a):
    return a * (np.arange(len(a)) < 1)[:, None, None]


CARRIED = "BP2 2: the error that is carried back"
FAULTS = {
    "2.3 0: w^l is turned by 180 degrees": {
        "weigh": lambda w, a: weigh(turned(w), a),
    },
    "BP2 2: w^3 is turned by 180 degrees": {
        "carry": lambda w, *rest: carry(turned(w), *rest),
    },
    "BP2 2: w^3 has rows and columns exchanged": {
        "carry": lambda w, *rest: carry(w.swapaxes(2, 3), *rest),
    },
    "BP2 2: w^3 has maps and channels exchanged": {
        "carry": lambda w, *rest: carry(w.swapaxes(0, 1), *rest),
    },
    "BP2 2: delta^3 is used in its first map only": {
        "carry": lambda w, delta, shape: carry(w[:1], delta[:1], shape),
    },
    "BP2 2: delta^3 is that of the first map in all of them, and 0.3333333333 times": {
        "carry": lambda w, delta, shape: carry(w.mean(0)[None], delta[:1], shape),
    },
    f"{CARRIED} is rolled by (1, 1)": {
        "carry": lambda *given: np.roll(carry(*given), 1, axis=(1, 2)),
    },
    f"{CARRIED} is used without its border": {
        "carry": lambda *given: np.pad(
            carry(*given)[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1))
        ),
    },
    "BP2 2, BP2 3: sigma'(z^3) is missing": {"prime": lambda sigma: np.ones_like},
    "BP2 1: the error goes to each of several maxima": {"route": all_maxima},
    "BP2 1: the error goes to all of a square, not to its maximum": {"route": whole},
    "BP2 1: the error goes to the first place of a square": {"route": to_first},
    "BP2 1: 0.25 times": {"route": lambda *given: route(*given) / 4},
    "BP2 1: the error has rows and columns exchanged in each square": {
        "route": lambda *given: route(*given).swapaxes(3, 4),
    },
    "BP3 1, BP3 3: a mean over the 4 places, not a sum": {
        "db": lambda delta: delta.mean(axis=(1, 2)),
    },
    "BP3 1, BP3 3: delta^3 is averaged over the maps, and 3 times": {
        "db": lambda delta: np.full(len(delta), delta.sum()),
    },
    "BP3 1, BP3 3: delta^1 is used at its first place only": {
        "db": lambda delta: delta[:, 0, 0],
    },
    "BP4 1, BP4 3: the gradient of w^3 is turned by 180 degrees": {
        "dw": lambda *given: turned(dw(*given)),
    },
    "BP4 1, BP4 3: the gradient of w^3 has rows and columns exchanged": {
        "dw": lambda *given: dw(*given).swapaxes(2, 3),
    },
    "BP4 1, BP4 3: delta^3 is used at odd columns only": {
        "dw": lambda delta, *rest: dw(delta * (np.arange(delta.shape[2]) % 2), *rest),
    },
    "BP4 1, BP4 3: a^2 is rolled by (0, 1)": {
        "dw": lambda delta, a, shape: dw(delta, np.roll(a, 1, axis=2), shape),
    },
    "BP4 3: a^2 is used in its first map only": {
        "dw": lambda delta, a, shape: dw(delta, first_channel(a), shape),
    },
    "BP4 1, BP4 3: a mean over the 4 places, not a sum": {
        "dw": lambda delta, *rest: dw(delta, *rest) / delta[0].size,
    },
}
RIGHT = {
    "the first of several maxima": {},
    "the last of several maxima": {
        "route": lambda delta, squares: turned(route(delta, turned(squares)))
    },
}


def diagnosed(pieces):
    def candidate(params, x, y, cost):
        return by_loops(params, x, y, **pieces)

    return diagnose(candidate, NETWORK, X, Y, jaxnet.log_likelihood)


SOME = [
    pytest.param(f, marks=[pytest.mark.slow] if i % 4 - 1 else [])
    for i, f in enumerate(FAULTS)
]


@pytest.mark.parametrize("fault", SOME)
def test_a_planted_fault_is_named(x64, fault):
    rows, (broken, mistake) = diagnosed(FAULTS[fault]), fault.split(": ")
    assert ", ".join(sorted(f"{row.name} {row.layer}" for row in rows)) == broken
    assert all(row.mistake for row in rows)
    assert mistake in " / ".join(row.mistake for row in rows)


@pytest.mark.parametrize("convention", RIGHT)
def test_any_of_several_maxima_is_right(x64, convention):
    assert diagnosed(RIGHT[convention]) == []
