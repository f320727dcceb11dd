"""Chapters 3.1, 3.2: a neuron that has to turn 1 into 0, under two costs.

Book, quadratic cost, eta 0.15: from an output of 0.82 to about 0.09 in 300 epochs, but
from 0.98 it hardly moves for 150 of them. Cross-entropy, eta 0.005: quick from both,
and quickest at first. The animation of the latter steps along dC/da = 1 / (1 - a); what
it should step along is dC/dw = dC/da sigma'(z) = a. With that, 0.005 is too small an
eta, and 0.15 / 6 does. It stays true that with cross-entropy the neuron learns fastest
where it is most wrong.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet import Cost, Layer, Params, cross_entropy, quadratic
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.gradients import Gradient

COSTS = {"quadratic": quadratic, "cross-entropy": cross_entropy}
WRONG = "cross-entropy, WRONG gradient"


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


def draw(
    runs: Mapping[str, Mapping[str, np.ndarray]],
    by_output: Mapping[str, np.ndarray],
    path: str | Path,
) -> Path:
    """The path of a picture with a row for each start, and the rates at the right.

    `runs` maps a start and a kind of run to weight, bias, output and cost in columns.
    `by_output` has dC/dw of each cost where the output is "a".
    """
    figure = blank(13.0, 2.6 * len(runs) + 0.6)
    grid = figure.add_gridspec(len(runs), 5, width_ratios=[1, 1, 1, 1, 1.5])
    lines = {}
    for row, (begin, by_kind) in enumerate(runs.items()):
        for column, name in enumerate(("weight", "bias", "output", "cost")):
            axes = figure.add_subplot(grid[row, column])
            for place, (kind, run) in enumerate(by_kind.items()):
                colour, style = f"C{place}", "-"
                if WRONG in kind:
                    colour, style = "grey", "--"
                [lines[kind]] = axes.plot(run[:, column], color=colour, ls=style)
            if name == "output":
                axes.set_ylim(0, 1.02)
            elif name == "cost":
                axes.set_ylim(bottom=0)
            title = "cost, of its own kind" if name == "cost" else name
            axes.set_title(title if row == 0 else "", fontsize=10)
            axes.set_xlabel("epoch" if row == len(runs) - 1 else "")
            axes.set_ylabel(f"from {begin}" if column == 0 else "")

    axes = figure.add_subplot(grid[:, 4])
    for name in COSTS:
        axes.plot(by_output["a"], by_output[name], label=name)
    axes.set(xlabel="output $a$, target 0", ylabel="$\\partial C/\\partial w$")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title("how fast it learns, true gradients", fontsize=10)
    axes.legend(loc="upper left")
    below = {"loc": "outside lower center", "ncols": len(lines), "frameon": False}
    figure.legend(list(lines.values()), list(lines), **below)
    return save(figure, path)


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
        (WRONG, cross_entropy_eta, cross_entropy, animated),
    ]
    runs, half = {}, epochs // 2
    for w, b in starts:
        begin = f"w = {w:g}, b = {b:g}"
        runs[begin] = {}
        print(f"from {begin}: outputs at first, after {half} and {epochs} epochs")
        for name, eta, cost, gradient in kinds:
            kind = f"{name}, eta {eta:g}"
            run = np.asarray(learn(w, b, eta, cost, gradient, epochs))
            runs[begin][kind] = run
            weight, bias, a, c = run.T
            fastest = np.argmax(np.abs(np.diff(weight))) + 1
            print(
                f"  {kind:<40} {a[0]:.4f} {a[half]:.4f} {a[-1]:.4f}; "
                f"w {weight[-1]:.3f}, b {bias[-1]:.3f}, C {c[0]:.4f} to {c[-1]:.4f}; "
                f"fastest in epoch {fastest}"
            )

    a = jnp.linspace(0.01, 0.99, 99)
    results = {"a": np.asarray(a)}
    print("dC/dw, how fast the neuron learns, by its output a (the target is 0)")
    for name, cost in COSTS.items():
        results[name] = by_a = rates(a, cost)
        shown = ", ".join(f"{by_a[i]:.3f} at {a[i]:.2f}" for i in (9, 49, 65, 89, 98))
        print(f"  {name}: {shown}; largest at {a[np.argmax(by_a)]:.2f}")
    if out is not None:
        print(f"wrote {draw(runs, results, out)}")
    for begin, by_kind in runs.items():
        results |= {f"{kind}, from {begin}": run for kind, run in by_kind.items()}
    return results


if __name__ == "__main__":
    script(main)
