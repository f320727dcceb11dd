"""The examples in the docstrings run, and print what they say."""

import doctest
import importlib

import jax
import jax.numpy as jnp
import pytest

import jaxnet


@pytest.mark.parametrize("name", ["activations", "network", "sgd"])
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(f"jaxnet.{name}")
    names = {"jax": jax, "jnp": jnp, "jaxnet": jaxnet}
    failed, attempted = doctest.testmod(module, extraglobs=names)
    assert attempted > 0 and failed == 0
