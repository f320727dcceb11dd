"""Chapters 3.1, 3.2: a neuron that has to turn 1 into 0, under two costs.

Book, quadratic cost, eta 0.15: from an output of 0.82 to about 0.09 in 300 epochs, but
from 0.98 it hardly moves for 150 of them. Cross-entropy, eta 0.005: quick from both,
and quickest at first. The animation of the latter steps along dC/da = 1 / (1 - a); what
it should step along is dC/dw = dC/da sigma'(z) = a. With that, 0.005 is too small an
eta, and 0.15 / 6 does. It stays true that with cross-entropy the neuron learns fastest
where it is most wrong.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet import Cost, Layer, Params, cross_entropy, figures, quadratic
from jaxnet.gradients import Gradient


def neuron(w, b) -> Params:
    """The network of one neuron with one input."""
    return [Layer(w=jnp.reshape(w, (1, 1)), b=jnp.reshape(b, 1))]


def the_example():
    """The one input, 1, and its target, 0."""
    return jnp.ones((1, 1)), jnp.zeros((1, 1))


def animated(params, x, y, cost=cross_entropy) -> Params:
    """The wrong gradient of the book's animation: dC/da in the place of dC/dz."""
    a = jaxnet.predict(params, x[0])
    by_a = (a - y[0]) / (a * (1 - a))
    return [Layer(w=jnp.outer(by_a, x[0]), b=by_a)]


@partial(jax.jit, static_argnames=("gradient", "epochs"))
def learn(w, b, eta, cost: Cost, gradient: Gradient, epochs: int) -> jax.Array:
    """Weight, bias, output and cost in columns, at first and after each epoch."""
    x, y = the_example()
    options = {"eta": eta, "cost": cost, "gradient": gradient}

    def one_epoch(state, _):
        return jaxnet.step(state, x, y, **options), state.params

    first = jaxnet.start(neuron(w, b))
    _, path = jax.lax.scan(one_epoch, first, length=epochs + 1)
    a = jax.vmap(jaxnet.predict, in_axes=(0, None))(path, x[0])
    c = jax.vmap(lambda params: jaxnet.loss(params, x, y, cost))(path)
    return jnp.column_stack([path[0].w[:, 0, 0], path[0].b[:, 0], a[:, 0], c])


def rates(a, cost: Cost) -> np.ndarray:
    """dC/dw where the output is a, the larger the more wrong, by backpropagation."""

    def rate(z):
        return jaxnet.backprop(neuron(z / 2, z / 2), *the_example(), cost)[0].w[0, 0]

    return np.asarray(jax.jit(jax.vmap(rate))(jnp.log(a / (1 - a))))


def main(
    quadratic_eta: float = 0.15,
    cross_entropy_eta: float = 0.005,
    starts: Sequence[tuple[float, float]] = ((0.6, 0.9), (2.0, 2.0)),
    epochs: int = 300,
    out: str | Path | None = "figures/ch3_toy_neuron.png",
) -> dict[str, np.ndarray]:
    """Print, and draw into `out` unless None, how the neuron learns from each start."""
    kinds = [
        ("quadratic", quadratic_eta, quadratic, jaxnet.backprop),
        ("cross-entropy", quadratic_eta / 6, cross_entropy, jaxnet.backprop),
        ("cross-entropy", cross_entropy_eta, cross_entropy, jaxnet.backprop),
        ("cross-entropy, WRONG gradient", cross_entropy_eta, cross_entropy, animated),
    ]
    runs, half = {}, epochs // 2
    for w, b in starts:
        begin = f"w = {w:g}, b = {b:g}"
        runs[begin] = {}
        print(f"from {begin}: outputs at first, after {half} and {epochs} epochs")
        for name, eta, cost, gradient in kinds:
            run = np.asarray(learn(w, b, eta, cost, gradient, epochs))
            runs[begin][f"{name}, eta {eta:g}"] = run
            weight, bias, a, c = run.T
            fastest = np.argmax(np.abs(np.diff(weight))) + 1
            print(
                f"  {name + ', eta ' + format(eta, 'g'):<40} "
                f"{a[0]:.4f} {a[half]:.4f} {a[-1]:.4f}; w {weight[-1]:.3f}, "
                f"b {bias[-1]:.3f}, C {c[0]:.4f} to {c[-1]:.4f}; "
                f"fastest in epoch {fastest}"
            )

    a = jnp.linspace(0.01, 0.99, 99)
    results = {"a": np.asarray(a)}
    print("dC/dw, how fast the neuron learns, by its output a (the target is 0)")
    for name, cost in (("quadratic", quadratic), ("cross-entropy", cross_entropy)):
        results[name] = by_a = rates(a, cost)
        shown = ", ".join(f"{by_a[i]:.3f} at {a[i]:.2f}" for i in (9, 49, 65, 89, 98))
        print(f"  {name}: {shown}; largest at {a[np.argmax(by_a)]:.2f}")
    if out is not None:
        print(f"wrote {figures.toy_neuron(runs, results, out)}")
    for begin, by_kind in runs.items():
        results |= {f"{kind}, from {begin}": run for kind, run in by_kind.items()}
    return results


if __name__ == "__main__":
    main()
