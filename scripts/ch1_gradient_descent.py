"""Chapter 1.5: a ball rolls down a valley, in one, two and m variables.

Book: v' = v - eta grad C(v) makes C fall by about eta ||grad C||^2 as long as eta is
small enough; a too large eta may make it rise. For C = v1^2 + v2^2 that is exact:
eta < 1 converges, 1/2 lands at once, 1 goes back and forth, more flies off.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import descend
from jaxnet.cli.console import script
from jaxnet.figures import blank, save


def bowl(v):
    """C = sum_j v_j^2, of any number of variables."""
    return jnp.sum(v**2)


def wave(v):
    """A function of one variable with more than one valley."""
    return jnp.sum(v**2 / 10 + jnp.sin(3 * v))


def draw(paths: Mapping[float, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of the valley, and of the height after each step.

    `paths` maps a learning rate to the points visited; the first is the ball drawn.
    """
    figure = blank(9.0, 4.0)
    v1, v2 = np.meshgrid(*[np.linspace(-1, 1, 41)] * 2)
    surface = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    surface.plot_surface(v1, v2, v1**2 + v2**2, cmap="Blues", alpha=0.5)
    eta, ball = next(iter(paths.items()))
    surface.plot(*ball.T, np.sum(ball**2, axis=1), "o-", color="C1", markersize=4)
    surface.set(xlabel="$v_1$", ylabel="$v_2$", zlabel="$C$")
    surface.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[0, 1, 2])
    surface.set_title(f"$C = v_1^2 + v_2^2$, down with $\\eta$ = {eta}")

    heights = figure.add_subplot(1, 2, 2)
    for eta, points in paths.items():
        cost = np.sum(points**2, axis=1)
        heights.plot(cost, "o-", markersize=4, label=f"$\\eta$ = {eta}")
    heights.set(xlabel="step", ylabel="$C$", ylim=(-0.1, 3))
    heights.legend(loc="upper right")
    heights.set_title("Height after each step")
    return save(figure, path)


def main(
    steps: int = 12, m: int = 1000, out: str | Path | None = "figures/ch1_valley.png"
) -> dict[str, np.ndarray]:
    """Print the cost after each step, and draw the valley into `out` unless None."""
    results = {}
    start = jnp.array([-0.9, 0.6])
    etas = (0.1, 0.02, 0.5, 1.0, 1.1)
    paths = {eta: descend(bowl, start, eta=eta, steps=steps) for eta in etas}
    print("C = v1^2 + v2^2: cost after each step")
    for eta, path in paths.items():
        costs = np.asarray(jax.vmap(bowl)(path))
        results[f"two variables, eta {eta}"] = costs
        print(f"  eta {eta}:", *(f"{cost:.3g}" for cost in costs))

    point = jnp.array([0.9])
    path = descend(wave, point, eta=0.02, steps=steps)
    results["one variable"] = np.asarray(jax.vmap(wave)(path))
    print("one variable:", *(f"{cost:.3f}" for cost in results["one variable"]))

    many = jax.random.normal(jax.random.key(0), (m,))
    path = descend(bowl, many, eta=0.1, steps=steps)
    results["m variables"] = np.asarray(jax.vmap(bowl)(path))
    print(f"{m} variables:", *(f"{cost:.3g}" for cost in results["m variables"]))

    print("(1.9): change in C over the predicted -eta ||grad C||^2, which tends to 1")
    before, slope = bowl(start), jax.grad(bowl)(start)
    for eta in (0.1, 0.01, 0.001):
        change = bowl(start - eta * slope) - before
        ratio = float(change / (-eta * jnp.sum(slope**2)))
        results[f"ratio, eta {eta}"] = np.array(ratio)
        print(f"  eta {eta}: {ratio:.4f}")

    if out is not None:
        shown = {eta: np.asarray(path) for eta, path in paths.items()}
        print(f"wrote {draw(shown, out)}")
    return results


if __name__ == "__main__":
    script(main)
