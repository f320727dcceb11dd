"""When to lower the learning rate and when to stop: web, chapter 3.

Both go by no improvement in n epochs, counted by optax. Early stopping is a schedule
that ends with its first halving.
"""

from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool

from jaxnet.layers import Scalar

EARLY_STOP = 1 / 2
LAST_SCALE = 1 / 128  # of the first eta, in the book's exercise

Plateau = optax.contrib.ReduceLROnPlateauState


def _rule(patience: int) -> optax.GradientTransformationExtraArgs:
    # An absolute improvement of less than one example in ten million is none.
    return optax.contrib.reduce_on_plateau(
        factor=0.5, patience=patience, rtol=0.0, atol=1e-7
    )


def begin(patience: int) -> Plateau:
    """The state before the first epoch, of scale 1."""
    return cast(Plateau, _rule(patience).init(jnp.zeros((), jnp.float32)))


def after_epoch(state: Plateau, accuracy: Scalar, patience: int) -> Plateau:
    """The state after an epoch; its scale is halved after `patience` without a best.

    An accuracy of nan is no best.
    """
    value = 1 - jnp.asarray(accuracy, jnp.float32)
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies a count by a float
        return cast(Plateau, _rule(patience).update({}, state, value=value)[1])


def reached(state: Plateau, scale: float) -> Bool[Array, ""]:
    """Whether the scale has come down this far."""
    return jnp.asarray(state.scale) <= scale * (1 + 1e-6)
