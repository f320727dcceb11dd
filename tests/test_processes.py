"""Many devices, and several processes, learn what one device learns."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxnet import checkpoints, folders, processes
from jaxnet.cli import main
from tests.helpers import abort, assert_close

ROOT = Path(__file__).parent.parent
SMALL = ("--sizes", "784,4,10", "--eta", "3", "--batch-size", "10")

EIGHT_DEVICES = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
import sys
import jaxnet
from jaxnet.devices import Spread, over_rows
from jaxnet.experiments import Experiment
from jaxnet.runs import run
from tests.helpers import assert_close, problem

mesh = Spread(1, rows=True).mesh
assert dict(mesh.shape) == {"replica": 1, "data": 8}
for gradient, m in ((jaxnet.backprop, 1), (jaxnet.backprop, 20), (jaxnet.autodiff, 64)):
    params, x, y = problem([5, 4, 3], m)
    with jax.set_mesh(mesh):
        spread = jax.jit(over_rows(gradient))(params, x, y)
    assert_close(spread, gradient(params, x, y), 1e-14)

data = jaxnet.load_mnist(sys.argv[1])
e = Experiment(sizes=(784, 4, 10), epochs=2, batch_size=64)
*_, alone = run(e, data.train, data.test, [1, 2])
*_, spread = run(e, data.train, data.test, [1, 2], rows=True)
assert dict(Spread(2, rows=True).mesh.shape) == {"replica": 2, "data": 4}
assert_close(spread.params, alone.params, 1e-13)
assert (spread.accuracy == alone.accuracy).all()
assert dict(Spread(3, rows=True).mesh.shape) == {"replica": 2, "data": 4}
print("equal")
"""


def test_eight_devices_learn_from_one_mini_batch_what_one_device_does(small_mnist):
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES, small_mnist],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "equal\n"


@pytest.fixture
def together(small_mnist):
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
    subprocess.run(
        [sys.executable, "-m", "jaxnet", *map(str, options)],
        env=os.environ | environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_does(together, small_mnist, tmp_path):
    train = ("train", "--data", small_mnist, *SMALL, "--epochs", "2", "--out")
    float64 = {"JAX_ENABLE_X64": "1"}
    first, second = together(*train, tmp_path / "two", **float64)
    alone(*train, tmp_path / "one", **float64)
    code, out, err = ended(first)
    assert code == 0, err
    assert out.splitlines()[0].endswith("float64 on 2 x cpu")
    assert "Epoch 1: " in out
    assert ended(second)[:2] == (0, "")
    two, one = (folders.networks(tmp_path / name) for name in ("two", "one"))
    with jax.enable_x64(True):
        assert_close(two, one, 1e-12)


@pytest.mark.slow
def test_a_sweep_of_two_processes_has_the_bits_of_one(together, small_mnist, tmp_path):
    sweep = ("sweep", "--data", small_mnist, *SMALL, "--epochs", "2", "--seeds", "2")
    sweep += ("--eta", "1,3", "--out")
    for _ in range(2):  # the second time it is all done
        first, second = together(*sweep, tmp_path / "two")
        code, out, err = ended(first)
        assert code == 0 and "4 networks" in out, err
        assert ended(second)[:2] == (0, "")
    alone(*sweep, tmp_path / "one")
    two, one = ((tmp_path / name).read_text().splitlines() for name in ("two", "one"))
    assert sorted(two) == sorted(one) and len(one) == 5


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_process_is_killed_the_other_ends_and_the_run_goes_on(
    victim, together, small_mnist, tmp_path
):
    kept, straight = tmp_path / "kept", tmp_path / "straight"
    train = ("train", "--data", small_mnist, *SMALL, "--epochs", "400")
    train += ("--batch-size", "200", "--out")  # few steps, each of which is a message
    pair = together(*train, kept)
    metrics = kept / folders.METRICS
    while not (metrics.exists() and folders.read(kept).saved > 1):
        assert pair[victim].poll() is None
        time.sleep(0.05)
    pair[victim].kill()
    code, _, err = ended(pair[1 - victim])
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("jaxnet train: another process was lost")
    assert "--resume" in last
    log = last.rpartition("JAX's own words: ")[2]
    Path(log).unlink(missing_ok=True)

    done = folders.read(kept)
    assert not done.finished
    for process in together("train", "--resume", kept):
        assert ended(process)[0] == 0
    for process in together(*train, straight):
        assert ended(process)[0] == 0
    one, other = (checkpoints.load(folder).arrays for folder in (kept, straight))
    assert {k: v.tobytes() for k, v in one.items()} == {
        k: v.tobytes() for k, v in other.items()
    }


def test_whoever_started_a_process_that_jax_ends_is_told_in_one_line(capfd):
    assert processes.watched(abort, ["train"]) == 1
    out, err = capfd.readouterr()
    assert out == "printed\n" and err.count("\n") == 1
    assert err.startswith("jaxnet train: another process was lost")
    log = Path(err.split()[-1])
    assert log.read_text() == "written by C++\n"
    log.unlink()


WRONG = {
    "--coordinator x": "expected a host and a port such as 10.0.0.1:1234, got 'x'",
    "--coordinator x:0": "expected a host and a port such as 10.0.0.1:1234",
    "--coordinator h:1": "expected --coordinator HOST:PORT, --processes N and "
    "--process K together, got --coordinator alone",
    "--process 1": "together, got --process alone",
    "--coordinator h:1 --processes 2 --process 2": "--process: expected 0 to 1, one "
    "number for each of the 2 processes, got 2",
    "--devices 0": "--devices: expected a whole number of at least 1, got '0'",
    "--devices 3": "--devices: expected 1, which JAX has, got 3",
}


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize("options", WRONG)
def test_a_wrong_option_is_refused_in_one_line(options, command, capsys, monkeypatch):
    monkeypatch.setattr(processes, "watched", lambda run, argv: run(argv))
    try:
        code = main([command, *options.split()])
    except SystemExit as error:
        code = error.code
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and WRONG[options] in err


def test_an_address_that_nobody_can_use_is_refused():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"free port .*{port}: Address already"):
            processes.join(f"127.0.0.1:{port}", 2, 0)
    with pytest.raises(ValueError, match="Expected a known host"):
        processes.join("nowhere.invalid:1234", 2, 1)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"eta": 0.5}, "got eta 3.0 in process 1 and 0.5 in process 0"),
        ("other data", "got others in process 1 than in process 0"),
    ],
)
def test_processes_that_do_not_do_the_same_are_refused(
    theirs, message, monkeypatch, capsys, small_mnist
):
    def agree(value):
        value = json.loads(json.dumps(value))
        if isinstance(value, dict):
            return {**value, **theirs} if isinstance(theirs, dict) else value
        return theirs

    monkeypatch.setattr(processes, "agree", agree)
    monkeypatch.setattr(processes, "join", lambda *address: False)
    monkeypatch.setattr(processes, "watched", lambda run, argv: run(argv))
    several = ["--coordinator", "h:1", "--processes", "2", "--process", "1"]
    assert main(["train", "--data", small_mnist, *several]) == 2
    assert message in capsys.readouterr().err
