"""Chapter 1.5: a ball rolls down a valley, in one, two and m variables.

Book: v' = v - eta grad C(v) makes C fall by about eta ||grad C||^2 as long as eta is
small enough; a too large eta may make it rise. For C = v1^2 + v2^2 that is exact:
eta < 1 converges, 1/2 lands at once, 1 goes back and forth, more flies off.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import descend, figures


def bowl(v):
    """C = sum_j v_j^2, of any number of variables."""
    return jnp.sum(v**2)


def wave(v):
    """A function of one variable with more than one valley."""
    return jnp.sum(v**2 / 10 + jnp.sin(3 * v))


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
        print(f"wrote {figures.valley(shown, out)}")
    return results


if __name__ == "__main__":
    main()
