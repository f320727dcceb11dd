"""The doctor: all is well on a healthy machine, and each defect has its name."""

import json
import os
import re
from dataclasses import replace
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.cli import doctor, main
from jaxnet.datasets import MNIST_SHA256
from tests.helpers import idx

ALL = (
    *("versions", "device", "precision", "data", "initial cost", "gradients"),
    *("overfitting", "same bits"),
)


def test_all_is_well_on_a_healthy_machine():
    healthy = dict(doctor.examine())
    assert tuple(healthy) == ALL
    assert all(finding.well for finding in healthy.values())
    assert f"jax {jax.__version__}, " in healthy["versions"].found
    assert jax.devices()[0].device_kind in healthy["device"].found
    assert "50,000 training examples, the SHA-256 of all four" in healthy["data"].found
    assert (
        "cross-entropy 6.9315 with tiny weights, expected 10 ln 2"
        in healthy["initial cost"].found
    )
    assert "20/20 correct" in healthy["overfitting"].found


def in_bfloat16(a, b):
    """A product as a device of low precision gives it."""
    low = (jnp.asarray(array).astype(jnp.bfloat16) for array in (a, b))
    return jnp.dot(*low).astype(jnp.float32)


def wrong_backprop(params, x, y, **options):
    """One per cent more of the first bias, which a difference in float32 misses."""
    first, *others = jaxnet.backprop(params, x, y, **options)
    return [replace(first, b=1.01 * first.b), *others]


def test_every_defect_is_named_and_the_other_checks_still_run(tmp_path, monkeypatch):
    """Low precision, a truncated file, a wrong equation, no device, and a bug."""
    for name in MNIST_SHA256:
        (tmp_path / name).write_bytes(b"\0\0\x08\x03few")

    def fail(*_):
        raise RuntimeError("Unable to initialize backend 'cuda'\nand more")

    monkeypatch.setattr("jax.numpy.matmul", in_bfloat16)
    monkeypatch.setattr("jax.devices", fail)
    monkeypatch.setattr(doctor, "backprop", wrong_backprop)
    monkeypatch.setattr(doctor, "overfitting", lambda few: doctor.Finding(True, ""))
    monkeypatch.setattr(doctor, "same_bits", fail)
    found = dict(doctor.examine(tmp_path))
    assert tuple(found) == ALL
    lines = {
        "device": "RuntimeError: Unable to initialize backend 'cuda'$",
        "precision": r"relative error [1-9]\.\de-03 of a float32 product, expected",
        "data": "train-images-idx3-ubyte: expected 12 bytes of dimensions",
        "gradients": "backprop and autodiff differ by .*e-0. in float64",
        "same bits": "RuntimeError: Unable to initialize backend 'cuda'$",
    }
    assert lines.keys() == {check for check, each in found.items() if not each.well}
    for check, line in lines.items():
        assert re.search(line, found[check].found)
    assert "JAX_DEFAULT_MATMUL_PRECISION=highest" in found["precision"].advice
    assert "jaxnet compare" in found["gradients"].advice


@pytest.mark.parametrize(
    ("package", "version", "expected"),
    [
        ("jax", "0.9.2", "expected jax>=0.10, got 0.9.2"),
        ("numpy", "1.26.4", "expected numpy>=2.0, got 1.26.4"),
        ("jax", "0.99.1.dev3+local", None),
    ],
)
def test_a_wrong_version_is_named(monkeypatch, package, version, expected):
    real, fake = metadata.version, {package: version}
    monkeypatch.setattr(metadata, "version", lambda name: fake.get(name) or real(name))
    well, found, advice = doctor.versions()
    assert well == (expected is None) and f"{package} {version}" in found
    if expected:
        assert expected in found and f'pip install "{package}>=' in advice


def test_data_that_are_nearly_mnist_are_noticed(small_mnist, tmp_path):
    assert "not MNIST: no checksum is known" in doctor.data(small_mnist).found
    (tmp_path / "mine.csv").write_text("0,1\n1,2\n" * 6)
    assert "no checksum is known" in doctor.data(tmp_path / "mine.csv").found
    source = jaxnet.datasets.idx.mnist_folder()
    for name in MNIST_SHA256:
        os.symlink(source / f"{name}.gz", tmp_path / f"{name}.gz")
    assert "SHA-256 of all four files is MNIST's" in doctor.data(tmp_path).found
    changed = tmp_path / "t10k-labels-idx1-ubyte.gz"
    changed.unlink()
    changed.with_suffix("").write_bytes(idx(np.zeros(10_000)))
    well, found, _ = doctor.data(tmp_path)
    assert not well and found.startswith("t10k-labels-idx1-ubyte: expected MNIST's")


@pytest.fixture
def few():
    x = np.random.default_rng(0).random((20, 784), np.float32)
    y = np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    return jaxnet.Dataset(jnp.asarray(x), jnp.asarray(y))


def test_examples_that_contradict_each_other_are_not_learnt(few):
    x = few.x.at[1::2].set(few.x[::2])
    well, found, _ = doctor.overfitting(replace(few, x=x))
    assert not well and "10/20 correct" in found


def test_a_wrong_cost_at_the_start_is_noticed(few, monkeypatch):
    monkeypatch.setattr(doctor, "loss", lambda *_: jnp.asarray(4.6))
    well, found, _ = doctor.initial_cost(few)
    assert not well and "4.6000 with tiny weights, expected 10 ln 2 = 6.9315" in found


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((1, 2, 1), "the same key gives other bits, another key the same bits"),
        ((1, 1, 1), "the same key gives the same bits, another key the same bits"),
    ],
)
def test_bits_that_do_not_follow_the_key_are_noticed(
    few, monkeypatch, factors, expected
):
    networks = iter(factors)
    monkeypatch.setattr(doctor, "_learn", lambda *_: [np.full(3, next(networks))])
    well, found, _ = doctor.same_bits(few)
    assert not well and found == expected


WELL = ("device", doctor.Finding(True, "1 x cpu"))
ILL = ("data", doctor.Finding(False, "file: damaged", "Copy it again."))


def test_a_line_for_each_check_and_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda path: iter([WELL, ILL]))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok     device        1 x cpu.",
        "WRONG  data          file: damaged. Copy it again.",
        "1 of 2 checks failed: data.",
    ]
    assert main(["doctor", "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert value["well"] is False
    assert [check["check"] for check in value["checks"]] == ["device", "data"]
    monkeypatch.setattr(doctor, "examine", lambda path: iter([WELL]))
    assert main(["doctor"]) == 0
    assert "All is well: 1 checks in " in capsys.readouterr().out
