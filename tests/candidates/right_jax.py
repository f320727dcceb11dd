# expect: agrees
import jax
import jax.numpy as jnp


def loss(params, x, y):
    for w, b in params:
        x = jax.nn.sigmoid(x @ w.T + b[None, :])
    return jnp.sum((x - y) ** 2) / 2 / len(y)


gradient = jax.grad(loss)
