"""Chapter 1.6: too small a learning rate, too large a one, and the search between.

Book: 784-100-10 with eta 0.001 creeps from 1139 to 2142 right answers of 10,000 in 30
epochs; raising eta to 0.01, 0.1, 1.0 and 3.0 helps each time; 784-30-10 with eta 100
says one digit to everything (1009, later 982: how many nines and fours there are).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.progress import track


def sweep(data, sizes, etas, epochs, seeds, batch_size, first_seed=1) -> np.ndarray:
    """Test accuracies of shape (epochs, seeds, etas), one network for each pair."""
    train_keys, states = [], []
    for seed in range(first_seed, first_seed + seeds):
        init_key, train_key = jax.random.split(jax.random.key(seed))
        train_keys.append(train_key)
        states.append(jaxnet.start(jaxnet.init(init_key, sizes)))
    keys = jnp.stack(train_keys)
    state = jax.tree.map(
        lambda *leaves: jnp.stack([jnp.stack(leaves)] * len(etas), 1), *states
    )

    def one_epoch(number, train, test, key, state, eta):
        key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(key, state, train, batch_size=batch_size, eta=eta)
        return state, jaxnet.accuracy(state.params, test)

    @jax.jit
    def all_networks(number, train, test, keys, state, etas):
        over_etas = jax.vmap(partial(one_epoch, number, train, test), (None, 0, 0))
        return jax.vmap(over_etas, (0, 0, None))(keys, state, etas)

    history = []
    for number in track(range(epochs), epochs, f"{len(etas)} learning rates"):
        state, right = all_networks(
            number, data.train, data.test, keys, state, jnp.array(etas)
        )
        history.append(np.asarray(right))
    return np.stack(history)


def main(
    data: str | None = None,
    etas: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 3.0),
    too_large: float = 100.0,
    hidden: tuple[int, int] = (100, 30),
    epochs: int = 30,
    seeds: int = 3,
    batch_size: int = 10,
) -> dict[float, np.ndarray]:
    """Print and return accuracies of shape (epochs, seeds) for each eta."""
    split = jaxnet.load_mnist(data)
    n, n_in = len(split.test.x), split.test.x.shape[1]
    results = {}
    for sizes, rates in (
        ((n_in, hidden[0], 10), etas),
        ((n_in, hidden[1], 10), (too_large,)),
    ):
        history = sweep(split, sizes, rates, epochs, seeds, batch_size)
        results |= {eta: history[:, :, i] for i, eta in enumerate(rates)}
        for i, eta in enumerate(rates):
            print(f"{'-'.join(map(str, sizes))}, eta {eta}: right answers of {n}")
            for seed in range(seeds):
                counts = np.round(history[:, seed, i] * n).astype(int)
                print(f"  seed {seed + 1}:", *counts)
    return results


if __name__ == "__main__":
    main()
