"""The same key gives the same bits in another process, on other threads or devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import hashlib, json, os, sys
asked = json.loads(sys.argv[1])
if asked["cores"]:
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:asked["cores"]])
import jax
jax.config.update("jax_num_cpu_devices", asked["devices"])
import numpy as np
import jaxnet
from jaxnet.experiments import Experiment
from jaxnet.runs import run

def bits(tree):
    whole = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
    return hashlib.sha256(whole).hexdigest()

mnist = jaxnet.load_mnist()
for hidden, batch_size, images in asked["trained"]:
    e = Experiment((784, hidden, 10), 1, batch_size, train_on=images)
    *_, after = run(e, mnist.train, mnist.test, [*asked["beside"], 4])
    params = jax.tree.map(lambda leaf: leaf[-1], after.params)
    cost = jaxnet.total_cost(params, mnist.test)
    print(bits(params), after.found[-1], bits(cost))
"""
SMALL = [[30, 10, 305], [100, 10, 305], [100, 100, 1000]]
LARGE = [[30, 1000, 2000], [300, 1000, 2000]]


def trained(networks, *settings):
    """What a process for each setting has learnt, side by side: lines of SHA-256.

    A setting is the devices, cores and seeds beside, and variables of the environment.
    """
    processes = []
    for setting in settings:
        asked = {"trained": networks, "devices": 1, "cores": None, "beside": []}
        asked |= {name: setting[name] for name in asked.keys() & setting.keys()}
        variables = {k: setting[k] for k in setting.keys() - asked.keys()}
        command = [sys.executable, "-c", PROGRAM, json.dumps(asked)]
        processes.append(
            subprocess.Popen(
                command,
                env=os.environ | variables,
                cwd=Path(__file__).parent.parent,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert not any(process.returncode for process in processes)
    assert all(output.count("\n") == len(networks) for output in outputs)
    return outputs


def test_one_core_gives_the_bits_of_eight_devices():
    """Alone on a part of the machine, and as the last of three networks on all."""
    part = {"cores": 1, "NPROC": "1"}
    alone, beside = trained(SMALL[:1], part, {"devices": 8, "beside": [1, 2]})
    assert alone == beside


UNLIKE = [
    {"NPROC": "2"},
    {"NPROC": "4"},
    {"devices": 2, "beside": [1]},
    {"devices": 8, "beside": [1, 2]},
    {"beside": [1, 2]},
    {"cores": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("setting", UNLIKE, ids=str)
def test_threads_cores_and_devices_do_not_change_a_small_network(setting):
    alone, other = trained(SMALL, {"NPROC": "1"}, setting)
    assert alone == other


@pytest.mark.slow
def test_without_threads_for_products_a_mini_batch_of_10_gives_the_same_bits():
    """Not one of 100, whose products XLA then sums in another order on some CPUs."""
    without = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    alone, other = trained(SMALL[:2], {"NPROC": "1"}, without)
    assert alone == other


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2", "4"])
def test_as_many_threads_give_a_large_mini_batch_the_same_bits(threads):
    """XLA splits its sums among threads: with another number of them, bits differ."""
    alone, again = trained(LARGE, {"NPROC": threads}, {"NPROC": threads, "beside": [1]})
    assert alone == again
