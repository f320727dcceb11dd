"""What stands guard in every test: strict shapes and dtypes, and no key used twice."""

import jax
import pytest
from hypothesis import settings

import jaxnet

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)

# Compiling for a new shape takes longer than hypothesis allows an example by default.
settings.register_profile("jax", deadline=None, derandomize=True)
settings.load_profile("jax")


@pytest.fixture
def x64():
    """float64, where exactness is the point; float32 is what users run."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def mnist() -> jaxnet.Split:
    return jaxnet.load_mnist()
