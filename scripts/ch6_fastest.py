"""Chapter 6: how many seconds a network takes to read 98 % and 99 % of the test digits.

The gradient is by hand, the network fully connected for 98 % and convolutional for
99 %. Each learns with momentum until an epoch ends above its accuracy. Seconds are of
learning and measuring, without compiling, and the mean is over the seeds.
"""

import time
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import optax

import jaxnet
from jaxnet import Image, convolution, max_pool
from jaxnet.cli.console import script
from jaxnet.network import Size


class Recipe(NamedTuple):
    """A network, and how it learns: eta falls linearly, then starts again."""

    sizes: tuple[Size, ...]
    eta: float
    falls_for: int  # epochs
    most: int = 20  # epochs


RECIPES = {
    0.98: Recipe((784, 200, 10), 0.03, 8),
    0.99: Recipe(
        (Image(28, 28), convolution(8, 5), max_pool(2), convolution(48, 5))
        + (max_pool(2), 100, 10),
        0.02,
        5,
    ),
}


def seconds_to(
    accuracy: float, recipe: Recipe, split: jaxnet.Split, seed: int
) -> tuple[float, int]:
    """Seconds and epochs until the test accuracy is reached; infinite if it is not."""
    key = jax.random.key(seed)
    optimizer = partial(optax.sgd, momentum=0.9, nesterov=True)
    softmax, scaled = jaxnet.softmax, jaxnet.scaled_layer
    params = jaxnet.init(key, recipe.sizes, jaxnet.relu, softmax, scaled)
    state, measure = jaxnet.start(params, optimizer), jax.jit(jaxnet.accuracy)
    step = partial(
        jaxnet.epoch,
        data=split.train,
        batch_size=20,
        cost=jaxnet.log_likelihood,
        optimizer=optimizer,
    )
    compiled = step(key, state, eta=0.0).params, split.test
    jax.block_until_ready(measure(*compiled))
    began = time.perf_counter()
    for number in range(recipe.most):
        eta = recipe.eta * (1 - number % recipe.falls_for / recipe.falls_for)
        state = step(jax.random.fold_in(key, number), state, eta=eta)
        if measure(state.params, split.test) >= accuracy:
            return time.perf_counter() - began, number + 1
    return float("inf"), recipe.most


def main(
    data: str | None = None,
    seeds: int = 10,
    recipes: dict[float, Recipe] = RECIPES,
) -> dict[float, list[float]]:
    """Print and return the seconds of each seed, by the accuracy to be reached."""
    split = jaxnet.datasets.load_data(data, as_bytes=True)
    found: dict[float, list[float]] = {}
    for accuracy, recipe in recipes.items():
        found[accuracy] = []
        for seed in range(1, seeds + 1):
            seconds, epochs = seconds_to(accuracy, recipe, split, seed)
            found[accuracy].append(seconds)
            print(f"{accuracy:.0%}, seed {seed}: {seconds:.1f} s, {epochs} epochs")
        times = found[accuracy]
        print(f"{accuracy:.0%}: mean {np.mean(times):.1f} s, of {seeds} seeds")
    return found


if __name__ == "__main__":
    script(main)
