"""Many devices, and several processes, learn what one device learns."""

import os
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import jax
import pytest

from jaxnet import runs
from jaxnet.cli import devices
from tests.helpers import assert_close, refused

ROOT = Path(__file__).parent.parent


def python(code, **environment):
    """What a process of its own prints, since JAX is told of devices only once."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


EIGHT_DEVICES = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
import jaxnet
from jaxnet.experiments import Experiment, Runner, over_rows, run
from jaxnet.experiments.runner import capacity, layout
from tests.helpers import assert_close, problem

shapes = [dict(layout(n, rows=True).shape) for n in (1, 2, 3)]
assert shapes[0] == {"networks": 1, "data": 8}
assert shapes[1] == shapes[2] == {"networks": 2, "data": 4}
params, x, y = problem([5, 4, 3], 20)
for m in (1, 20):
    with jax.set_mesh(layout(1, rows=True)):
        spread = jax.jit(over_rows(jaxnet.backprop))(params, x[:m], y[:m])
    assert_close(spread, jax.jit(jaxnet.backprop)(params, x[:m], y[:m]), 1e-14)

data = jaxnet.Dataset(x, y)
e = Experiment(sizes=(5, 4, 3), epochs=2, batch_size=10)
*_, many = run(e, data, data, range(1, 10))
assert capacity(e, 9, data) == 8 and layout(2).size == 2
assert {leaf.shape[0] for leaf in jax.tree.leaves(many.params)} == {9}
*_, spread = Runner(e, data, data, 2, rows=True)([8, 9])
assert_close(spread.params, jax.tree.map(lambda leaf: leaf[7:], many.params), 1e-13)
assert spread.record.correct == many.record.correct[7:]
print("equal")
"""


@pytest.mark.slow
def test_eight_devices_learn_the_same_by_networks_and_by_rows():
    assert python(EIGHT_DEVICES) == "equal"


XLA = "--xla_cpu_prefer_vector_width=512"


@pytest.mark.parametrize(
    ("name", "networks", "sizes", "batch_size", "info", "before", "after"),
    [
        ("NPROC", 1, [784, 30, 10], 10, "", "2", "2"),
        ("NPROC", 1, [784, 30, 10], 10, "", None, "1"),
        ("NPROC", 1, [784, 1000, 1000, 10], 10, "", None, None),
        ("NPROC", 1, [784, 30, 10], 1000, "", None, None),
        ("NPROC", 9, [784, 30, 10], 10, "", None, "1"),
        ("XLA_FLAGS", 1, [784, 10], 10, "flags: avx avx2 avx512f", None, XLA),
        ("XLA_FLAGS", 1, [784, 10], 10, "flags: avx avx512f", "--mine", "--mine"),
        ("XLA_FLAGS", 1, [784, 10], 10, "flags: avx avx2", None, None),
    ],
)
def test_a_small_network_uses_one_thread_and_all_of_avx512_unless_told_otherwise(
    monkeypatch, tmp_path, name, networks, sizes, batch_size, info, before, after
):
    monkeypatch.setenv(name, before or "")
    if before is None:
        monkeypatch.delenv(name)
    (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    count = jax.device_count()
    devices.prepare(networks, sizes, batch_size)
    assert os.environ.get(name) == after
    assert jax.device_count() == count, "too late once JAX has started"


PREPARE = """
import os
os.environ.pop("NPROC", None)
os.environ.pop("JAX_COMPILATION_CACHE_DIR")
from jaxnet import cli
parser = cli._parser("train")
parser.parse_args("train --eta 1 --l1 1 --dropout 0.5 --sizes 784,30,10".split())
from jaxnet.cli import devices  # and none of these starts JAX
devices.prepare(9, [784, 30, 10], 10)
print(os.environ["NPROC"], __import__("jax").device_count())
devices.keep_compiled()
__import__("jax").jit(lambda x: x * 3 + 1)(2.0)
"""


def test_many_networks_have_a_device_for_each_core_and_what_is_compiled_is_kept(
    tmp_path,
):
    """In the user's cache folder."""
    said = python(PREPARE, XDG_CACHE_HOME=str(tmp_path))
    assert said == f"1 {min(9, os.cpu_count() or 1)}"
    [folder] = (tmp_path / "jaxnet").iterdir()
    assert folder.name.startswith(f"compiled-{metadata.version('jaxlib')}-")
    assert list(folder.iterdir())


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
    "--coordinator h:1": "expected --coordinator HOST:PORT, --processes N and "
    "--process K together, got --coordinator alone",
    "--coordinator h:1 --processes 2 --process 2": "--process: expected 0 to 1, one "
    "number for each of the 2 processes, got 2",
    "--coordinator nowhere.invalid:1234 --processes 2 --process 1": "a known host and",
    "--devices 3": "--devices: expected 1, which JAX has, got 3",
}


def test_a_wrong_option_is_refused_in_one_line(capsys):
    for options, message in WRONG.items():
        assert message in refused(capsys, "train", *options.split())
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        several = ("--coordinator", address, "--processes", "2", "--process", "0")
        error = refused(capsys, "sweep", *several)
    assert f"a free port, got {address}: Address already in use" in error


# Several processes, each with a device of its own.


def begun(*options, **environment) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "jaxnet", *map(str, options)],
        env=os.environ | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def together():
    """A function that begins a command in two processes, to be waited for."""
    started = []

    def begin(*options, **environment: str):
        with socket.create_server(("", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        several = ("--coordinator", address, "--processes", 2, "--process")
        pair = [begun(*options, *several, k, **environment) for k in range(2)]
        started.extend(pair)
        return pair

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process) -> str:
    """What a process has printed, once it has done its work."""
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_resume_when_one_was_killed(
    together, small_mnist, tmp_path
):
    """Few steps, each of which is a message; the other process ends as JAX has it."""
    two, one, float64 = tmp_path / "two", tmp_path / "one", {"JAX_ENABLE_X64": "1"}
    train = ("train", "--data", small_mnist, "--sizes", "784,4,10", "--epochs", "60")
    train += ("--batch-size", "200", "--out")
    first, second = together(*train, two, **float64)
    while not any(two.glob("checkpoint-*[1-9].safetensors")):
        assert second.poll() is None
        time.sleep(0.05)
    second.kill()
    assert first.communicate(timeout=200)[1] and first.returncode != 0
    assert not runs.read(two).finished
    first, second = together("train", "--resume", two, **float64)
    ended(begun(*train, one, **float64))
    assert "Epoch 59: " in ended(first) and ended(second) == ""
    with jax.enable_x64(True):
        assert_close(runs.networks(two), runs.networks(one), 1e-11)


@pytest.mark.slow
def test_a_sweep_of_two_processes_has_the_bits_of_one(together, small_mnist, tmp_path):
    sweep = ("sweep", "--data", small_mnist, "--sizes", "784,4,10", "--epochs", "2")
    sweep += ("--seeds", "2", "--eta", "1,3", "--out")
    first, second = together(*sweep, tmp_path / "two")
    assert "4 networks" in ended(first) and ended(second) == ""
    ended(begun(*sweep, tmp_path / "one"))
    curves = []
    for name in ("two", "one"):
        lines = (tmp_path / name).read_text().splitlines()
        curves.append(sorted(line.partition(',"of"')[0] for line in lines))
    assert curves[0] == curves[1] and len(curves[0]) == 5
