"""Chapter 1.2: sigmoid neurons are perceptrons made smooth.

Book: multiplying all weights and biases of a network of perceptrons by c > 0 changes
nothing; a network of sigmoid neurons scaled so tends to the network of perceptrons as c
grows, unless some w.x + b = 0. A small change in a weight makes a small change in the
output, given by equation (1.5), where a perceptron may flip.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import init, predict, sigmoid
from jaxnet.cli.console import script
from jaxnet.perceptrons import NAND, all_inputs, gate, step


def scale(params, c):
    """The network with all weights and biases multiplied by c."""
    return jax.tree.map(lambda p: c * p, params)


def made_of(activation, params):
    """The network with this activation in every layer."""
    return [replace(layer, activation=activation) for layer in params]


@jax.jit
def outputs(params, x):
    """The outputs of a network for each row of x."""
    return jax.vmap(partial(predict, params))(x)


def main(sizes: tuple[int, ...] = (5, 3, 4, 1), seed: int = 3) -> dict[str, np.ndarray]:
    """Print how near scaled sigmoid neurons come, and how smooth they are."""
    params_key, step_key = jax.random.split(jax.random.key(seed))
    params, x = init(params_key, sizes), all_inputs(sizes[0])
    results = {"c": np.array([1.0, 10.0, 100.0, 1e3, 1e4])}

    results["perceptrons"] = perceptrons = np.asarray(outputs(made_of(step, params), x))
    distances, unchanged = [], []
    print(f"{'c':>8}  perceptrons unchanged  furthest sigmoid output")
    for c in results["c"]:
        scaled = scale(params, float(c))
        unchanged.append(np.mean(outputs(made_of(step, scaled), x) == perceptrons))
        distances.append(np.max(np.abs(outputs(scaled, x) - perceptrons)))
        print(f"{c:8.0f}{unchanged[-1]:23.1%}{distances[-1]:25.6f}")
    results["unchanged"], results["distance"] = map(np.array, (unchanged, distances))

    # NAND with bias 2 has w.x + b = 0 at the input 01: a perceptron there says 0.
    edge, at = gate(*NAND[:2], 2.0), jnp.array([[0.0, 1.0]])
    smooth = made_of(sigmoid, edge)
    halves = [outputs(scale(smooth, float(c)), at)[0, 0] for c in results["c"]]
    results["at zero"] = np.array(halves)
    print(f"where w.x + b = 0 the output stays {results['at zero']} for every c")

    # Scaled up, a tiny change to one bias tips a perceptron and barely moves a sigmoid.
    tipped = gate(*NAND[:2], 2.001)
    jump = outputs(tipped, at) - outputs(edge, at)
    move = outputs(made_of(sigmoid, tipped), at) - outputs(smooth, at)
    results["perceptron jump"] = jump = np.asarray(jump)[0, 0]
    results["sigmoid move"] = move = np.asarray(move)[0, 0]
    print("a bias from 2 to 2.001 moves the output of")
    print(f"  a perceptron by {jump:.0f}, a sigmoid neuron by {move:.6f}")

    with jax.enable_x64(True):
        results["h"], results["linear error"] = linear_response(step_key, sizes)
    for h, error in zip(results["h"], results["linear error"], strict=True):
        print(f"step {h:.0e}: equation (1.5) is wrong by {error:.1e}")
    return results


def linear_response(key, sizes) -> tuple[np.ndarray, np.ndarray]:
    """How wrong (1.5) is for steps of length h: the error shrinks as h squared."""
    params_key, direction_key, x_key = jax.random.split(key, 3)
    params, direction = init(params_key, sizes), init(direction_key, sizes)
    x = jax.random.normal(x_key, (sizes[0],))

    @jax.jit
    def output(params):
        return predict(params, x)[0]

    slope = jax.grad(output)(params)
    products = jax.tree.map(np.vdot, slope, direction)
    rate = sum(jax.tree.leaves(products))
    steps = 10.0 ** -np.arange(1, 6)
    errors = []
    for h in steps:
        moved = jax.tree.map(lambda p, d, h=h: p + h * d, params, direction)
        errors.append(abs(float(output(moved) - output(params) - h * rate)))
    return steps, np.array(errors)


if __name__ == "__main__":
    script(main)
