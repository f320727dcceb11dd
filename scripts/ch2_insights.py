"""Chapter 2.4: quiet inputs and saturated outputs make a weight learn slowly.

Book: by BP4 a weight learns at the rate a_in delta_out, so slowly if the neuron it
comes from is quiet; by BP1 and BP2 delta has the factor sigma'(z), so slowly if the
neuron it goes to is saturated. Footnote: a large w^T delta may make up for that.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet import Layer
from jaxnet.cli.console import script
from jaxnet.figures import blank, save

COSTS = {"quadratic": jaxnet.quadratic, "cross-entropy": jaxnet.cross_entropy}


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of how fast weights learn, by their inputs and outputs."""
    figure = blank(9.0, 3.8)
    by_input, by_output = figure.subplots(1, 2)
    by_input.loglog(results["quiet"], results["by input"], "o-")
    by_input.set(xlabel="inputs, times", ylabel="$||\\partial C/\\partial w^1||$")
    by_input.set_title("Quiet inputs: BP4", fontsize=10)
    for name in COSTS:
        by_output.semilogy(results["z"], results[name], label=name)
    by_output.set(xlabel="$z$ of the output neuron, target 0")
    by_output.set_ylabel("$||\\partial C/\\partial w^2||$")
    by_output.set_title("Saturated outputs: BP1", fontsize=10)
    by_output.legend()
    return save(figure, path)


def main(
    n: int = 10, out: str | Path | None = "figures/ch2_insights.png"
) -> dict[str, np.ndarray]:
    """Print, and draw into `out` unless None, the rate of learning of one layer."""
    init_key, x_key = jax.random.split(jax.random.key(0))
    params = jaxnet.init(init_key, [n, n, 1], init_layer=jaxnet.scaled_layer)
    x, y = jax.random.uniform(x_key, (1, n)), jnp.zeros((1, 1))

    def rate(params, x, cost, l):
        """||dC/dw^l||, how fast the weights of layer l learn."""
        return jnp.linalg.norm(jaxnet.backprop(params, x, y, cost)[l].w)

    quiet = jnp.logspace(0, -4, 9)
    by_scale = jax.vmap(lambda c: rate(params, c * x, jaxnet.quadratic, 0))
    by_input = np.asarray(jax.jit(by_scale)(quiet))

    def saturate(z):
        """The network with the weighted input of its output neuron at z."""
        first, last = params
        return [first, Layer(0 * last.w, jnp.reshape(z, 1))]

    zs = jnp.linspace(-10, 10, 41)
    results = {"quiet": np.asarray(quiet), "by input": by_input, "z": np.asarray(zs)}
    for name, cost in COSTS.items():
        by_output = jax.vmap(lambda z, c=cost: rate(saturate(z), x, c, 1))
        results[name] = np.asarray(jax.jit(by_output)(zs))

    print("inputs times c: the rate at which the first layer's weights learn")
    for c, r in zip(quiet, by_input, strict=True):
        print(f"  c = {c:<8.1e} ||dC/dw^1|| = {r:.2e}")
    print("output neuron at z, its target 0: the rate of its weights, for two costs")
    for i in range(0, len(zs), 5):
        print(
            f"  z = {zs[i]:5.1f}  quadratic {results['quadratic'][i]:.2e}  "
            f"cross-entropy {results['cross-entropy'][i]:.2e}"
        )
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
