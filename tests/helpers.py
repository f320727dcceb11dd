"""Small problems, one way to compare trees of arrays, and the book's own algorithm."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet import Activation, sigmoid
from jaxnet.cli import main
from jaxnet.experiments import Runner


def idx(array, code: int = 8, dtype: str = "u1") -> bytes:
    """The bytes of an IDX file, of unsigned bytes unless told otherwise."""
    array = np.asarray(array, dtype)
    sizes = b"".join(size.to_bytes(4) for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


@cache
def compiled(function):
    """The function as one program: one by one its parts take seconds to compile."""
    choices = {"gradient", "optimizer"} & inspect.signature(function).parameters.keys()
    return jax.jit(function, static_argnames=sorted(choices))


class CountedBackprop:
    """`backprop` that counts how often it is traced: each time that it is compiled."""

    def __init__(self):
        self.traces = 0

    def __call__(self, *args, **kwargs):
        self.traces += 1
        return jaxnet.backprop(*args, **kwargs)


def problem(
    sizes,
    m=7,
    seed=0,
    hidden: Activation | Sequence[Activation] = sigmoid,
    output: Activation = sigmoid,
):
    """A random network, and m examples whose targets are not one-hot but in [0, 1].

    `hidden` is one activation or one for each hidden layer, as in `jaxnet.init`; the
    numbers are NumPy's, for which nothing is compiled.
    """
    rng = np.random.default_rng(seed)

    def array(numbers):
        dtype = jnp.result_type(float)  # `jnp.asarray` would compile a copy
        return jax.device_put(np.asarray(numbers, dtype))

    if isinstance(hidden, Activation):
        hidden = [hidden] * (len(sizes) - 2)
    params = [
        jaxnet.Layer(
            array(rng.normal(size=(n_out, n_in))),
            array(rng.normal(size=n_out)),
            activation,
        )
        for (n_in, n_out), activation in zip(
            pairwise(sizes), [*hidden, output], strict=True
        )
    ]
    x = array(rng.normal(size=(m, sizes[0])))
    return params, x, array(rng.uniform(size=(m, sizes[-1])))


def formula_of(cost):
    """The cost as the book writes it, a function of the outputs a and targets y."""
    assert cost.formula is not None
    return cost.formula


def relative_error(actual, expected) -> float:
    """The largest over leaves of ||actual - expected|| / ||expected||."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    worst = 0.0
    leaves = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    for one, other in leaves:
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape and one.dtype == other.dtype
        error, size = np.linalg.norm(one - other), np.linalg.norm(other)
        assert np.isfinite(error)
        worst = max(worst, float(error / size if size > 0 else error))
    return worst


def assert_close(actual, expected, rtol):
    error = relative_error(actual, expected)
    assert error <= rtol, f"relative error {error:.2e} of a leaf is above {rtol:.0e}"


def numpy_gradient(params, x, y, cost, activation="sigmoid"):
    """Backpropagation as the book's first program does it, one example at a time."""

    def sigma(z):
        return 1 / (1 + np.exp(-z))

    def sigma_prime(z):
        return sigma(z) * (1 - sigma(z))

    f, f_prime = {
        "sigmoid": (sigma, sigma_prime),
        "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
        "relu": (lambda z: z * (z > 0), lambda z: 1.0 * (z > 0)),
        "linear": (lambda z: z, np.ones_like),
    }[activation]

    layers = [(np.asarray(w), np.asarray(b)) for w, b in params]
    total = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for one_x, one_y in zip(np.asarray(x), np.asarray(y), strict=True):
        activations, zs = [one_x], []
        for l, (w, b) in enumerate(layers):
            z = np.array([sum(w[j] * activations[-1]) + b[j] for j in range(len(b))])
            zs.append(z)
            activations.append(sigma(z) if l == len(layers) - 1 else f(z))
        delta = activations[-1] - one_y
        if cost == "quadratic":
            delta = delta * sigma_prime(zs[-1])
        for l in range(len(layers) - 1, -1, -1):
            nabla_w, nabla_b = total[l]
            nabla_w += np.outer(delta, activations[l])
            nabla_b += delta
            if l > 0:
                delta = (layers[l][0].T @ delta) * f_prime(zs[l - 1])
    return [(nabla_w / len(x), nabla_b / len(x)) for nabla_w, nabla_b in total]


def refused(capsys, *argv: object) -> str:
    """The line with which a command is refused."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in argv])
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    assert code == 2 and output.out == "" and output.err.count("\n") == 1
    return output.err


def raising(kind: type[BaseException], *message: str):
    """A function that fails, whatever it is called with."""

    def fail(*args, **kwargs):
        raise kind(*message)

    return fail


def assert_lines(axes, expected) -> None:
    """The lines of a drawing that have these labels go through these x and y."""
    lines = {line.get_label(): line.get_data() for line in axes.lines}
    for label, points in expected.items():
        np.testing.assert_allclose(lines[label], points, rtol=1e-6)


_RUNNERS: dict = {}


def cached_runner(e, train, evaluation, networks=1, varied=(), measure=None, **options):
    """A `Runner`, compiled once for all experiments that differ in epochs and eta."""
    data = (train, evaluation, options.get("test"))
    key = (replace(e, epochs=e.evaluate_every, eta=1.0), networks, measure)
    key += (*sorted({"eta", *varied}), options.get("rows"), jnp.result_type(float))
    key += tuple(leaf.shape for leaf in jax.tree.leaves(data))
    if key not in _RUNNERS:
        runner = Runner(e, train, evaluation, networks, varied, measure, **options)
        _RUNNERS[key] = runner
    _RUNNERS[key].experiment = e
    return _RUNNERS[key]
