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


def pictures(m=3, dtype: type = np.float32):
    """Random images with pixels in [0, 1)."""
    images = np.random.default_rng(3).uniform(size=(m, SIDE, SIDE))
    return jnp.asarray(images.astype(dtype))


def rows(images):
    return jnp.asarray(np.asarray(images).reshape(len(images), -1))


def smooth_digit():
    """A blot off the centre, far from the border."""
    down, right = np.mgrid[:28, :28] - 13.5
    blot = 0.9 * np.exp(-((down - 3) ** 2 / 8 + (right + 2) ** 2 / 18))
    return jnp.asarray(blot.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_expanded_data_are_the_books_and_shifts_are_slices(dtype):
    images = (255 * np.asarray(pictures())).astype(dtype)
    shifted = np.zeros((5, *images.shape), dtype)
    shifted[0] = images
    shifted[1][:, 1:], shifted[2][:, :-1] = images[:, :-1], images[:, 1:]
    shifted[3][:, :, 1:], shifted[4][:, :, :-1] = images[:, :, :-1], images[:, :, 1:]
    y = np.eye(10, dtype=np.float32)[[3, 1, 4]]
    data = expand(jaxnet.Dataset(rows(images), jnp.asarray(y)), SIDE)
    assert data.x.dtype == dtype and data.y.dtype == y.dtype
    np.testing.assert_array_equal(data.x, shifted.reshape(15, SIDE**2))
    np.testing.assert_array_equal(data.y, np.tile(y, (5, 1)))
    moved = np.asarray(shift(jnp.asarray(images[0]), 1, -3))
    np.testing.assert_array_equal(moved[1:, :-3], images[0, :-1, 3:])
    assert not moved[0].any() and not moved[:, -3:].any()


def test_quarter_turns_are_exact(x64):
    for side in (5, 8):
        image = jnp.asarray(np.arange(1.0, side**2 + 1).reshape(side, side))
        for quarters in (-1, 0, 1, 2, 3):
            turned = rotate(image, 90.0 * quarters)
            np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-13)


def test_a_rotation_keeps_the_ink_and_another_undoes_it():
    digit = smooth_digit()
    for angle in (-30.0, 7.0, 15.0, 45.0):
        ink = np.asarray(rotate(digit, angle)).sum()
        assert_close(ink, np.asarray(digit).sum(), 1e-3)
    turned = rotate(digit, 15.0)
    assert np.abs(np.subtract(rotate(turned, -15.0), digit)).max() < 0.1
    assert np.abs(np.subtract(turned, digit)).max() > 0.2


def test_angles_go_both_ways_and_no_further():
    digit = np.asarray(smooth_digit())
    x = rows(np.tile(digit, (200, 1, 1)))
    turned = np.asarray(rotations(20.0)(jax.random.key(4), x)).reshape(-1, 28, 28)
    places = np.arange(28) - 13.5
    down = np.tensordot(turned.sum(axis=2), places, 1) / digit.sum()
    right = np.tensordot(turned.sum(axis=1), places, 1) / digit.sum()
    angles = np.degrees(np.arctan2(-down, right)) - np.degrees(np.arctan2(-3, -2))
    assert -20.5 < angles.min() < -19 and 19 < angles.max() < 20.5
    assert abs(angles.mean()) < 2


def test_a_constant_field_shifts():
    image = pictures(1)[0]
    one = np.ones((SIDE, SIDE), np.float32)
    found = distort(image, jnp.asarray(np.stack([one, -2 * one])))
    np.testing.assert_array_equal(found, shift(image, -1, 2))
    half = distort(image, jnp.asarray(np.stack([one / 2, 0 * one])))
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
    x = rows(np.asarray(pictures())[[0, 0, 2]])
    one, again, other = (
        np.asarray(augment(jax.random.key(seed), x)) for seed in (1, 1, 2)
    )
    assert one.shape == x.shape and one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert (np.abs(one - other).max(axis=1) > 1e-3).all()
    assert np.abs(one[0] - one[1]).max() > 1e-3  # though they were equal


def test_under_jit_and_vmap_it_is_the_same(x64):
    x, augment = rows(pictures(dtype=np.float64)), FUNCTIONS["elastic"]
    keys = jax.random.split(jax.random.key(1), 2)
    both = jax.vmap(lambda key: augment(key, x))(keys)
    plain = jax.jit(augment)(jax.random.split(jax.random.key(1), 2)[0], x)
    assert plain.dtype == np.float64
    assert_close(both[0], plain, 1e-12)


@each
def test_pixels_stay_between_0_and_1(augment):
    images = np.array(pictures())
    images[0] = 255 / 256
    x = rows(images)
    for seed in range(20):
        changed = np.asarray(augment(jax.random.key(seed), x))
        assert changed.min() >= 0 and changed.max() < 1


def test_functions_of_equal_arguments_are_equal():
    """By content, so that training with one of them again compiles nothing."""
    assert ByContent(rotations()) == ByContent(rotations(degrees=15.0, side=28))
    assert ByContent(elastic()) == ByContent(elastic(34, sigma=4))
    different = [rotations(), rotations(34.0), rotations(side=14)]
    different += [elastic(), elastic(34, 3)]
    assert len(set(map(ByContent, different))) == 5


def test_images_of_another_size_are_rejected():
    x, y = rows(pictures()), jnp.ones((3, 2))
    message = r"Expected images of 28 x 28 pixels as rows, of shape \(m, 784\), got"
    for rejected in (
        lambda: expand(jaxnet.Dataset(x, y)),
        lambda: rotations()(jax.random.key(1), x),
        lambda: jax.jit(elastic())(jax.random.key(1), x),
    ):
        with pytest.raises(ValueError, match=message + r" \(3, 144\). Another side"):
            rejected()


def test_numbers_out_of_range_are_rejected():
    for make, message in (
        (partial(rotations, -1.0), "degrees of at least 0 .* got -1.0"),
        (partial(rotations, 15.0, 0), "side of at least 1, got 0"),
        (partial(elastic, 8.0, 0.0), "sigma of at least 0.1 .* got 0.0"),
    ):
        with pytest.raises(ValueError, match=f"Expected {message}"):
            make()


def test_images_are_moved_from_nowhere_to_infinity():
    image, field = jnp.arange(1.0, 10.0).reshape(3, 3), jnp.ones((2, 3, 3))
    largest = float(np.finfo(image.dtype).max)
    for far in (-largest, 2.0**31, largest):
        turned = rotate(image, far)
        assert turned[1, 1] == 5 and (np.asarray(turned) <= 9).all()
        assert not np.asarray(distort(image, far * field)).any()
    for broken in (jnp.nan, jnp.inf):
        assert np.isnan(rotate(image, broken)).all()
        assert np.isnan(distort(image, broken * field)).all()
    np.testing.assert_array_equal(distort(image, 0 * field), image)
    for far in (-9, -3, 3, 9):
        assert not np.asarray(shift(image, 0, far)).any()


def test_no_images_and_one_of_a_pixel_are_augmented():
    for n, side in ((0, 3), (1, 1)):
        x, y = jnp.ones((n, side * side)), jnp.ones((n, 2))
        more = expand(jaxnet.Dataset(x, y), side)
        assert more.x.shape == (5 * n, side * side) and more.y.shape == (5 * n, 2)
        assert np.asarray(more.x).sum() == n
        assert rotations(side=side)(jax.random.key(0), x).shape == x.shape
    assert elastic(side=1)(jax.random.key(0), x).shape == x.shape


def test_images_may_be_moved_by_what_float32_holds():
    moved = elastic(3e38, side=3)(jax.random.key(0), jnp.ones((1, 9)))
    assert np.isfinite(moved).all()
    for make in (rotations, elastic):
        for number in (1e39, np.inf, np.nan):
            with pytest.raises(ValueError, match="of at least 0 and below 3.4"):
                make(number)
