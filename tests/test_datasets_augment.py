"""Augmented data are the same digits: what moves, what stays, and what is rejected."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.datasets import distort, elastic, expand, rotate, rotations, shift
from jaxnet.static import ByContent
from tests.helpers import assert_close

SIDE = 12
FUNCTIONS = {"rotations": rotations(15.0, SIDE), "elastic": elastic(34.0, 4.0, SIDE)}
each = pytest.mark.parametrize("augment", FUNCTIONS.values(), ids=FUNCTIONS)

IMAGES = np.random.default_rng(3).uniform(size=(3, SIDE, SIDE)).astype(np.float32)
DOWN, RIGHT = np.mgrid[:28, :28] - 13.5
BLOT = 0.9 * np.exp(-((DOWN - 3) ** 2 / 8 + (RIGHT + 2) ** 2 / 18))
DIGIT = BLOT.astype(np.float32)  # off the centre, far from the border


def rows(images):
    return jax.device_put(np.reshape(images, (len(images), -1)))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_expanded_data_are_the_books_and_shifts_are_slices(dtype):
    images = (255 * IMAGES).astype(dtype)
    shifted = np.zeros((5, *images.shape), dtype)
    shifted[0] = images
    shifted[1][:, 1:], shifted[2][:, :-1] = images[:, :-1], images[:, 1:]
    shifted[3][:, :, 1:], shifted[4][:, :, :-1] = images[:, :, :-1], images[:, :, 1:]
    y = np.eye(10, dtype=np.float32)[[3, 1, 4]]
    data = expand(jaxnet.Dataset(rows(images), jax.device_put(y)), SIDE)
    assert data.x.dtype == dtype and data.y.dtype == y.dtype
    np.testing.assert_array_equal(data.x, shifted.reshape(15, SIDE**2))
    np.testing.assert_array_equal(data.y, np.tile(y, (5, 1)))
    moved = np.asarray(shift(jax.device_put(images[0]), 1, -3))
    np.testing.assert_array_equal(moved[1:, :-3], images[0, :-1, 3:])
    assert not moved[0].any() and not moved[:, -3:].any()
    assert not np.asarray(shift(jax.device_put(images[0]), 0, SIDE)).any()


def test_quarter_turns_are_exact(x64):
    for side in (5, 8):
        image = jax.device_put(np.arange(1.0, side**2 + 1).reshape(side, side))
        for quarters in (-1, 0, 1, 2, 3):
            turned = rotate(image, 90.0 * quarters)
            np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-13)


def test_a_rotation_keeps_the_ink_and_another_undoes_it():
    digit = jax.device_put(DIGIT)
    for angle in (-30.0, 7.0, 15.0, 45.0):
        assert_close(np.asarray(rotate(digit, angle)).sum(), DIGIT.sum(), 1e-3)
    turned = rotate(digit, 15.0)
    assert np.abs(np.subtract(rotate(turned, -15.0), DIGIT)).max() < 0.1
    assert np.abs(np.subtract(turned, DIGIT)).max() > 0.2


def test_angles_go_both_ways_and_no_further():
    x = rows(np.tile(DIGIT, (200, 1, 1)))
    turned = np.asarray(rotations(20.0)(jax.random.key(4), x)).reshape(-1, 28, 28)
    places = np.arange(28) - 13.5
    down = np.tensordot(turned.sum(axis=2), places, 1) / DIGIT.sum()
    right = np.tensordot(turned.sum(axis=1), places, 1) / DIGIT.sum()
    angles = np.degrees(np.arctan2(-down, right)) - np.degrees(np.arctan2(-3, -2))
    assert -20.5 < angles.min() < -19 and 19 < angles.max() < 20.5
    assert abs(angles.mean()) < 2


def test_a_constant_field_shifts():
    image, one = jax.device_put(IMAGES[0]), np.ones((SIDE, SIDE), np.float32)
    found = distort(image, jax.device_put(np.stack([one, -2 * one])))
    np.testing.assert_array_equal(found, shift(image, -1, 2))
    half = distort(image, jax.device_put(np.stack([one / 2, 0 * one])))
    expected = np.add(image, shift(image, -1, 0)) / 2
    np.testing.assert_allclose(half, expected, atol=1e-6)


def test_displacements_are_as_large_as_the_docstring_says():
    """Of an image whose pixels are their rows, the change is the displacement."""
    alpha, sigma = 20.0, 4.0
    ramp = np.tile(np.arange(28.0, dtype=np.float32).reshape(1, 28, 1), (200, 1, 28))
    bent = np.asarray(elastic(alpha, sigma)(jax.random.key(5), rows(ramp)))
    moves = (bent.reshape(ramp.shape) - ramp)[:, 14, 14]
    assert abs(np.sqrt(np.mean(moves**2)) / (0.163 * alpha / sigma) - 1) < 0.2


@each
def test_a_key_decides_how_each_image_is_changed(augment):
    """Pixels stay between 0 and 1."""
    x = rows(np.stack([IMAGES[0], IMAGES[0], np.full((SIDE, SIDE), 255 / 256, "f4")]))
    one, again, other = (
        np.asarray(augment(jax.random.key(seed), x)) for seed in (1, 1, 2)
    )
    assert one.shape == x.shape and one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert (np.abs(one - other).max(axis=1) > 1e-3).all()
    assert np.abs(one[0] - one[1]).max() > 1e-3  # though they were equal
    assert one.min() >= 0 and one.max() < 1


def test_under_jit_and_vmap_it_is_the_same():
    x, augment = rows(IMAGES), FUNCTIONS["elastic"]
    keys = jax.random.split(jax.random.key(1), 2)
    both = jax.jit(jax.vmap(augment, in_axes=(0, None)))(keys, x)
    plain = augment(jax.random.split(jax.random.key(1), 2)[0], x)
    assert_close(both[0], plain, 1e-5)


def test_functions_of_equal_arguments_are_equal():
    """By content, so that training with one of them again compiles nothing."""
    assert ByContent(rotations()) == ByContent(rotations(degrees=15.0, side=28))
    assert ByContent(elastic()) == ByContent(elastic(34, sigma=4))


def test_images_of_another_size_and_numbers_out_of_range_are_rejected():
    x, y = rows(IMAGES), jnp.ones((3, 2))
    size = r"images of 28 x 28 pixels as rows, of shape \(m, 784\), got \(3, 144\)"
    for call, message in (
        (lambda: expand(jaxnet.Dataset(x, y)), size),
        (lambda: rotations()(jax.random.key(1), x), size),
        (partial(rotations, -1.0), "degrees of at least 0 .* got -1.0"),
        (partial(rotations, 15.0, 0), "side of at least 1, got 0"),
        (partial(elastic, 8.0, 0.0), "sigma of at least 0.1 .* got 0.0"),
        *((partial(elastic, n), "alpha of at least 0 and b") for n in (1e39, np.nan)),
    ):
        with pytest.raises(ValueError, match=f"Expected {message}"):
            call()


def test_images_are_moved_from_nowhere_to_infinity():
    image, field = jax.device_put(IMAGES[0]), np.ones((2, SIDE, SIDE), np.float32)
    for far in (-3e38, 2.0**31, 3e38):
        assert (np.asarray(rotate(image, far)) <= 1).all()
        assert not np.asarray(distort(image, jax.device_put(far * field))).any()
    for broken in (np.nan, np.inf):
        assert np.isnan(rotate(image, broken)).all()
        assert np.isnan(distort(image, jax.device_put(broken * field))).all()
    np.testing.assert_array_equal(distort(image, jax.device_put(0 * field)), image)
