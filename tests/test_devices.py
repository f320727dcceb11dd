"""Many networks on all devices learn what each learns alone."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import devices
from jaxnet.devices import Spread
from jaxnet.experiments import Experiment
from jaxnet.runs import Runner, _together, capacity, run
from tests.helpers import problem


def python(code, **environment):
    """What a process of its own prints, since JAX is told of devices only once."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_function_of_one_network_becomes_one_of_many():
    spread = Spread(3)
    many = spread(lambda network, shared: (2 * network["w"] + shared, network["w"][0]))
    w = jnp.arange(6.0).reshape(3, 2)
    sums, firsts = many(spread.stack({"w": w}), spread.share(jnp.asarray(1.0)))
    np.testing.assert_array_equal(spread.gather(sums), 2 * w + 1)
    np.testing.assert_array_equal(spread.gather(firsts), w[:, 0])


@pytest.mark.parametrize("together", [2, 5])
def test_networks_may_be_one_computation(together):
    spread = Spread(5, together)
    many = spread(lambda key: jax.random.normal(key, (2,)))
    keys = jax.random.split(jax.random.key(0), 5)
    expected = jax.vmap(partial(jax.random.normal, shape=(2,)))(jax.random.clone(keys))
    np.testing.assert_allclose(spread.gather(many(spread.stack(keys))), expected)


THREE_DEVICES = """
import jax
jax.config.update("jax_num_cpu_devices", 3)
import numpy as np, sys
import jaxnet
from jaxnet.devices import Spread
from jaxnet.experiments import Experiment
from jaxnet.runs import Runner, capacity, run
data = jaxnet.load_mnist(sys.argv[1])
e = Experiment(sizes=(784, 6, 10), epochs=2)
*_, many = run(e, data.train, data.test, [1, 2, 3, 4, 5])
*_, few = run(e, data.train, data.test, [4])
assert capacity(e, 5, data.test) == 3 and Spread(2).devices == 2
for one, other in zip(jax.tree.leaves(many.params), jax.tree.leaves(few.params)):
    assert one.shape[0] == 5 and np.array_equal(one[3], other[0])
assert many.accuracy.shape == (5,) and many.accuracy[3] == few.accuracy[0]
runner = Runner(e, data.train, data.test, 3, ["eta"])
*_, one = runner([1, 2], eta=[3.0, 0.5])
assert one.accuracy[0] == many.accuracy[0] and one.accuracy.shape == (2,)
print("equal")
"""


@pytest.mark.slow
def test_three_devices_give_the_bits_of_one(small_mnist):
    code = f"import sys; sys.argv.append({small_mnist!r})\n{THREE_DEVICES}"
    assert python(code) == "equal"


def test_a_runner_compiles_once_for_all_rates_and_seeds(small_mnist_data):
    traces = []

    def counted(*args, **kwargs):
        traces.append(None)
        return jaxnet.backprop(*args, **kwargs)

    data = small_mnist_data
    e = Experiment(sizes=(784, 3, 10), epochs=2, gradient=counted)
    rates = ("eta", "l2", "dropout")
    runner = Runner(e, data.train, data.test, 2, rates)
    before = len(traces)
    assert before > 0
    for seeds, eta in (([1, 2], 1.0), ([3], 0.1)):
        n = len(seeds)
        for after in runner(seeds, eta=[eta] * n, l2=[5.0] * n, dropout=[0.5] * n):
            assert after.accuracy.shape == (n,)
    assert len(traces) == before


def test_another_eta_is_no_other_program(small_mnist_data):
    data, e = small_mnist_data, Experiment(sizes=(784, 4, 10))
    one, other = (
        Runner(replace(e, eta=eta), data.train, data.test, 1) for eta in (3.0, 0.1)
    )
    assert one.epoch.as_text() == other.epoch.as_text()


@pytest.mark.parametrize(
    ("networks", "sizes", "batch_size", "before", "threads"),
    [
        (1, [784, 30, 10], 10, "2", "2"),
        (1, [784, 30, 10], 10, None, "1"),
        (1, [784, 1000, 1000, 10], 10, None, None),
        (1, [784, 30, 10], 1000, None, None),
        (9, [784, 30, 10], 10, None, "1"),
    ],
)
def test_one_network_uses_one_thread_only_if_it_is_small(
    monkeypatch, networks, sizes, batch_size, before, threads
):
    monkeypatch.setenv("NPROC", before or "")
    if before is None:
        monkeypatch.delenv("NPROC")
    devices.prepare(networks, sizes, batch_size)
    assert os.environ.get("NPROC") == threads


def test_many_networks_have_a_device_for_each_core():
    code = (
        "import os; os.environ.pop('NPROC', None); import jaxnet.devices as d; "
        "d.prepare({}, [784, 30, 10], 10);"
        "print(os.environ['NPROC'], __import__('jax').device_count())"
    )
    assert python(code.format(1)) == "1 1"
    assert python(code.format(9)) == f"1 {min(9, os.cpu_count() or 1)}"


def test_it_is_too_late_once_jax_has_started():
    jax.devices()
    before = jax.device_count()
    devices.prepare(50, [784, 30, 10], 10)
    assert jax.device_count() == before


KEEP = """
import os, sys, pathlib, jax
import jaxnet.devices
jaxnet.devices.keep_compiled()
print(jax.config.jax_compilation_cache_dir)
"""


def test_what_is_compiled_is_kept_in_the_user_s_cache_folder(tmp_path):
    folder = tmp_path / "cache"
    unset = "import os; os.environ.pop('JAX_COMPILATION_CACHE_DIR', None)\n"
    code = unset + KEEP + "jax.jit(lambda x: x * 3 + 1)(2.0)"
    assert python(code, XDG_CACHE_HOME=str(folder)) == str(folder / "jaxnet")
    assert list((folder / "jaxnet").iterdir())
    off = {"XDG_CACHE_HOME": str(folder), "JAX_ENABLE_COMPILATION_CACHE": "0"}
    assert python(code, **off) == "None"
    mine = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "mine")}
    assert python(KEEP, **mine) == str(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    assert python(code, XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


def test_params_of_a_run_can_be_used_beside_other_arrays(small_mnist_data):
    data = small_mnist_data
    [after] = run(
        Experiment(sizes=(784, 4, 10), epochs=1), data.train, data.test, [1, 2]
    )
    params, _, _ = problem([784, 4, 10])
    total = jax.tree.map(lambda a, b: a[0] + b, after.params, params)
    assert total[0].w.shape == (4, 784)
    assert capacity(Experiment(), 5, data.test) == min(5, jax.device_count())


READING_OPTIONS = """
import jax
from jaxnet import cli
parse = cli._parser().parse_args
for command in ("train", "sweep"):
    parse([command, *"--eta 1 --l1 1 --l2 1 --dropout 0.5 --momentum 0.5".split()])
jax.config.update("jax_num_cpu_devices", 3)
print(len(jax.devices()))
"""


def test_reading_options_does_not_start_jax():
    assert python(READING_OPTIONS) == "3"


@pytest.mark.parametrize(
    "memory, at_once",
    [({"bytes_limit": 2**26}, 10), (None, 20), ({"bytes_limit": 1}, 1)],
)
def test_an_accelerator_trains_as_many_networks_at_once_as_its_memory_holds(
    small_mnist_data, monkeypatch, memory, at_once
):
    """A quarter of 64 MiB holds ten times 200 x 1,010 numbers of eight bytes."""
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: memory)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    e = Experiment(sizes=(784, 1000, 10))
    assert _together(e, 20, small_mnist_data.test) == at_once
