"""What is compared does the same thing, and tables and figure say what was measured."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from scripts import benchmark, contenders, tables

SIZES, M, ETA = (6, 5, 3), 4, 0.5


@pytest.fixture(scope="module")
def one_batch():
    """As many images as a mini-batch has: an epoch is a step, whatever its order."""
    pixels = np.random.default_rng(3).integers(0, 256, (M, 6), np.uint8)
    return jaxnet.Dataset(jnp.asarray(pixels), jnp.asarray(np.eye(3)[[0, 1, 2, 0]]))


@pytest.fixture(scope="module")
def expected(one_batch):
    return contenders.epoch(SIZES, one_batch, M, ETA).run().params


OURS = (
    *("jitted_step", "epoch_by_jax_grad", "jax_grad_in_scan"),
    *("numpy_by_example", "numpy_by_mini_batch"),
)


@pytest.mark.parametrize("name", OURS)
def test_our_other_ways_take_the_same_step(one_batch, expected, name):
    with jax.numpy_rank_promotion("allow"):  # as most programs are written
        found = getattr(contenders, name)(SIZES, one_batch, M, ETA).run()
    for (w, b), layer in zip(getattr(found, "params", found), expected, strict=True):
        np.testing.assert_allclose(w, layer.w, rtol=1e-5)
        np.testing.assert_allclose(np.ravel(b), layer.b, rtol=1e-5)


@pytest.mark.parametrize("name", ["equinox", "flax", "pytorch", "scikit_learn"])
def test_other_packages_learn_where_they_are_installed(small_mnist_data, name):
    begin = contenders.available().get(name)
    if begin is None:
        pytest.skip(f"{name} is not installed")
    x, y = small_mnist_data.train.x, small_mnist_data.train.y
    data = jaxnet.Dataset((256 * x).astype(np.uint8), y)
    way = begin((784, 30, 10), data, 10, ETA)
    way.run()
    assert 0 < way.part


def test_flops_are_those_of_the_products_that_are_timed(monkeypatch):
    """Three products in each layer, but two in the first one."""
    shapes = []
    monkeypatch.setattr(benchmark, "_product", lambda *args: shapes.append(args) or 1.0)
    assert benchmark.products((784, 30, 10), 50_000) == len(shapes) == 5
    found = 0.0
    for left, right, words in shapes:
        sizes = dict(zip(words[:2] + words[3:5], left + right, strict=True))
        found += 2.0 * np.prod(list(sizes.values()))
    assert found == benchmark.flops((784, 30, 10), 50_000)
    assert found == pytest.approx(4.79e9, rel=0.01)
    monkeypatch.undo()
    assert 0 < benchmark._product((40, 20), (10, 20), "mi,oi->mo") < 0.1


def test_the_tables_and_the_figure_show_the_file(tmp_path, drawn):
    found = json.loads(benchmark.RESULTS.read_text())
    assert tables.inside(tables.OF_SCRIPTS, "benchmark") == benchmark.in_markdown(found)
    benchmark.draw(found, tmp_path / "a.png")
    rates, many = drawn[0].axes
    *of_steps, roof = rates.lines
    shown = [x for line in of_steps for x in line.get_ydata()]
    steps = [row for row in found["steps"] if len(row["sizes"]) == 3]
    np.testing.assert_allclose(sorted(shown), sorted(row["gflops"] for row in steps))
    assert roof.get_ydata()[0] == found["roofline"]["gflops"]
    for line, rows in zip(many.lines, found["many"].values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), [row["a_second"] for row in rows])
