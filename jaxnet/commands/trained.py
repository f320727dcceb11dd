"""A trained network, from the folder of a run or the file of the book's program."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxnet import folders
from jaxnet.commands.options import COSTS
from jaxnet.costs import Cost
from jaxnet.layers import Params
from jaxnet.network import predict
from jaxnet.storage import StorageError, load_book_network


class Trained(NamedTuple):
    """A network, and the cost it was trained with."""

    params: Params
    cost: Cost

    def outputs(self, x: Any) -> Float[np.ndarray, "m out"]:
        """The activations of the last layer for each row of x."""
        one = partial(predict, self.params)
        rows = jnp.asarray(x, self.params[0].w.dtype)
        return np.asarray(jax.jit(jax.vmap(one))(rows))


def tell_refused(run: folders.Run) -> None:
    """Say in a line which checkpoints are spoilt, if an older one is used for that."""
    if run.refused:
        why = " ".join(run.refused)
        print(f"{why} The checkpoint before is used.", file=sys.stderr)


def load_trained(path: str | Path, seed: int | None = None) -> Trained:
    """The network in a run's folder, by default of its first seed, or in a book file.

    Raises StorageError if there is none.
    """
    path = Path(path)
    if not path.is_dir():
        return Trained(*load_book_network(path))
    run = folders.read(path)
    tell_refused(run)
    chosen = run.seeds[0] if seed is None else seed
    if chosen not in run.seeds:
        raise StorageError(
            f"{path}: expected a seed of this run, {run.seeds[0]} to {run.seeds[-1]}, "
            f"got {seed}."
        )
    params = folders.networks(path)[run.seeds.index(chosen)]
    return Trained(params, COSTS[run.options["cost"]])
