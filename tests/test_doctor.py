"""The doctor: all is well on a healthy machine, and each defect has its name."""

import json
import os
import re
from dataclasses import replace
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.cli import doctor, main
from jaxnet.datasets import MNIST_SHA256, Source
from tests.helpers import idx, raising

ALL = (
    *("versions", "device", "precision", "data", "initial cost", "gradients"),
    *("overfitting", "same bits"),
)


def test_all_is_well_on_a_healthy_machine(capsys):
    assert main(["doctor"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    found = {line[7:21].strip(): line for line in lines}
    assert tuple(found) == ALL and all(line.startswith("ok ") for line in lines)
    assert f"jax {jax.__version__}, " in found["versions"]
    assert jax.devices()[0].device_kind in found["device"]
    assert "50,000 training examples, the SHA-256 of all four" in found["data"]
    cost = "cross-entropy 6.9315 with tiny weights, expected 10 ln 2"
    assert cost in found["initial cost"]
    assert "20/20 correct" in found["overfitting"]
    assert last.startswith("All is well: 8 checks in ")


def in_bfloat16(a, b):
    """A product as a device of low precision gives it."""
    low = (jnp.asarray(array).astype(jnp.bfloat16) for array in (a, b))
    return jnp.dot(*low).astype(jnp.float32)


backprop = jaxnet.backprop


def wrong_backprop(params, x, y, **options):
    """One per cent more of the first bias, which a difference in float32 misses."""
    first, *others = backprop(params, x, y, **options)
    return [replace(first, b=1.01 * first.b), *others]


def test_every_defect_is_named_and_the_other_checks_still_run(
    tmp_path, monkeypatch, capsys
):
    """A wrong version and no device, low precision, a truncated file, bugs."""
    for name in MNIST_SHA256:
        (tmp_path / name).write_bytes(b"\0\0\x08\x03few")
    networks = iter([1, 2, 3, 3])  # the first for `overfitting`

    def nothing_learned(key, params, few):
        layer = replace(params[0], w=np.full(3, next(networks)))
        return [layer], jnp.asarray(0.01), jnp.asarray(0.5)

    no_device = raising(RuntimeError, "Unable to initialize backend 'cuda'.\nand more")
    real = metadata.version
    fake = {"jax": "0.9.2"}
    monkeypatch.setattr(metadata, "version", lambda name: fake.get(name) or real(name))
    monkeypatch.setattr("jax.devices", no_device)
    monkeypatch.setattr("jax.numpy.matmul", in_bfloat16)
    monkeypatch.setattr(jaxnet, "loss", lambda *_, cost: jnp.asarray(4.6))
    monkeypatch.setattr(jaxnet, "backprop", wrong_backprop)
    monkeypatch.setattr(doctor, "learn", nothing_learned)
    assert main(["doctor", "--data", str(tmp_path), "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert value["well"] is False and tuple(c["check"] for c in value["checks"]) == ALL
    words = [f"{c['found']}. {c['advice']}" for c in value["checks"] if not c["well"]]
    expected = [
        r'expected jax>=0.10, got 0.9.2\. .*pip install "jax>=0.10"',
        r"RuntimeError: Unable to initialize backend 'cuda'\. $",
        r"relative error [1-9]\.\de-03 .* JAX_DEFAULT_MATMUL_PRECISION=highest",
        "train-images-idx3-ubyte: expected 12 bytes of dimensions",
        r"4.6000 with tiny weights, expected 10 ln 2 = 6.9315\. .* Reinstall",
        r"autodiff differ by .*e-0. in float64, .* in float32\. .*jaxnet compare",
        "10/20 correct after 400 epochs, cost 0.0100",
        "the same key gives other bits, another key other bits",
    ]
    for line, pattern in zip(words, expected, strict=True):
        assert re.search(pattern, line)
    networks = iter([1, 1, 1])
    well, found, _ = doctor.same_bits()
    assert not well and "the same bits, another key the same bits" in found


def test_data_that_are_nearly_mnist_are_noticed(small_mnist, tmp_path):
    assert "not MNIST: no checksum is known" in doctor.data(Source(small_mnist))[1]
    (tmp_path / "mine.csv").write_text("0,1\n1,2\n" * 6)
    assert "no checksum is known" in doctor.data(Source(tmp_path / "mine.csv"))[1]
    source = jaxnet.datasets.idx.mnist_folder()
    for name in MNIST_SHA256:
        os.symlink(source / f"{name}.gz", tmp_path / f"{name}.gz")
    changed = tmp_path / "t10k-labels-idx1-ubyte.gz"
    changed.unlink()
    changed.with_suffix("").write_bytes(idx(np.zeros(10_000)))
    well, found, _ = doctor.data(Source(tmp_path))
    assert not well and found == "t10k-labels-idx1-ubyte: expected MNIST's SHA-256"
