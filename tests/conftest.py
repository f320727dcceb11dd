"""What stands guard in every test: strict shapes and dtypes, and no key used twice."""

import os
import sys
from pathlib import Path

import pytest

# What one process or run has compiled, Python or XLA, others need not.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".pytest_cache" / "jax"
# Compiles in a third of the time. XLA reads it once, and a newer one may not know it.
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Use two workers for the whole suite, unless told otherwise or debugging."""
    options = config.option
    part = any(".py" in argument for argument in config.args) or options.usepdb
    is_worker = hasattr(config, "workerinput")
    has_xdist = config.pluginmanager.hasplugin("xdist")
    if has_xdist and not (part or is_worker or options.numprocesses is not None):
        options.numprocesses, options.dist = 2, "worksteal"


def pytest_configure(config):
    """Configure JAX where tests run, which is not where two workers are started.

    The quick tests are compiled without optimizations, since compiling is most of them.
    Other processes, and the slow tests but those of scripts, compile as users do.
    """
    if config.getoption("numprocesses", None):
        return
    import jax
    from hypothesis import settings

    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_debug_key_reuse", True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    with pytest.MonkeyPatch.context() as patch:
        if config.option.markexpr == "not slow":
            jax.config.update("jax_disable_most_optimizations", True)
            if jax.__version_info__ < (0, 11):
                flags = os.environ.get("XLA_FLAGS", "")
                patch.setenv("XLA_FLAGS", f"{flags} {QUICK}")
        jax.devices()  # JAX starts here, with one device, not in the first test
    # Compiling a new shape takes longer than hypothesis allows an example by default.
    settings.register_profile("jax", deadline=None, derandomize=True)
    settings.load_profile("jax")


def pytest_collection_modifyitems(items):
    """Minutes of support vector machines first, so that no worker waits at the end."""
    items.sort(key=lambda item: item.name != "test_baselines")


@pytest.fixture
def x64():
    """float64, where exactness is the point; float32 is what users run."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def mnist():
    import jaxnet

    return jaxnet.load_mnist()


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory) -> str:
    """A folder with the first 600 training and 200 test images of MNIST."""
    from jaxnet.datasets import read_idx
    from tests.helpers import idx

    folder = tmp_path_factory.mktemp("small-mnist")
    for prefix, n in (("train", 600), ("t10k", 200)):
        for kind in ("images-idx3", "labels-idx1"):
            name = f"{prefix}-{kind}-ubyte"
            array = read_idx(ROOT / "data" / f"{name}.gz")
            (folder / name).write_bytes(idx(array[:n]))
    return str(folder)


@pytest.fixture(scope="session")
def small_mnist_data(small_mnist):
    import jaxnet

    return jaxnet.load_mnist(small_mnist)


@pytest.fixture
def drawn(monkeypatch) -> list:
    """The figures that are saved from now on, in this order, drawn coarsely."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig

    def keep(figure, path, dpi):
        figures.append(figure)
        save(figure, path, dpi=dpi / 5)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures
