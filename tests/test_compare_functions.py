"""Derivatives of any functions: right ones agree, and wrong ones do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.compare import (
    ShapeError,
    assert_gradients_match,
    check_gradient,
    check_jvp,
    check_vjp,
)

X = np.array([0.3, -1.2, 2.0], np.float32)


def cubes(v):
    return jnp.sum(v**3)


def row(check):
    [found] = check.rows
    return found


def test_a_right_gradient_agrees_and_one_wrong_in_a_large_array_does_not():
    assert check_gradient(cubes, lambda v: 3 * v**2, X).agrees
    large = np.linspace(-2, 2, 5000).reshape(50, 100).T  # not contiguous
    assert check_gradient(cubes, lambda v: 3 * v**2, large).agrees
    found = check_gradient(cubes, lambda v: 3 * v**2 + 1e-6 * (v > 1.99), large)
    assert not found.agrees and "DIFFERS" in str(found)
    assert row(found).uncertainty < 1e-9


def test_a_function_in_numpy_is_checked_by_differences_alone():
    found = check_gradient(lambda v: np.log(v**2).sum(), lambda v: 2 / v, X)
    assert found.agrees and row(found).from_jax is None
    assert not check_gradient(lambda v: np.log(v**2).sum(), lambda v: 1 / v, X).agrees


def test_dictionaries_are_matched_by_key_and_integers_and_none_left_out():
    tree = {"w": X, "n": np.array([1, 2, 3]), "b": np.float64(2.0), "no": None}

    def f(tree):
        return jnp.sum(tree["w"] ** tree["n"].astype(float)) * tree["b"]

    automatic = jax.grad(f, allow_int=True)
    assert check_gradient(f, automatic, tree).agrees

    def by_hand(tree):
        w, n, b = tree["w"], tree["n"], tree["b"]
        return {"b": (w**n).sum(), "w": n * w ** (n - 1) * b}

    found = check_gradient(f, by_hand, tree)
    assert found.agrees and [r.name for r in found.rows] == ["['b']", "['w']"]
    other = lambda tree: {"b": 1.0, "v": tree["w"]}  # noqa: E731
    with pytest.raises(ShapeError, match=r"missing \['w'\], and not .* \['v'\]"):
        check_gradient(f, other, tree)


def test_complex_inputs_follow_jax_and_the_conjugate_is_named():
    z = np.array([1 + 2j, -0.5j])
    f = lambda z: jnp.sum(jnp.abs(z) ** 2)  # noqa: E731
    assert check_gradient(f, lambda z: 2 * z.conj(), z).agrees
    found = check_gradient(f, lambda z: 2 * z, z)
    assert not found.agrees and "as PyTorch defines it" in row(found).note


def test_noise_and_changed_arguments_are_told():
    def noisy(v):
        return 3 * v**2 + 1e-3 * np.random.default_rng().normal(size=v.shape)

    def in_place(v):
        v *= v
        return 3 * v

    before = X.copy()
    assert "a second call of gradient differs by" in str(
        check_gradient(cubes, noisy, X)
    )
    found = check_gradient(cubes, in_place, X)
    assert found.problems == ["gradient writes into its arguments: argument 0"]
    assert np.array_equal(X, before)


def test_at_a_kink_slopes_between_are_a_convention():
    at_zero = np.array([0.0, 1.0])
    relu = lambda v: jnp.sum(jax.nn.relu(v))  # noqa: E731
    for value, right in ((0.0, True), (0.5, True), (1.0, True), (2.0, False)):

        def slope(v, value=value):
            return np.where(v == 0, value, v > 0)

        assert check_gradient(relu, slope, at_zero).agrees == right


def test_differences_say_when_they_cannot_tell():
    def steep(v):
        return jnp.sum(jnp.sin(1e9 * v))

    found = check_gradient(steep, jax.grad(steep), X)
    assert found.agrees and row(found).note == "the difference quotient cannot tell"


def test_the_table_is_the_message_for_pytest():
    assert_gradients_match(cubes, lambda v: 3 * v**2, X)
    with pytest.raises(AssertionError, match=r"do not match\narray .*\n.*DIFFERS"):
        assert_gradients_match(cubes, lambda v: 2 * v**2, X)


def with_rule(factor, shift=0.0):
    @jax.custom_vjp
    def f(x, y):
        return {"t": jnp.tanh(x) * y, "y": jnp.sum(y**2)}

    def forward(x, y):
        t = jnp.tanh(x)
        return {"t": t * y + shift, "y": jnp.sum(y**2)}, (t, y)

    def backward(saved, v):
        t, y = saved
        return factor * v["t"] * y * (1 - t**2), v["t"] * t + 2 * v["y"] * y

    f.defvjp(forward, backward)
    return f


def test_custom_vjps_are_checked_with_several_outputs_and_to_second_order():
    found = check_vjp(with_rule(1.0), X, X + 1, order=2)
    assert found.agrees and len(found.rows) == 4
    wrong = check_vjp(with_rule(2.0), X, X + 1)
    assert [r.agrees for r in wrong.rows] == [False, True]
    other_output = check_vjp(with_rule(1.0, shift=0.1), X, X + 1)
    assert "forward pass differs by" in str(other_output)


def test_custom_jvps_are_checked_output_by_output():
    def with_jvp(factor):
        @jax.custom_jvp
        def f(x):
            return jnp.sin(x), jnp.sum(x**2)

        @f.defjvp
        def rule(primals, tangents):
            (x,), (d,) = primals, tangents
            return f(x), (factor * jnp.cos(x) * d, 2 * jnp.sum(x * d))

        return f

    assert check_jvp(with_jvp(1.0), X, order=2).agrees
    assert [r.agrees for r in check_jvp(with_jvp(1.1), X).rows] == [False, True]
