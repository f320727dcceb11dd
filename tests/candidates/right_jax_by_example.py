# expect: one example
import jax
import jax.numpy as jnp


def loss(params, x, y):
    for w, b in params:
        x = jax.nn.sigmoid(w @ x + b)
    return jnp.sum((x - y) ** 2) / 2


gradient = jax.grad(loss)
