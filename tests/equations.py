"""What the tests of the equations share: problems in NumPy, and compiled functions.

NumPy compiles nothing, and a function is compiled once for each shape and cost: so the
tests of a chapter have one network, and as many examples.
"""

from typing import Any

import jax
import numpy as np

import jaxnet
from tests.helpers import compiled, problem

autodiff, backprop, errors, forward, loss, predict = map(
    compiled,
    (
        *(jaxnet.autodiff, jaxnet.backprop, jaxnet.errors),
        *(jaxnet.forward, jaxnet.loss, jaxnet.predict),
    ),
)


def network(sizes, m=6, **options):
    """`problem`, in NumPy."""
    return jax.tree.map(np.asarray, problem(sizes, m, **options))


def array(numbers) -> Any:
    """Numbers in NumPy, for functions that are annotated with JAX's arrays."""
    return np.array(numbers, float)


def layer_of(w, b, activation=jaxnet.sigmoid):
    """A layer in NumPy."""
    return jaxnet.Layer(array(w), array(b), activation)


def sigma(z):
    """The book's formula (1.3), as the oracle."""
    return 1 / (1 + np.exp(-np.asarray(z)))


def sigma_prime(z):
    """Its derivative by the quotient rule."""
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


def outputs(params, *x):
    """The outputs of a network, (neurons, points), for arrays of its inputs."""
    functions = {
        jaxnet.sigmoid: lambda z: sigma(z.clip(-700, 700)),
        jaxnet.linear: lambda z: z,
        jaxnet.relu: lambda z: z * (z > 0),
    }
    a = np.transpose(x)
    for layer in params:
        w, b = map(np.asarray, layer)
        a = functions[layer.activation](a @ w.T + b)
    return a.T


@compiled
def stepped(params, x, y, eta, cost=jaxnet.quadratic, gradient=jaxnet.backprop):
    """The network after one step of `jaxnet.step`."""
    state = jaxnet.start(params)
    return jaxnet.step(state, x, y, eta=eta, cost=cost, gradient=gradient).params
