"""All public names are attributes, and the examples in the docstrings run."""

import doctest
import importlib
import pkgutil
import sys

import jax
import jax.numpy as jnp
import pytest

import jaxnet


def test_every_submodule_and_public_name_is_an_attribute():
    """Also those that nothing has imported yet, which `__getattr__` imports."""
    submodules = {module.name for module in pkgutil.iter_modules(jaxnet.__path__)}
    lazy = {name for name in submodules if not name.startswith("_")}
    assert lazy | {"diagnose", "compare_gradients", "epoch"} <= set(dir(jaxnet))
    for name in lazy:
        assert jaxnet.__getattr__(name) is sys.modules[f"jaxnet.{name}"]
    for name in dir(jaxnet):
        getattr(jaxnet, name)


EXAMPLES = (
    *("activations", "network", "gradients", "sgd", "descent"),
    *("compare.comparison", "compare.diagnosis", "universality.approximation"),
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"jaxnet.{name}")
    names = {"jax": jax, "jnp": jnp, "jaxnet": jaxnet}
    failed, attempted = doctest.testmod(module, extraglobs=names)
    assert attempted > 0 and failed == 0
