"""By hand equals automatic equals the book's loops equals finite differences."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet
from jaxnet import Activation, Layer
from tests.helpers import assert_close, compiled, numpy_gradient, problem

ROOT = Path(__file__).parent.parent
backprop, autodiff = compiled(jaxnet.backprop), compiled(jaxnet.autodiff)
OWN = Activation(jnp.sin, jnp.cos, "sine")
ACTIVATIONS = [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear, OWN]
COSTS = [
    *(jaxnet.quadratic, jaxnet.cross_entropy),
    *(jaxnet.log_likelihood, jaxnet.linear_quadratic),
]


@pytest.mark.parametrize(
    ("sizes", "hidden", "cost"),
    [
        ((3, 2), jaxnet.sigmoid, jaxnet.quadratic),
        ((4, 5, 3), jaxnet.relu, jaxnet.cross_entropy),
        ((6, 5, 4, 2), jaxnet.tanh, jaxnet.quadratic),
    ],
    ids=str,
)
def test_both_equal_the_book_s_algorithm_and_differences(x64, sizes, hidden, cost):
    params, x, y = problem(sizes, hidden=hidden)
    loops = numpy_gradient(params, x, y, cost.name, hidden.name)
    expected = [
        Layer(jnp.asarray(w), jnp.asarray(b), layer.activation)
        for (w, b), layer in zip(loops, params, strict=True)
    ]
    flat, unravel = ravel_pytree(params)
    h = 1e-6

    @jax.jit
    @jax.vmap
    def difference(step):
        up, down = (jaxnet.loss(unravel(flat + s), x, y, cost) for s in (step, -step))
        return (up - down) / (2 * h)

    differences = unravel(difference(h * np.eye(len(flat))))
    by_hand, automatic = (way(params, x, y, cost) for way in (backprop, autodiff))
    assert_close(by_hand, automatic, rtol=1e-12)
    for gradient in (by_hand, automatic):
        assert_close(gradient, expected, rtol=1e-12)
        assert_close(gradient, differences, rtol=1e-7)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_both_are_equal_whatever_the_activations_of_the_layers(x64, cost):
    turn = COSTS.index(cost)
    hidden = ACTIVATIONS[turn : turn + 2]
    for seed in range(5):
        params, x, y = problem([4, 5, 3, 2], 5, seed, hidden, cost.output)
        params = jax.tree.map(lambda p: np.asarray(p) / 2, params)  # less saturated
        by_hand, automatic = backprop(params, x, y, cost), autodiff(params, x, y, cost)
        assert_close(by_hand, automatic, rtol=1e-12)
        assert [layer.activation for layer in by_hand] == [*hidden, cost.output]


def test_the_book_s_network_agrees_in_float32():
    params, x, y = problem([784, 30, 10], m=10)
    by_hand = backprop(params, x, y, jaxnet.cross_entropy)
    automatic = autodiff(params, x, y, jaxnet.cross_entropy)
    assert_close(by_hand, automatic, rtol=1e-5)


def test_a_mean_in_float16_is_finite_where_its_sum_is_not():
    params = [jaxnet.Layer(jnp.ones((2, 3)), jnp.zeros(2), jaxnet.linear)]
    arrays = params, jnp.full((999, 3), 10.0), jnp.full((999, 2), 21.0)
    arrays = jax.tree.map(jnp.float16, arrays)
    [slope] = compiled(jaxnet.backprop)(*arrays, jaxnet.linear_quadratic)
    assert slope.w.dtype == jnp.float16 and (slope.w == 90).all()


SHARDED = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
import jaxnet
from jax.sharding import NamedSharding, PartitionSpec as P
from tests.helpers import assert_close, compiled, problem
mesh = jax.make_mesh((2,), ("data",))
assert mesh.explicit_axes
params, x, y = problem([3, 2], m=4)
rows = jax.device_put((x, y), NamedSharding(mesh, P("data")))
expected = compiled(jaxnet.backprop)(params, x, y)
assert_close(jaxnet.backprop(params, *rows), expected, 1e-14)
assert_close(jaxnet.autodiff(params, *rows), expected, 1e-14)
run, key = {"batch_size": 3, "eta": 1.0}, jax.random.key(0)
data = jaxnet.Dataset(*rows), jaxnet.Dataset(x, y)
def train(part):
    cost = jax.tree_util.Partial(jaxnet.total_cost, data=part)
    return jaxnet.train(key, params, part, epochs=1, evaluate=cost, **run)

found, expected = (jaxnet.epoch(key, jaxnet.start(params), d, **run) for d in data)
assert_close(found.params, expected.params, 1e-12)
assert_close(*map(train, data), 1e-12)
found, expected = (jaxnet.confusion_matrix(params, part) for part in data)
assert (found == expected).all()
"""


@pytest.mark.slow
def test_learning_works_on_rows_sharded_over_an_explicit_mesh():
    subprocess.run([sys.executable, "-c", SHARDED], check=True, cwd=ROOT)


def test_backprop_is_at_most_50_equations_of_jax():
    """So that it compiles fast; `autodiff` is 43."""
    params, x, y = problem([784, 30, 10], m=10)
    equations = str(jax.make_jaxpr(jaxnet.backprop)(params, x, y)).count(" = ")
    assert 20 < equations <= 50
