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
ONE_THREAD = {"NPROC": "1"}
OTHERS = [
    {"NPROC": "2"},
    {"NPROC": "4"},
    {"devices": 2, "beside": [1]},
    {"devices": 8, "beside": [1, 2]},
    {"beside": [1, 2]},
    {"cores": 1},
]
# A mini-batch of 10, not of 100, whose products XLA sums in another order on some CPUs.
WITHOUT_THREADS = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
CASES = [
    (SMALL[:1], {"cores": 1} | ONE_THREAD, {"devices": 8, "beside": [1, 2]}),
    *((SMALL, ONE_THREAD, other) for other in OTHERS),
    (SMALL[:2], ONE_THREAD, WITHOUT_THREADS),
    # XLA splits large sums among threads: with another number of them, bits differ.
    *((LARGE, {"NPROC": n}, {"NPROC": n, "beside": [1]}) for n in ("1", "2", "4")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("networks", "one", "other"), CASES, ids=str)
def test_threads_cores_and_devices_do_not_change_the_bits(networks, one, other):
    """Lines of SHA-256 of what two processes have learned, side by side.

    A setting has the devices, cores and other seeds, and environment variables.
    """
    processes = []
    for setting in (one, other):
        asked = {"trained": networks, "devices": 1, "cores": None, "beside": []}
        asked |= {name: setting[name] for name in asked.keys() & setting.keys()}
        variables = {k: setting[k] for k in setting.keys() - asked.keys()}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, json.dumps(asked)],
                env=os.environ | variables,
                cwd=Path(__file__).parent.parent,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    alone, again = (process.communicate(timeout=300)[0] for process in processes)
    assert not any(process.returncode for process in processes)
    assert alone == again and alone.count("\n") == len(networks)
