"""The book's mini-batch descent written in several ways, for `benchmark.py` to time.

Each is a sigmoid network with the quadratic cost that learns from mini-batches in
random order by w' = w - eta/m sum_x dC_x/dw, in float32. There are two kinds. A Python
loop over steps is how each framework's tutorial trains. In a scan, the steps of an
epoch are one program, as in `jaxnet.epoch`, so that only the step itself differs.
Docstrings say where one differs otherwise.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet


class Way(NamedTuple):
    """A way to train: `run()` does this part of an epoch."""

    run: Callable[[], Any]
    part: float


Begin = Callable[[Sequence[int], jaxnet.Dataset, int, float], Way]


def _params(sizes: Sequence[int]) -> jaxnet.Params:
    return jaxnet.init(jax.random.key(0), sizes)


def _numbers(
    data: jaxnet.Dataset, dtype: type = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    return np.array(data.x, dtype) / 256, np.array(data.y, dtype)


def _epoch(sizes, data, m, eta, **choices) -> Way:
    state = jaxnet.start(_params(sizes))
    keys = iter(jax.random.split(jax.random.key(1), 10_000))

    def run() -> Any:
        options = {"batch_size": m, "eta": eta, **choices}
        return jaxnet.epoch(next(keys), state, data, **options)

    return Way(run, 1.0)


def epoch(sizes, data, m, eta) -> Way:
    """`jaxnet.epoch` on bytes, as the command line trains."""
    return _epoch(sizes, data, m, eta)


def epoch_by_jax_grad(sizes, data, m, eta) -> Way:
    """`jaxnet.epoch` with `gradient=autodiff`."""
    return _epoch(sizes, data, m, eta, gradient=jaxnet.autodiff)


def _python_loop(
    learn: Callable[[np.ndarray], Any], examples: int, m: int, steps: int
) -> Way:
    """A loop of steps: `learn` gets the places of mini-batches in random order."""
    order = np.random.default_rng(0)

    def run() -> Any:
        return learn(order.permutation(examples)[: steps * m].reshape(-1, m))

    return Way(run, steps * m / examples)


def _scan(learn: Callable[..., Any], start: Any, data: jaxnet.Dataset, m: int) -> Way:
    """An epoch as one program, `learn(state, x, y)` being its step."""
    x, y = map(jnp.asarray, _numbers(data))
    steps = len(x) // m
    keys = iter(jax.random.split(jax.random.key(1), 10_000))

    @jax.jit
    def all_steps(key, state, x, y):
        def once(state, batch):
            return learn(state, x[batch], y[batch]), None

        order = jax.random.permutation(key, len(x))[: steps * m]
        return jax.lax.scan(once, state, order.reshape(-1, m))[0]

    return Way(lambda: all_steps(next(keys), start, x, y), steps * m / len(x))


def jax_grad_in_scan(sizes, data, m, eta) -> Way:
    """JAX alone: pairs (w, b), `jax.grad` of the mean cost, and SGD by hand."""

    def cost(layers, a, y):
        for w, b in layers:
            a = jax.nn.sigmoid(a @ w.T + b)
        return _quadratic(a, y)

    def learn(layers, x, y):
        slopes = jax.grad(cost)(layers, x, y)
        return jax.tree.map(lambda w, slope: w - eta * slope, layers, slopes)

    return _scan(learn, [tuple(layer) for layer in _params(sizes)], data, m)


def jitted_step(sizes, data, m, eta) -> Way:
    """A jitted `jaxnet.step` in a Python loop, which most JAX programs are."""
    x, y = _numbers(data)
    start = jaxnet.start(_params(sizes))
    step = jax.jit(jaxnet.step)

    def learn(places: np.ndarray) -> Any:
        state = start
        for batch in places:
            state = step(state, x[batch], y[batch], eta=eta)
        return state

    return _python_loop(learn, len(x), m, 1000)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def numpy_by_example(sizes, data, m, eta) -> Way:
    """The book's algorithm: columns, a loop over examples and over layers, float64."""
    x, y = _numbers(data, np.float64)
    start = [
        (np.array(w, np.float64), np.array(b, np.float64)[:, None])
        for w, b in _params(sizes)
    ]

    def gradient(layers, a, y):
        activations, slopes = [a], []
        for w, b in layers:
            activations.append(_sigmoid(w @ activations[-1] + b))
        a = activations.pop()
        delta = (a - y) * a * (1 - a)
        for w, _ in layers[::-1]:
            a = activations.pop()
            slopes.append((delta @ a.T, delta))
            if activations:
                delta = (w.T @ delta) * a * (1 - a)
        return slopes[::-1]

    def learn(places: np.ndarray) -> Any:
        layers = start
        for batch in places:
            total = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
            for i in batch:
                slopes = gradient(layers, x[i][:, None], y[i][:, None])
                total = [
                    (tw + sw, tb + sb)
                    for (tw, tb), (sw, sb) in zip(total, slopes, strict=True)
                ]
            layers = [
                (w - eta / m * tw, b - eta / m * tb)
                for (w, b), (tw, tb) in zip(layers, total, strict=True)
            ]
        return layers

    return _python_loop(learn, len(x), m, 100)


def numpy_by_mini_batch(sizes, data, m, eta) -> Way:
    """The same with a mini-batch as a matrix, updated in place."""
    x, y = _numbers(data)
    start = [(np.array(w), np.array(b)) for w, b in _params(sizes)]
    rate = np.float32(eta / m)

    def learn(places: np.ndarray) -> Any:
        layers = [(w.copy(), b.copy()) for w, b in start]
        for batch in places:
            activations = [x[batch]]
            for w, b in layers:
                activations.append(_sigmoid(activations[-1] @ w.T + b))
            a = activations.pop()
            delta = (a - y[batch]) * a * (1 - a)
            for w, b in layers[::-1]:
                a, error = activations.pop(), delta
                if activations:
                    delta = (error @ w) * a * (1 - a)
                w -= rate * (error.T @ a)
                b -= rate * error.sum(0)
        return layers

    return _python_loop(learn, len(x), m, 1000)


def _pytorch(sizes, data, m, eta, *, compiled: bool) -> Way:
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    x, y = map(torch.from_numpy, _numbers(data))
    modules: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        modules += [torch.nn.Linear(n_in, n_out), torch.nn.Sigmoid()]
    model = torch.nn.Sequential(*modules)
    optimizer = torch.optim.SGD(model.parameters(), lr=eta)

    def step(x, y):
        optimizer.zero_grad()
        cost = ((model(x) - y) ** 2).sum() / (2 * m)
        cost.backward()
        optimizer.step()

    once = torch.compile(step) if compiled else step

    def learn(places: np.ndarray) -> None:
        for batch in torch.from_numpy(places):
            once(x[batch], y[batch])

    return _python_loop(learn, len(x), m, 500)


def pytorch(sizes, data, m, eta) -> Way:
    """PyTorch as its tutorials have it: modules, autograd, `optim.SGD`, eager."""
    return _pytorch(sizes, data, m, eta, compiled=False)


def pytorch_compiled(sizes, data, m, eta) -> Way:
    """The same with the step, its backward pass and update in `torch.compile`."""
    return _pytorch(sizes, data, m, eta, compiled=True)


def _quadratic(outputs: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(jnp.sum((outputs - y) ** 2, axis=1)) / 2


def _equinox(sizes, eta) -> tuple[Any, Callable[..., Any]]:
    """A model with the state of its optimizer, and a step."""
    eqx: Any = import_module("equinox")
    model = eqx.nn.MLP(
        *(sizes[0], sizes[-1], sizes[1], len(sizes) - 2),
        activation=jax.nn.sigmoid,
        final_activation=jax.nn.sigmoid,
        key=jax.random.key(0),
    )
    optimizer = optax.sgd(eta)

    def cost(model, x, y):
        return _quadratic(jax.vmap(model)(x), y)

    def step(state, x, y):
        model, memory = state
        slope = eqx.filter_grad(cost)(model, x, y)
        updates, memory = optimizer.update(slope, memory)
        return eqx.apply_updates(model, updates), memory

    return (model, optimizer.init(eqx.filter(model, eqx.is_array))), step


def equinox(sizes, data, m, eta) -> Way:
    """Equinox: an `nn.MLP`, `filter_jit` and `filter_grad`, optax."""
    eqx: Any = import_module("equinox")
    x, y = _numbers(data)
    start, step = _equinox(sizes, eta)
    step = eqx.filter_jit(step)

    def learn(places: np.ndarray) -> Any:
        state = start
        for batch in places:
            state = step(state, x[batch], y[batch])
        return jax.tree.leaves(eqx.filter(state, eqx.is_array))

    return _python_loop(learn, len(x), m, 500)


def equinox_in_scan(sizes, data, m, eta) -> Way:
    """The same step of Equinox in a scan."""
    eqx: Any = import_module("equinox")
    start, step = _equinox(sizes, eta)
    arrays, rest = eqx.partition(start, eqx.is_array)

    def learn(arrays, x, y):
        return eqx.filter(step(eqx.combine(arrays, rest), x, y), eqx.is_array)

    return _scan(learn, arrays, data, m)


def _flax(sizes, eta) -> tuple[Any, Any, Callable[..., None]]:
    """A model, its optimizer, and a step that changes them in place."""
    nnx: Any = import_module("flax.nnx")

    class Network(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            layers = [nnx.Linear(*shape, rngs=rngs) for shape in pairwise(sizes)]
            self.layers = nnx.List(layers)

        def __call__(self, a: jax.Array) -> jax.Array:
            for layer in self.layers:
                a = jax.nn.sigmoid(layer(a))
            return a

    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(eta), wrt=nnx.Param)

    def step(model, optimizer, x, y):
        slope = nnx.grad(lambda model: _quadratic(model(x), y))(model)
        optimizer.update(model, slope)

    return model, optimizer, step


def flax(sizes, data, m, eta) -> Way:
    """Flax NNX: `nnx.Linear`, `nnx.jit`, `nnx.Optimizer`."""
    nnx: Any = import_module("flax.nnx")
    x, y = _numbers(data)
    model, optimizer, step = _flax(sizes, eta)
    step = nnx.jit(step)

    def learn(places: np.ndarray) -> Any:
        for batch in places:
            step(model, optimizer, x[batch], y[batch])
        return jax.tree.leaves(nnx.state(model, nnx.Param))

    return _python_loop(learn, len(x), m, 500)


def flax_in_scan(sizes, data, m, eta) -> Way:
    """The same step of Flax in a scan, by `nnx.split` and `nnx.merge`."""
    nnx: Any = import_module("flax.nnx")
    model, optimizer, step = _flax(sizes, eta)
    graph, start = nnx.split((model, optimizer))

    def learn(state, x, y):
        both = nnx.merge(graph, state)
        step(*both, x, y)
        return nnx.state(both)

    return _scan(learn, start, data, m)


def scikit_learn(sizes, data, m, eta) -> Way:
    """scikit-learn's MLPClassifier; its cost is softmax with log-likelihood."""
    from sklearn.neural_network import MLPClassifier

    x, y = _numbers(data)
    labels, images = y.argmax(axis=1), 10_000
    model = MLPClassifier(
        sizes[1:-1],
        activation="logistic",
        solver="sgd",
        batch_size=m,
        learning_rate_init=eta / 10,
        momentum=0,
        alpha=0,
    )

    def run() -> Any:
        model.partial_fit(x[:images], labels[:images], classes=np.arange(sizes[-1]))

    return Way(run, images / len(x))


_NEEDS: dict[str, tuple[Begin, ...]] = {
    "torch": (pytorch, pytorch_compiled),
    "equinox": (equinox, equinox_in_scan),
    "flax": (flax, flax_in_scan),
    "sklearn": (scikit_learn,),
}


ONE_PROGRAM = {
    *("epoch", "epoch_by_jax_grad"),
    *("jax_grad_in_scan", "equinox_in_scan", "flax_in_scan"),
}
"""The ways that are one program for an epoch; the others are loops of steps."""


def available() -> dict[str, Begin]:
    """The ways whose packages are installed, ours first."""
    ours = (epoch, epoch_by_jax_grad, jitted_step)
    by_hand = (jax_grad_in_scan, numpy_by_example, numpy_by_mini_batch)
    others = [ways for package, ways in _NEEDS.items() if find_spec(package)]
    return {way.__name__: way for way in (*ours, *by_hand, *chain(*others))}
