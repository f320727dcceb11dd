"""A research script: a cost and an activation of one's own, Adam, ten seeds at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet
from jaxnet.cli.console import script

# sigma(z) = z / (1 + |z|), and a cost that minds large errors more.
softsign = jaxnet.Activation(lambda z: z / (1 + abs(z)), lambda z: (1 + abs(z)) ** -2)
quartic = jaxnet.Cost(
    jaxnet.sigmoid,
    value=lambda z, y: jnp.sum((jax.nn.sigmoid(z) - y) ** 4) / 4,
    delta=lambda z, y: (jax.nn.sigmoid(z) - y) ** 3 * jaxnet.sigmoid.prime(z),
)
init = partial(jaxnet.init, hidden=softsign, init_layer=jaxnet.scaled_layer)
learn = partial(
    jaxnet.train, batch_size=10, eta=0.001, cost=quartic, optimizer=optax.adam
)


def main(data=None, sizes=(784, 30, 10), epochs=3, seeds=10):
    """The test accuracy of each seed after each epoch, (seeds, epochs)."""
    train, _, test = jaxnet.load_mnist(data)
    params, few = init(jax.random.key(0), sizes), train[:10]
    broken = jaxnet.diagnose(jaxnet.backprop, params, few.x, few.y, cost=quartic)
    print(*broken or ["BP1 to BP4 hold."])

    def run(key, train, test):
        measure = partial(jaxnet.accuracy, data=test)
        return learn(key, init(key, sizes), train, epochs=epochs, evaluate=measure)[1]

    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    found = np.asarray(jax.jit(jax.vmap(run, (0, None, None)))(keys, train, test))
    print(found.round(4))
    return found


if __name__ == "__main__":
    script(main)
