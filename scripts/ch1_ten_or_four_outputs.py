"""Chapter 1.4: ten output neurons, or four that spell the digit in binary.

Book: 2^4 = 16 would be enough, but ten learn better, since no bit of a digit has to do
with its shape. Exercise: a fourth layer that turns ten outputs into four bits.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.cli.console import script, track
from jaxnet.perceptrons import all_inputs


def digit_bits():
    """The four bits of 0 to 9, a row each, most significant first."""
    return all_inputs(4)[:10]


def bitwise_layer() -> jaxnet.Layer:
    """The exercise's layer from ten outputs to four bits: weights +-10, no bias."""
    return jaxnet.Layer(w=(20 * digit_bits() - 10).T, b=jnp.zeros(4))


def bit_accuracy(params, data):
    """The fraction of examples with all four bits on the right side of 1/2."""
    bits = jax.vmap(partial(jaxnet.predict, params))(data.x) > 0.5
    return jnp.mean(jnp.all(bits == (data.y > 0.5), axis=1))


def spell(data):
    """The data with four bits as targets."""
    return jaxnet.Dataset(data.x, data.y @ digit_bits())


def main(
    data: str | None = None,
    hidden: int = 30,
    epochs: int = 30,
    batch_size: int = 10,
    eta: float = 3.0,
    seeds: int = 5,
) -> dict[str, np.ndarray]:
    """Train both and print their test accuracies; return them, (epochs, seeds) each."""
    outputs = jaxnet.predict([bitwise_layer()], 0.01 + 0.98 * jnp.eye(10)[6])
    print("a sure 6 through the exercise's layer:", np.round(np.asarray(outputs), 4))

    split = jaxnet.load_mnist(data)
    n_in = split.train.x.shape[1]
    results = {}
    for name, outputs, measure, train, test in (
        ("ten outputs", 10, jaxnet.accuracy, split.train, split.test),
        ("four outputs", 4, bit_accuracy, spell(split.train), spell(split.test)),
    ):

        def first_state(key, outputs=outputs):
            return jaxnet.start(jaxnet.init(key, [n_in, hidden, outputs]))

        def one_epoch(number, train, test, key, state, measure=measure):
            key = jax.random.fold_in(key, number)
            state = jaxnet.epoch(key, state, train, batch_size=batch_size, eta=eta)
            return state, measure(state.params, test)

        keys = jax.random.split(jax.random.key(0), seeds)
        state = jax.jit(jax.vmap(first_state))(keys)
        learn = jax.jit(jax.vmap(one_epoch, (None, None, None, 0, 0)))
        history = []
        for number in track(range(epochs), epochs, name):
            state, accuracies = learn(number, train, test, keys, state)
            history.append(np.asarray(accuracies))
        results[name] = np.stack(history)
        best = results[name].max(axis=0)
        print(f"{name}: best epoch of each seed", *(f"{value:.2%}" for value in best))
        print(f"  mean {best.mean():.2%}, median {np.median(best):.2%}")
    return results


if __name__ == "__main__":
    script(main)
