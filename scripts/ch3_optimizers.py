"""Chapter 3 (web): other ways down than plain gradient descent, and other neurons.

Book: the Hessian technique needs fewer steps, but n^2 second derivatives; momentum
keeps going where slopes agree, mu = 0 being plain descent and mu = 1 without friction;
tanh and rectified linear neurons may learn faster than sigmoids.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet
from jaxnet.cli.console import script, track
from jaxnet.descent import descend, newton
from jaxnet.experiments import Experiment, run

BASE = Experiment(
    eta=0.1,
    cost=jaxnet.cross_entropy,
    init_layer=jaxnet.scaled_layer,
    evaluate_on="validation",
)
KINDS = {
    "sigmoid": BASE,
    "sigmoid, momentum 0.9": replace(
        BASE, eta=0.02, optimizer=partial(optax.sgd, momentum=0.9)
    ),
    "sigmoid, adam": replace(BASE, eta=0.002, optimizer=optax.adam),
    "tanh": replace(BASE, hidden=jaxnet.tanh),
    "rectified linear": replace(BASE, hidden=jaxnet.relu),
}


def narrow_valley(w):
    """C = w1^2 + 10 w2^2, whose gradient hardly points at its minimum."""
    return w[0] ** 2 + 10 * w[1] ** 2


def valley_costs(mus, eta, steps):
    """C after each step from (-0.9, 0.3), for each momentum co-efficient."""
    start, options = jnp.array([-0.9, 0.3]), {"eta": eta, "steps": steps}
    paths = {mu: descend(narrow_valley, start, mu=mu, **options) for mu in mus}
    return {mu: np.asarray(jax.vmap(narrow_valley)(path)) for mu, path in paths.items()}


def tiny_network(steps, eta, warm_up=300):
    """The slope of the cost of a 2-2-1 network, by the Hessian and by descent.

    Both begin where descent has led, since the Hessian leads to the nearest point
    without slope, which far from a minimum need not be one.
    """
    x = jnp.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = jnp.array([[0.1], [0.6], [0.7], [0.9]])
    params = jaxnet.init(jax.random.key(1), [2, 2, 1], init_layer=jaxnet.scaled_layer)

    def cost(params):
        decay = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
        return jaxnet.loss(params, x, y, jaxnet.cross_entropy) + 0.01 * decay

    def slope(params):
        return optax.tree.norm(jax.grad(cost)(params))

    path = descend(cost, params, eta=eta, steps=warm_up)
    near = jax.tree.map(lambda leaf: leaf[-1], path)
    paths = newton(cost, near, steps=steps), descend(cost, near, eta=eta, steps=steps)
    return tuple(np.asarray(jax.vmap(slope)(path)) for path in paths)


def main(
    data: str | None = None,
    epochs: int = 5,
    seeds: int = 3,
    steps: int = 30,
    mus: tuple[float, ...] = (0.0, 0.5, 0.9, 1.0),
    kinds: Sequence[str] = tuple(KINDS),
) -> dict:
    """Print costs on small problems, then accuracies on the digits."""
    results: dict = {"valley": valley_costs(mus, 0.02, steps)}
    print(f"C = w1^2 + 10 w2^2 after {steps} steps with eta 0.02")
    for mu, costs in results["valley"].items():
        print(f"  mu {mu}: {costs[-1]:.2e}, at least {costs.min():.2e} on the way")

    at_once = newton(narrow_valley, jnp.array([-0.9, 0.3]), steps=1)[-1]
    results["newton"] = np.asarray(at_once)
    print(f"  one step with the Hessian: {float(narrow_valley(at_once)):.2e}")

    results["hessian"], results["descent"] = tiny_network(5, 1.0)
    print("A 2-2-1 network, 9 parameters and 81 second derivatives: ||grad C|| by step")
    for name in ("hessian", "descent"):
        print(f"  {name}:", *(f"{slope:.1e}" for slope in results[name]))

    split = jaxnet.load_mnist(data)
    print(f"784-30-10: validation accuracy after each epoch, mean of {seeds} seeds")
    for name in kinds:
        experiment = replace(KINDS[name], epochs=epochs)
        done = run(experiment, split.train, split.validation, range(1, seeds + 1))
        means = [epoch.accuracy.mean() for epoch in track(done, epochs, name)]
        results[name] = np.array(means)
        print(f"  {name:<22}", *(f"{mean:.2%}" for mean in means))
    return results


if __name__ == "__main__":
    script(main)
