"""A trained network, from the folder of a run or the file of the book's program."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxnet import checkpoints
from jaxnet.activations import Activation, sigmoid
from jaxnet.commands.options import COSTS, HIDDEN
from jaxnet.costs import Cost
from jaxnet.network import Layer, Params, predict
from jaxnet.regularization import whole_network
from jaxnet.storage import StorageError, load_book_network


class Trained(NamedTuple):
    """A network, and what its outputs and hidden neurons do."""

    params: Params
    cost: Cost
    hidden: Activation

    def outputs(self, x: Any) -> Float[np.ndarray, "m out"]:
        """The activations of the last layer for each row of x."""
        one = partial(predict, self.params, hidden=self.hidden, output=self.cost.output)
        rows = jnp.asarray(x, self.params[0].w.dtype)
        return np.asarray(jax.jit(jax.vmap(one))(rows))


def load_trained(path: str | Path, seed: int | None = None) -> Trained:
    """The network in a run's folder, by default of its first seed, or in a book file.

    Raises StorageError if there is none.
    """
    path = Path(path)
    if not path.is_dir():
        params, cost = load_book_network(path)
        return Trained(params, cost, sigmoid)
    found = checkpoints.load(path)
    try:
        arguments = found.manifest["arguments"]
        cost, hidden = COSTS[arguments["cost"]], HIDDEN[arguments["hidden"]]
        seeds = range(arguments["seed"], arguments["seed"] + arguments["seeds"])
        rate = float(arguments["dropout"])
        places = [f".state.params[{l}]" for l in range(len(arguments["sizes"]) - 1)]
        stacks = [(found.arrays[f"{p}.w"], found.arrays[f"{p}.b"]) for p in places]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{path}: expected the folder of a run, from train --out, got a checkpoint "
            f"without {error}."
        ) from error
    if seed is None:
        seed = seeds[0]
    if seed not in seeds:
        raise StorageError(
            f"{path}: expected a seed of this run, {seeds[0]} to {seeds[-1]}, got "
            f"{seed}."
        )
    i = seed - seeds[0]
    params = [Layer(jnp.asarray(w[i]), jnp.asarray(b[i])) for w, b in stacks]
    return Trained(whole_network(params, rate), cost, hidden)
