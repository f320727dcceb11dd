"""Many devices, and several processes, learn what one device learns."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxnet import runs
from jaxnet.cli import devices
from jaxnet.runs import checkpoint
from jaxnet.runs.run import Manifest
from tests.helpers import assert_close, refused

ROOT = Path(__file__).parent.parent
SMALL = ("--sizes", "784,4,10", "--eta", "3", "--batch-size", "10")


def python(code, *arguments, **environment):
    """What a process of its own prints, since JAX is told of devices only once."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


EIGHT_DEVICES = """
import jax, sys
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
import numpy as np
import jaxnet
from jaxnet.experiments import Experiment, Runner, over_rows, run
from jaxnet.experiments.runner import capacity, layout
from tests.helpers import assert_close, problem

shapes = [dict(layout(n, rows=True).shape) for n in (1, 2, 3)]
assert shapes[0] == {"networks": 1, "data": 8}
assert shapes[1] == shapes[2] == {"networks": 2, "data": 4}
for gradient, m in ((jaxnet.backprop, 1), (jaxnet.autodiff, 20)):
    params, x, y = problem([5, 4, 3], m)
    with jax.set_mesh(layout(1, rows=True)):
        spread = jax.jit(over_rows(gradient))(params, x, y)
    assert_close(spread, jax.jit(gradient)(params, x, y), 1e-14)

data = jaxnet.load_mnist(sys.argv[1])
e = Experiment(sizes=(784, 4, 10), epochs=2, batch_size=64)
*_, alone = run(e, data.train, data.test, [1, 2])
*_, spread = Runner(e, data.train, data.test, 2, rows=True)([1, 2])
assert_close(spread.params, alone.params, 1e-13)
assert spread.record.correct == alone.record.correct

# A network on each device learns the bits that it learns alone, padded or not.
*_, many = run(e, data.train, data.test, range(1, 10))
assert capacity(e, 9, data.test) == 8 and layout(2).size == 2
for one, other in zip(jax.tree.leaves(many.params), jax.tree.leaves(alone.params)):
    assert one.shape[0] == 9 and np.array_equal(one[:2], other)
assert many.record.correct[:2] == alone.record.correct
print("equal")
"""


def test_eight_devices_learn_what_one_device_does(small_mnist):
    assert python(EIGHT_DEVICES, small_mnist) == "equal"


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
    count = jax.device_count()
    devices.prepare(networks, sizes, batch_size)
    assert os.environ.get("NPROC") == threads
    assert jax.device_count() == count, "too late once JAX has started"


PREPARE = """
import os
os.environ.pop("NPROC", None)
from jaxnet import cli
parser = cli._parser("train")
parser.parse_args("train --eta 1 --l1 1 --dropout 0.5 --sizes 784,30,10".split())
from jaxnet.cli import devices  # and none of these starts JAX
devices.prepare(9, [784, 30, 10], 10)
print(os.environ["NPROC"], __import__("jax").device_count())
"""


def test_many_networks_have_a_device_for_each_core():
    assert python(PREPARE) == f"1 {min(9, os.cpu_count() or 1)}"


KEEP = """
import os
os.environ.pop("JAX_COMPILATION_CACHE_DIR")
import jax
from jaxnet.cli import devices
devices.keep_compiled()
jax.jit(lambda x: x * 3 + 1)(2.0)
"""


def test_what_is_compiled_is_kept_in_the_user_s_cache_folder(tmp_path):
    python(KEEP, XDG_CACHE_HOME=str(tmp_path))
    assert list((tmp_path / "jaxnet" / "compiled").iterdir())


@pytest.mark.parametrize("case", ["turned off", "elsewhere", "not writable"])
def test_where_it_is_not_kept(tmp_path, monkeypatch, case):
    elsewhere = str(tmp_path / "mine") if case == "elsewhere" else None
    (tmp_path / "file").touch()
    place = tmp_path / "file" if case == "not writable" else tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache")
    before = {name: getattr(jax.config, name) for name in names}
    try:
        jax.config.update("jax_compilation_cache_dir", elsewhere)
        jax.config.update("jax_enable_compilation_cache", case != "turned off")
        devices.keep_compiled()
        assert jax.config.jax_compilation_cache_dir == elsewhere  # type: ignore
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


WRONG = {
    "--coordinator x": "expected a host and a port such as 10.0.0.1:1234, got 'x'",
    "--coordinator x:0": "expected a host and a port such as 10.0.0.1:1234",
    "--coordinator h:1": "expected --coordinator HOST:PORT, --processes N and "
    "--process K together, got --coordinator alone",
    "--process 1": "together, got --process alone",
    "--coordinator h:1 --processes 2 --process 2": "--process: expected 0 to 1, one "
    "number for each of the 2 processes, got 2",
    "--coordinator nowhere.invalid:1234 --processes 2 --process 1": "a known host and",
    "--devices 0": "--devices: expected a whole number of at least 1, got '0'",
    "--devices 3": "--devices: expected 1, which JAX has, got 3",
}


@pytest.mark.parametrize("options", WRONG)
def test_a_wrong_option_is_refused_in_one_line(options, capsys):
    assert WRONG[options] in refused(capsys, "train", *options.split())


def test_a_port_that_is_taken_is_refused(capsys):
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        several = ("--coordinator", address, "--processes", "2", "--process", "0")
        error = refused(capsys, "sweep", *several)
    assert f"a free port, got {address}: Address already in use" in error


@pytest.fixture
def together():
    """A function that starts a command in two processes, to be waited for."""
    started = []

    def start(*options, **environment: str):
        with socket.create_server(("", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "jaxnet", *map(str, options)]
        command += ["--coordinator", address, "--processes", "2", "--process"]
        for number in ("0", "1"):
            process = subprocess.Popen(
                [*command, number],
                env=os.environ | environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        return started[-2:]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def alone(*options, **environment: str) -> None:
    command = [sys.executable, "-m", "jaxnet", *map(str, options)]
    variables = os.environ | environment
    subprocess.run(command, env=variables, cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(together, small_mnist, tmp_path):
    train = ("train", "--data", small_mnist, *SMALL, "--epochs", "2", "--out")
    float64 = {"JAX_ENABLE_X64": "1"}
    first, second = together(*train, tmp_path / "two", **float64)
    alone(*train, tmp_path / "one", **float64)
    code, out, err = ended(first)
    assert code == 0, err
    assert "Epoch 1: " in out
    assert ended(second)[:2] == (0, "")
    with jax.enable_x64(True):
        two, one = (runs.networks(tmp_path / name) for name in ("two", "one"))
        assert_close(two, one, 1e-12)


@pytest.mark.slow
def test_a_sweep_of_two_processes_has_the_bits_of_one(together, small_mnist, tmp_path):
    sweep = ("sweep", "--data", small_mnist, *SMALL, "--epochs", "2", "--seeds", "2")
    sweep = (*sweep[:5], *sweep[7:], "--eta", "1,3", "--out")
    for _ in range(2):  # the second time it is all done
        first, second = together(*sweep, tmp_path / "two")
        code, out, err = ended(first)
        assert code == 0 and "4 networks" in out, err
        assert ended(second)[:2] == (0, "")
    alone(*sweep, tmp_path / "one")
    curves = []
    for name in ("two", "one"):
        lines = (tmp_path / name).read_text().splitlines()
        curves.append(sorted(line.partition(',"of"')[0] for line in lines))
    assert curves[0] == curves[1] and len(curves[0]) == 5


@pytest.mark.slow
def test_when_a_process_is_killed_the_other_ends_and_the_run_is_resumed(
    together, small_mnist, tmp_path
):
    kept, straight = tmp_path / "kept", tmp_path / "straight"
    train = ("train", "--data", small_mnist, *SMALL, "--epochs", "60")
    train += ("--batch-size", "200", "--out")  # few steps, each of which is a message
    pair = together(*train, kept)
    while not any(kept.glob("checkpoint-*[1-9].safetensors")):
        assert pair[1].poll() is None
        time.sleep(0.05)
    pair[1].kill()
    code, _, err = ended(pair[0])
    assert code != 0 and err, "JAX says what happened"
    assert not runs.read(kept).finished
    for process in together("train", "--resume", kept):
        assert ended(process)[0] == 0
    for process in together(*train, straight):
        assert ended(process)[0] == 0
    one, other = (checkpoint.load(folder, Manifest)[0] for folder in (kept, straight))
    assert {k: v.tobytes() for k, v in one.items()} == {
        k: v.tobytes() for k, v in other.items()
    }
