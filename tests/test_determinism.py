"""The same key gives the same bits in another process, on other threads or devices."""

import json
import os
import subprocess
import sys
from functools import cache
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
from jaxnet.experiments import run

def bits(tree):
    whole = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
    return hashlib.sha256(whole).hexdigest()

mnist = jaxnet.load_mnist()
for hidden, batch_size, images in asked["trained"]:
    e = Experiment((784, hidden, 10), 1, batch_size, train_on=images)
    train, test = mnist.train[:images], mnist.test[:1000]
    *_, after = run(e, train, test, [*asked["beside"], 4])
    params = jax.tree.map(lambda leaf: leaf[-1], after.params)
    cost = jax.jit(jaxnet.total_cost)(params, test)
    print(bits(params), after.record.correct[-1], bits(cost))
"""
SMALL = [[30, 10, 305], [100, 10, 305], [100, 100, 1000]]
LARGE = [[30, 1000, 2000], [300, 1000, 2000]]
ALONE = {"NPROC": "1"}
# A setting has the devices, cores and other seeds, and environment variables.
CASES = [
    (SMALL, ALONE, {"NPROC": "2"}),
    (SMALL, ALONE, {"NPROC": "4", "cores": 1}),
    (SMALL, ALONE, {"devices": 2, "beside": [1]}),
    (SMALL, ALONE, {"devices": 8, "beside": [1, 2]}),
    (SMALL, ALONE, {"beside": [1, 2]}),
    # A mini-batch of 10, not of 100, whose products XLA sums in another order on some.
    (SMALL[:2], ALONE, {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}),
    # XLA splits large sums among threads: with another number of them, bits differ.
    *((LARGE, {"NPROC": n}, {"NPROC": n, "beside": [1]}) for n in ("1", "2", "4")),
]


@cache
def learned(networks: str, setting: str) -> list[str]:
    """Lines of SHA-256 of what a process of its own learns, for each network."""
    given = json.loads(setting)
    asked = {"trained": json.loads(networks), "devices": 1, "cores": None, "beside": []}
    asked |= {name: given[name] for name in asked.keys() & given.keys()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(asked)],
        env=os.environ | {k: given[k] for k in given.keys() - asked.keys()},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("networks", "one", "other"), CASES, ids=str)
def test_threads_cores_and_devices_do_not_change_the_bits(networks, one, other):
    both = [networks if networks is LARGE else SMALL, networks]
    alone, again = (
        learned(json.dumps(each), json.dumps(setting))
        for each, setting in zip(both, (one, other), strict=True)
    )
    assert alone[: len(networks)] == again and len(again) == len(networks)
