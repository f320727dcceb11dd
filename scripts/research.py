"""A research script: a cost and an activation of one's own, Adam, ten seeds at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet

# sigma(z) = z / (1 + |z|), and a cost that minds large errors more.
softsign = jaxnet.Activation(lambda z: z / (1 + abs(z)), lambda z: (1 + abs(z)) ** -2)
quartic = jaxnet.Cost(
    jaxnet.sigmoid,
    value=lambda z, y: jnp.sum((jax.nn.sigmoid(z) - y) ** 4) / 4,
    delta=lambda z, y: (jax.nn.sigmoid(z) - y) ** 3 * jaxnet.sigmoid.prime(z),
)
CHOICES = {"cost": quartic, "hidden": softsign}


def main(data=None, sizes=(784, 30, 10), epochs=3, seeds=10):
    """The test accuracy of each seed after each epoch, (seeds, epochs)."""
    train, _, test = jaxnet.load_mnist(data)
    example = jaxnet.init(jax.random.key(0), sizes, jaxnet.scaled_layer)
    mine = partial(jaxnet.backprop, **CHOICES)
    broken = jaxnet.diagnose(mine, example, train.x[:10], train.y[:10], **CHOICES)
    print(*broken or ["BP1 to BP4 hold."])

    def run(key):
        params = jaxnet.init(key, sizes, jaxnet.scaled_layer)
        options = {"epochs": epochs, "batch_size": 10, "eta": 0.001, **CHOICES}
        measure = lambda params: jaxnet.accuracy(params, test, softsign)  # noqa: E731
        options |= {"optimizer": optax.adam, "evaluate": measure}
        return jaxnet.train(jax.random.fold_in(key, 1), params, train, **options)[1]

    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    found = np.asarray(jax.jit(jax.vmap(run))(keys))
    print(found.round(4))
    return found


if __name__ == "__main__":
    main()
