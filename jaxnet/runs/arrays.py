"""The arrays of any pytree, such as a network or a State, in one safetensors file."""

from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import safetensors.numpy

from jaxnet.experiments import checkpoint
from jaxnet.experiments.files import replace_file

T = TypeVar("T")


def save(path: str | Path, tree: object) -> None:
    """Write the arrays of a network, a State or another pytree to a safetensors file.

    It replaces a previous file only when it is complete. Activations are not saved.
    Raises StorageError, a ValueError, if it cannot be written.
    """
    arrays = checkpoint.by_path(jax.tree.map(jnp.asarray, tree))
    replace_file(path, safetensors.numpy.save(arrays))


def load(path: str | Path, like: T) -> T:
    """What `save` wrote, with the structure and the activations of `like`.

    `like` has the same shapes and dtypes: for a State, pass `start(params, optimizer)`
    with any params of these sizes.
    Raises StorageError, a ValueError, unless the file has the arrays of `like`.
    """
    shapes = jax.eval_shape(lambda tree: tree, like)
    return checkpoint.restore(path, checkpoint.read_arrays(Path(path))[0], shapes)
