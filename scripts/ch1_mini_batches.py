"""Chapter 1.5: the gradient of a few examples stands for that of all of them.

Book: averaging over a small random sample estimates the gradient (1.18, 1.19), "quickly
getting a good estimate"; exercise: what speaks for and against mini-batches of one?
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.cli.console import script, track


def squared_norm(tree):
    """The sum of the squares of all entries."""
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))


def estimate_errors(params, data, sizes, draws, key) -> dict[int, float]:
    """The relative error of a mini-batch's gradient, root mean square, by its size."""
    full = jax.jit(jaxnet.backprop)(params, data.x, data.y)

    def error(m, key):
        batch = jax.random.choice(key, len(data), (m,), replace=True)
        estimate = jaxnet.backprop(params, data.x[batch], data.y[batch])
        difference = jax.tree.map(jnp.subtract, estimate, full)
        return squared_norm(difference) / squared_norm(full)

    results = {}
    for i, m in enumerate(sizes):
        keys = jax.random.split(jax.random.fold_in(key, i), draws)
        squared = jax.jit(partial(jax.lax.map, partial(error, m)))(keys)
        results[m] = float(np.sqrt(np.mean(squared)))
    return results


def main(
    data: str | None = None,
    hidden: int = 30,
    sizes: tuple[int, ...] = (1, 10, 100, 1000),
    draws: int = 300,
    epochs: int = 10,
    online: tuple[int, int] = (1, 20),
    eta_per_example: float = 0.15,
) -> dict[str, np.ndarray]:
    """Print the error of the estimate, then learn with mini-batches of both sizes.

    An example moves the weights by the same eta / m whatever the mini-batch's size.
    """
    split = jaxnet.load_mnist(data)
    n_in = split.train.x.shape[1]
    key, draw_key = jax.random.split(jax.random.key(1))
    params = jaxnet.init(key, [n_in, hidden, 10])
    errors = estimate_errors(params, split.train, sizes, draws, draw_key)
    for m, error in errors.items():
        print(
            f"{m:5} examples: relative error of the gradient {error:.3f}, "
            f"times the root of {m} that is {error * m**0.5:.3f}"
        )
    results = {"estimate": np.array(list(errors.values()))}
    for m in online:
        name = f"mini-batches of {m}"
        options = {"batch_size": m, "eta": eta_per_example * m}
        state, accuracies, seconds = jaxnet.start(params), [], []
        for number in track(range(epochs), epochs, name):
            began = time.perf_counter()
            epoch_key = jax.random.fold_in(key, number)
            state = jaxnet.epoch(epoch_key, state, split.train, **options)
            accuracies.append(float(jaxnet.accuracy(state.params, split.test)))
            seconds.append(time.perf_counter() - began)
        results[name] = np.array(accuracies)
        percent = " ".join(f"{accuracy:.2%}" for accuracy in accuracies)
        print(f"{name}: {np.median(seconds):.2f} s an epoch, accuracy {percent}")
    return results


if __name__ == "__main__":
    script(main)
