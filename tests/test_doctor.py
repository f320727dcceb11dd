"""The doctor: all is well on a healthy machine, and each sickness has its name."""

import errno
import gzip
import json
import math
import os
from dataclasses import replace
from email.message import Message
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import sgd
from jaxnet.cli import main
from jaxnet.datasets import MNIST_SHA256, read_idx
from jaxnet.doctor import Finding, Trouble, examine, ladder, machine
from jaxnet.doctor.finding import ask
from tests.helpers import idx
from tests.test_datasets import DATA, SHA256

ALL = (
    *("versions", "extras", "cache", "device", "precision", "data", "initial cost"),
    *("gradients", "overfitting", "baseline", "penalty", "same bits", "order"),
)


@pytest.fixture(scope="module")
def healthy() -> dict[str, Finding]:
    return {finding.check: finding for finding in examine()}


def found_by(check, path=None) -> Finding:
    """What one check finds; the checks after it are not asked."""
    return next(finding for finding in examine(path) if finding.check == check)


def test_all_is_well_on_a_healthy_machine(healthy):
    assert tuple(healthy) == ALL
    assert all(finding.well and not finding.advice for finding in healthy.values())
    assert all("\n" not in finding.found for finding in healthy.values())


def test_it_says_what_it_found(healthy, mnist):
    assert f"jax {jax.__version__}, " in healthy["versions"].found
    assert jax.devices()[0].device_kind in healthy["device"].found
    assert "50,000 + 10,000 + 10,000 examples" in healthy["data"].found
    assert "cross-entropy 6.9315 = 10 ln 2" in healthy["initial cost"].found
    assert "log-likelihood 2.3026 = ln 10" in healthy["initial cost"].found
    assert "20/20 right" in healthy["overfitting"].found
    frequencies = np.asarray(mnist.train.y[:20], float).mean(axis=0)
    entropy = sum(
        -p * math.log(p) - (1 - p) * math.log(1 - p) for p in frequencies if p > 0
    )
    assert healthy["baseline"].found.endswith(f"least {entropy:.3f}")


def test_the_package_knows_the_checksums_of_mnist():
    assert MNIST_SHA256 == SHA256


@pytest.fixture
def copy_of_mnist(tmp_path) -> Path:
    for name in SHA256:
        (tmp_path / f"{name}.gz").symlink_to(DATA / f"{name}.gz")
    return tmp_path


def test_a_copy_of_mnist_is_recognised(copy_of_mnist):
    finding = found_by("data", copy_of_mnist)
    assert finding.well and "SHA-256 of all four files is MNIST's" in finding.found


def test_one_changed_label_is_noticed(copy_of_mnist):
    path = copy_of_mnist / "t10k-labels-idx1-ubyte.gz"
    labels = read_idx(path, 1).copy()
    labels[100] = (labels[100] + 1) % 10
    path.unlink()
    path.write_bytes(gzip.compress(idx(labels), 1))
    finding = found_by("data", copy_of_mnist)
    assert not finding.well
    assert f"{copy_of_mnist}: t10k-labels-idx1-ubyte: expected MNIST's" in finding.found
    assert finding.advice == "Mend or copy that file again."


def test_other_data_have_no_checksum_to_miss(small_mnist):
    finding = found_by("data", small_mnist)
    assert finding.well and "not MNIST, so no checksum is known" in finding.found


def test_data_of_one_s_own_have_no_checksum_at_all(tmp_path):
    rows = [f"{i % 10}," + ",".join(["128"] * 4) for i in range(40)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows))
    finding = found_by("data", path)
    assert finding.well and finding.found.endswith("readable (no checksum is known)")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    finding = found_by("data", tmp_path / "none")
    assert not finding.well and f"{tmp_path / 'none'}: expected" in finding.found


def broken_backprop(params, x, y, **choices):
    """One per cent more of the first bias, which a difference in float32 misses."""
    first, *others = jaxnet.backprop(params, x, y, **choices)
    return [replace(first, b=1.01 * first.b), *others]


def in_bfloat16(a, b):
    """A product as a device of low precision gives it."""
    low = (jnp.asarray(array).astype(jnp.bfloat16) for array in (a, b))
    return jnp.dot(*low).astype(jnp.float32)


@pytest.fixture(scope="module")
def very_sick(tmp_path_factory) -> dict[str, Finding]:
    """Low precision, a truncated file, a broken equation, and a check that raises."""
    folder = tmp_path_factory.mktemp("truncated")
    for name in SHA256:
        content = (DATA / f"{name}.gz").read_bytes()
        (folder / f"{name}.gz").write_bytes(content[: len(content) // 2])

    def fail(*args):
        raise ZeroDivisionError("two\nlines")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jax.numpy.matmul", in_bfloat16)
        patch.setattr("jaxnet.doctor.ladder.backprop", broken_backprop)
        patch.setattr("jaxnet.doctor.ladder.penalties", fail)
        return {finding.check: finding for finding in examine(folder)}


def test_every_sickness_is_found_and_the_other_checks_still_run(very_sick):
    wrong = {finding.check for finding in very_sick.values() if not finding.well}
    assert tuple(very_sick) == ALL
    assert wrong == {"precision", "data", "gradients", "penalty"}
    assert all(very_sick[check].advice for check in wrong)
    assert all("\n" not in finding.found for finding in very_sick.values())


def test_low_precision_is_named(very_sick):
    finding = very_sick["precision"]
    error = float(finding.found.split("error of ")[1].split(",")[0])
    assert 1e-3 < error < 1e-2  # bfloat16 keeps eight bits
    assert "JAX_DEFAULT_MATMUL_PRECISION=highest" in finding.advice


def test_a_truncated_file_is_named(very_sick):
    assert "train-images-idx3-ubyte.gz: expected a readable IDX" in (
        very_sick["data"].found
    )


def test_a_broken_gradient_is_named(very_sick):
    finding = very_sick["gradients"]
    assert "backprop differs from autodiff in float64, b^1, by 1.0e-02" in finding.found
    assert "jaxnet compare" in finding.advice


def test_a_check_that_raises_is_a_line(very_sick):
    assert very_sick["penalty"].found == "the check failed: ZeroDivisionError: two ..."


@pytest.fixture
def declared(monkeypatch):
    """Metadata as one likes: `declared(installed)` says what all checks see."""
    requires = {
        "jaxnet": [
            *("jax>=0.10", "jaxlib>=0.10", "numpy>=2.0", "optax>=0.2.8"),
            *('matplotlib>=3.10; extra == "figures"', "pillow>=11; extra == 'images'"),
            'jaxnet[figures,images]; extra == "benchmark"',
            'torch>=2; extra == "benchmark"',
            *('pytest>=9; extra == "test"', 'tomli>=2; python_version < "3.11"'),
        ],
        "jax": [
            *("jaxlib<=0.10.2,>=0.10.1", 'jaxlib==0.10.1; extra == "minimum-jaxlib"'),
            'jax-cuda12-plugin[with-cuda]<=0.10.2,>=0.10.2; extra == "cuda12"',
        ],
    }

    def set_installed(**versions):
        there = {"jax": "0.10.2", "jaxlib": "0.10.2", "numpy": "2.0", "optax": "0.2.8"}
        there.update({name.replace("_", "-"): v for name, v in versions.items()})

        def version(name):
            if there.get(name) is None:
                raise metadata.PackageNotFoundError(name)
            return there[name]

        monkeypatch.setattr(metadata, "version", version)

    monkeypatch.setattr(metadata, "requires", requires.get)
    return set_installed


@pytest.mark.parametrize(
    ("installed", "found", "advice"),
    [
        ({"jax": "0.9.2"}, "jax 0.9.2, expected >=0.10", '"jax>=0.10"'),
        ({"jaxlib": "0.10.0"}, "jaxlib 0.10.0, expected <=0.10.2,>=0.10.1", '"jaxlib<'),
        ({"jaxlib": "0.11"}, "jaxlib 0.11, expected <=0.10.2", '"jaxlib<=0.10.2,>='),
        ({"optax": None}, "no optax", '"optax>=0.2.8"'),
        ({"numpy": "1.26.4"}, "numpy 1.26.4, expected >=2.0", '"numpy>=2.0"'),
        (
            {"jax_cuda12_plugin": "0.10.1"},
            "jax-cuda12-plugin 0.10.1, expected <=0.10.2,>=0.10.2",
            '"jax-cuda12-plugin<=0.10.2,>=0.10.2"',
        ),
    ],
)
def test_a_wrong_version_is_named(declared, installed, found, advice):
    declared(**installed)
    with pytest.raises(Trouble) as trouble:
        machine.versions()
    assert found in trouble.value.found
    assert trouble.value.advice.startswith(f"python -m pip install {advice}")


def test_a_python_that_is_too_old_is_named(declared, monkeypatch):
    declared()
    monkeypatch.setattr("platform.python_version", lambda: "3.10.14")
    with pytest.raises(Trouble, match="Python 3.10.14, expected >=3.11"):
        machine.versions()


@pytest.mark.parametrize("jax_version", ["0.10", "0.10.1.dev3+local", "0.10.2", "1.0"])
def test_a_right_version_is_not_named(declared, jax_version):
    declared(jax=jax_version, numpy="2")
    assert f"jax {jax_version}, jaxlib 0.10.2" in machine.versions()


def test_an_extra_that_is_not_there_is_no_trouble(declared, monkeypatch):
    names = Message()
    for name in ("figures", "images", "benchmark", "test"):
        names["Provides-Extra"] = name
    monkeypatch.setattr(metadata, "metadata", lambda _: names)
    declared(matplotlib="3.11", pillow="10.4")
    assert machine.extras() == (
        "figures; without images (pillow 10.4, expected >=11), "
        "benchmark (pillow 10.4, expected >=11)"
    )
    declared(matplotlib="3.11", pillow="11", torch="1.13")
    assert machine.extras().endswith("without benchmark (torch 1.13, expected >=2)")
    declared()
    assert machine.extras() == "none; without figures, images, benchmark"
    declared(matplotlib="3.11", pillow="11", torch="2.9.1")
    assert machine.extras() == "figures, images, benchmark"


@pytest.fixture
def told():
    """Tells JAX where its compilation cache is, and whether, for this test."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache")
    before = [getattr(jax.config, name) for name in names]

    def tell(folder, on=True):
        for name, value in zip(names, (folder and str(folder), on), strict=True):
            jax.config.update(name, value)

    yield tell
    tell(*before)


def test_a_cache_folder_is_described(told, tmp_path):
    told(tmp_path / "cache")
    assert machine.cache() == f"{tmp_path / 'cache'}: writable, 0 entries, 0.0 MiB"
    (tmp_path / "cache" / "one").write_bytes(bytes(3 * 2**20))
    assert machine.cache().endswith("writable, 1 entries, 3.0 MiB")


def test_a_cache_that_cannot_be_is_named(told, tmp_path, monkeypatch):
    """Below a file there is no folder, not even for root."""
    (tmp_path / "file").write_text("")
    told(tmp_path / "file" / "cache")
    finding = ask("cache", machine.cache)
    assert not finding.well and "JAX_COMPILATION_CACHE_DIR" in finding.advice
    assert f"{tmp_path}/file/cache: nothing can be kept there" in finding.found
    told(None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert f"{tmp_path}/file/jaxnet: nothing" in ask("cache", machine.cache).found


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_cache_is_named(told, tmp_path, monkeypatch, code):
    def fail(**_):
        raise OSError(code, os.strerror(code))

    told(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    finding = ask("cache", machine.cache)
    assert not finding.well and finding.found.endswith(os.strerror(code))


def test_a_cache_that_is_off_or_elsewhere_is_no_trouble(told):
    told("gs://bucket/jax")
    assert machine.cache() == "gs://bucket/jax, not looked at"
    told(None, on=False)
    assert machine.cache() == "off, so each process compiles anew"


def test_without_a_device_nothing_is_computed(monkeypatch):
    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda'\nand more")

    monkeypatch.setattr("jax.devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    findings = {finding.check: finding for finding in examine()}
    assert tuple(findings) == ALL
    assert "with JAX_PLATFORMS=cuda: RuntimeError: Unable" in findings["device"].found
    after = ALL[ALL.index("device") + 1 :]
    assert all("not checked" in findings[check].found for check in after)


def examples(n):
    """Random pictures, each digit in turn: the shapes that are compiled already."""
    x = np.random.default_rng(0).random((n, 784), np.float32)
    return x, np.eye(10, dtype=np.float32)[np.arange(n) % 10]


def few():
    return jaxnet.Dataset(*map(jnp.asarray, examples(20)))


def test_targets_that_are_not_one_hot_have_another_initial_cost():
    x, y = examples(1000)
    with pytest.raises(Trouble, match="log-likelihood cost is 4.605.*ln 10 = 2.3026"):
        ladder.initial_cost(jaxnet.Dataset(jnp.asarray(x), jnp.asarray(2 * y)))


def test_examples_that_contradict_each_other_are_not_learnt():
    x, y = examples(20)
    x[1::2] = x[::2]
    with pytest.raises(Trouble, match="on 20 examples: 10/20 right"):
        ladder.overfitting(jaxnet.Dataset(jnp.asarray(x), jnp.asarray(y)))


@pytest.mark.parametrize("right, cost", [(1.0, 0.07), (0.95, 0.0), (jnp.nan, jnp.nan)])
def test_examples_that_are_half_learnt_are_noticed(monkeypatch, right, cost):
    """A hundredth of 10 ln 2 is 0.0693."""
    values = {"accuracy": jnp.asarray(right), "cost": jnp.asarray(cost)}
    patch_learning(monkeypatch, lambda learnt: learnt._replace(**values))
    with pytest.raises(Trouble, match="expected 20/20, below 0.0693"):
        ladder.overfitting(few())


def patch_learning(monkeypatch, change):
    """Learning with one thing wrong."""
    learn = ladder._learn
    monkeypatch.setattr(ladder, "_learn", lambda seed, few: change(learn(seed, few)))


def test_a_label_that_leaks_is_noticed(monkeypatch):
    patch_learning(monkeypatch, lambda learnt: learnt._replace(cost=jnp.zeros(())))
    with pytest.raises(Trouble, match="cost is 0.0000.*frequencies alone allow 3.25"):
        ladder.baseline(few())


@pytest.mark.parametrize("factor", [0.5, 2.0, jnp.nan])
def test_a_wrong_penalty_is_noticed(monkeypatch, factor):
    def change(learnt):
        extra = learnt.cost_with_l2 - learnt.cost
        return learnt._replace(cost_with_l2=learnt.cost + factor * extra)

    patch_learning(monkeypatch, change)
    with pytest.raises(Trouble, match="expected lambda/2n sum w"):
        ladder.penalties(few())


def test_different_bits_of_one_key_are_noticed(monkeypatch):
    ulps = iter([0.0, 1e-6, 0.0])

    def change(learnt):
        first, *others = learnt.params
        first = replace(first, b=first.b + next(ulps))
        return learnt._replace(params=[first, *others])

    patch_learning(monkeypatch, change)
    with pytest.raises(Trouble, match="one key gives different bits"):
        ladder.same_bits(few())


def test_keys_that_do_not_matter_are_noticed(monkeypatch):
    learn = ladder._learn
    monkeypatch.setattr(ladder, "_learn", lambda _, few: learn(0, few))
    with pytest.raises(Trouble, match="two keys give the same network"):
        ladder.same_bits(few())


def test_an_order_with_an_example_twice_is_noticed(monkeypatch):
    def twice(key, n):
        return jnp.arange(n).at[0].set(n - 1)

    monkeypatch.setattr(sgd, "engine", replace(sgd.engine, shuffle=twice))
    with pytest.raises(Trouble, match="order of 1,000 examples leaves out 1"):
        ladder.order(1000)


WELL = Finding("order", True, "each once")
ILL = Finding("data", False, "file: spoilt", "Copy it again.")


def doctor(monkeypatch, findings, *options):
    monkeypatch.setattr("jaxnet.commands.doctor.examine", lambda path: iter(findings))
    return main(["doctor", *options])


def test_a_line_for_each_check_and_the_exit_code(monkeypatch, capsys):
    assert doctor(monkeypatch, [WELL, WELL]) == 0
    first, _, last = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=2) == ["ok", "order", "each once"]
    assert last.startswith("All is well: 2 checks in ")
    assert doctor(monkeypatch, [WELL, ILL]) == 1
    _, wrong, last = capsys.readouterr().out.splitlines()
    assert wrong.split(maxsplit=2)[:2] == ["WRONG", "data"]
    assert last == "1 of 2 checks failed: data."
    assert wrong.endswith("file: spoilt. Copy it again.")
    assert doctor(monkeypatch, [ILL._replace(found="spoilt?")]) == 1
    assert "spoilt? Copy it" in capsys.readouterr().out


def test_json_is_one_object(monkeypatch, capsys):
    assert doctor(monkeypatch, [WELL, ILL], "--json") == 1
    value = json.loads(capsys.readouterr().out)
    assert value["well"] is False and value["seconds"] >= 0
    assert value["checks"] == [WELL._asdict(), ILL._asdict()]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_ctrl_c_ends_it_in_one_line(monkeypatch, capsys, options):
    def interrupted():
        yield WELL
        raise KeyboardInterrupt

    assert doctor(monkeypatch, interrupted(), *options) == 130
    assert capsys.readouterr().err == "jaxnet doctor: interrupted after 1 checks\n"


@pytest.mark.parametrize("options", ["--json=1", "--date x", "here"])
def test_wrong_options_are_one_line(capsys, options):
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", *options.split()])
    assert capsys.readouterr().err.count("\n") == 1
