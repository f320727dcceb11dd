"""All public names are attributes, and the examples in the docstrings run."""

import doctest
import importlib
import inspect
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


QUICK = ("activations", "descent", "compare.comparison", "compare.functions")
SLOW = ("network", "gradients", "sgd", "compare.diagnosis")  # seconds to compile


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        "universality.approximation",
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"jaxnet.{name}")
    names = {"jax": jax, "jnp": jnp, "jaxnet": jaxnet}
    failed, attempted = doctest.testmod(module, extraglobs=names)
    assert attempted > 0 and failed == 0


def test_what_is_printed_is_a_short_line():
    params = jaxnet.init(jax.random.key(0), [4, 3, 2], jaxnet.tanh)
    data = jaxnet.Dataset(jnp.zeros((5, 4), jnp.uint8), jnp.zeros((5, 2)))
    layer, part = "Layer(w=float32[3, 4], b=float32[3], activation=tanh)", repr(data)
    assert (repr(params[0]), part) == (layer, "Dataset(x=uint8[5, 4], y=float32[5, 2])")
    assert repr(jaxnet.start(params)).startswith(f"State(params=[{layer}, Layer(")
    split = f"Split(train={part}, validation={part}, test={part})"
    assert str(jaxnet.Split(data, data, data)) == split
    assert [str(f) for f in (jaxnet.relu, jaxnet.quadratic)] == ["relu", "quadratic"]


def test_help_shows_names_and_no_addresses():
    functions = [getattr(jaxnet, name) for name in dir(jaxnet)]
    for function in (jaxnet.Activation, *filter(inspect.isfunction, functions)):
        assert " at 0x" not in str(inspect.signature(function)), function
    assert "init_layer: " in str(inspect.signature(jaxnet.init))
