"""Chapter 2: all the ways to one gradient agree, and what each of them costs.

Book: backpropagation gives what the limit (2.21) approximates, what the matrices of
(2.12) multiply to, and what the sum over all paths (2.28) comes to; it is by far the
fastest. `python -m jaxnet compare` says more of any one of them, or of your own.
"""

import time

import jax

import jaxnet
from jaxnet import oracles
from jaxnet.cli.console import script
from jaxnet.compare import compare_gradients

WAYS = (
    jaxnet.backprop,
    oracles.backprop_by_example,
    oracles.backprop_by_matrix,
    oracles.matrix_product,
    oracles.path_sum,
    oracles.complex_step,
    oracles.central_difference,
    oracles.forward_difference,
)


def main(
    data: str | None = None, sizes: tuple[int, ...] = (784, 30, 10), m: int = 10
) -> dict[str, tuple[float, float]]:
    """Print how far each is from `jax.grad` in float64, and its time in backprops."""
    train = jaxnet.load_mnist(data).train
    x, y = train.x[:m], train.y[:m]
    results, fastest, reference = {}, 0.0, jax.jit(jaxnet.autodiff)
    with jax.enable_x64(True):
        params = jaxnet.init(jax.random.key(1), sizes)
        args = jax.tree.map(lambda a: a.astype(float), (params, x, y))
        for way in WAYS:
            compiled = jax.jit(way)
            found = compare_gradients(compiled, reference, params, x, y)
            times = []
            for _ in range(3):
                began = time.perf_counter()
                jax.block_until_ready(compiled(*args))
                times.append(time.perf_counter() - began)
            fastest = fastest or min(times)
            results[way.__name__] = (found.relative_error, min(times) / fastest)
            print(
                f"{way.__name__:<22} relative error {found.relative_error:.1e}, "
                f"{min(times) / fastest:9.1f} times the time of backprop"
            )
    return results


if __name__ == "__main__":
    script(main)
