"""Expanded data are the same digits: what moves, what stays, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.augment import distort, elastic, expand, rotate, rotations, shift
from jaxnet.static import ByContent
from scripts import ch3_images
from tests.helpers import CountedBackprop, assert_close, problem

SIDE = 12
FUNCTIONS = {"rotations": rotations(15.0, SIDE), "elastic": elastic(34.0, 4.0, SIDE)}
each = pytest.mark.parametrize("augment", FUNCTIONS.values(), ids=FUNCTIONS)


def pictures(m=3, side=SIDE, margin=0, dtype=jnp.float32):
    """Random images with pixels in [0, 1), and nothing in the margin."""
    inside = (m, side - 2 * margin, side - 2 * margin)
    ink = np.random.default_rng(3).uniform(size=inside)
    return jnp.asarray(np.pad(ink, [(0, 0), *[(margin, margin)] * 2]), dtype)


def rows(images):
    return images.reshape(len(images), -1)


def smooth_digit(side=28):
    """A blot off the centre, far from the border."""
    down, right = np.mgrid[:side, :side] - (side - 1) / 2
    blot = 0.9 * np.exp(-((down - 3) ** 2 / 8 + (right + 2) ** 2 / 18))
    return jnp.asarray(blot, jnp.float32)


def test_shifts_are_slices():
    images = np.asarray(pictures())
    moved = {by: np.zeros_like(images) for by in ((2, 0), (-1, 0), (0, 1), (0, -3))}
    moved[2, 0][:, 2:] = images[:, :-2]
    moved[-1, 0][:, :-1] = images[:, 1:]
    moved[0, 1][:, :, 1:] = images[:, :, :-1]
    moved[0, -3][:, :, :-3] = images[:, :, 3:]
    for (down, right), expected in moved.items():
        found = shift(jnp.asarray(images), down, right)
        np.testing.assert_array_equal(found, expected)
    both = shift(shift(jnp.asarray(images), 1, 0), 0, -1)
    np.testing.assert_array_equal(shift(jnp.asarray(images), 1, -1), both)
    np.testing.assert_array_equal(shift(jnp.asarray(images[0]), 1, -1), both[0])
    for far in (SIDE, -SIDE - 5):
        assert not shift(jnp.asarray(images), far, 0).any()


def test_expanded_data_are_the_books():
    n = 4
    images, y = pictures(n), jax.nn.one_hot(jnp.array([3, 1, 4, 1]), 10)
    data = expand(jaxnet.Dataset(rows(images), y), SIDE)
    assert data.x.shape == (5 * n, SIDE**2) and data.y.shape == (5 * n, 10)
    assert data.x.dtype == data.y.dtype == jnp.float32
    versions = data.x.reshape(5, n, SIDE, SIDE)
    for version, by in enumerate([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]):
        np.testing.assert_array_equal(versions[version], shift(images, *by))
        np.testing.assert_array_equal(data.y.reshape(5, n, 10)[version], y)
    down, up, right, left = versions[1:]
    for vacated in (down[:, 0], up[:, -1], right[:, :, 0], left[:, :, -1]):
        assert not vacated.any()


def test_expanded_data_keep_float64(x64):
    images = rows(pictures(dtype=jnp.float64))
    data = expand(jaxnet.Dataset(images, jnp.ones((3, 2))), SIDE)
    assert data.x.dtype == data.y.dtype == jnp.float64


def test_rotating_by_nothing_changes_nothing():
    for image in pictures():
        np.testing.assert_array_equal(rotate(image, 0.0), image)
    x = rows(pictures())
    np.testing.assert_array_equal(rotations(0, SIDE)(jax.random.key(1), x), x)


@pytest.mark.parametrize("side", [5, 8])
def test_quarter_turns_are_exact(x64, side):
    image = pictures(1, side, dtype=jnp.float64)[0]
    for quarters in (-1, 1, 2, 3):
        turned = rotate(image, 90.0 * quarters)
        np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-13)


def test_rotations_undo_each_other():
    digit = smooth_digit()
    back = rotate(rotate(digit, 15.0), -15.0)
    assert float(jnp.abs(back - digit).max()) < 0.1
    assert float(jnp.abs(rotate(digit, 15.0) - digit).max()) > 0.2


@pytest.mark.parametrize("angle", [-30.0, 7.0, 15.0, 45.0])
def test_a_rotation_keeps_the_ink(angle):
    digit = smooth_digit()
    assert_close(rotate(digit, angle).sum(), digit.sum(), 1e-3)


def test_a_rotation_keeps_the_ink_of_digits(mnist):
    images = mnist.test.x[:200]
    turned = np.asarray(jax.jit(rotations())(jax.random.key(1), images))
    ink, before = turned.sum(axis=1), np.asarray(images).sum(axis=1)
    assert np.abs(ink / before - 1).max() < 0.03


def test_angles_go_both_ways_and_no_further():
    digit = np.asarray(smooth_digit())
    x = jnp.asarray(np.tile(digit.reshape(1, -1), (300, 1)))
    turned = jax.jit(rotations(20.0))(jax.random.key(4), x)
    turned = np.asarray(turned).reshape(-1, 28, 28)
    places = np.arange(28) - 13.5
    down = np.tensordot(turned.sum(axis=2), places, 1) / digit.sum()
    right = np.tensordot(turned.sum(axis=1), places, 1) / digit.sum()
    angles = np.degrees(np.arctan2(-down, right)) - np.degrees(np.arctan2(-3, -2))
    assert -20.5 < angles.min() < -19 and 19 < angles.max() < 20.5
    assert abs(angles.mean()) < 2


def test_bending_by_nothing_changes_nothing():
    x = rows(pictures())
    np.testing.assert_array_equal(elastic(0.0, 3.0, SIDE)(jax.random.key(1), x), x)


def test_a_constant_field_shifts():
    image = pictures(1)[0]
    field = jnp.stack([jnp.full((SIDE, SIDE), 1.0), jnp.full((SIDE, SIDE), -2.0)])
    np.testing.assert_array_equal(distort(image, field), shift(image, -1, 2))
    half = distort(image, field * jnp.array([0.5, 0.0]).reshape(2, 1, 1))
    expected = (image + shift(image, -1, 0)) / 2
    np.testing.assert_allclose(half, expected, atol=1e-6)


def test_displacements_are_as_large_as_the_docstring_says():
    """Of an image that says where it is, the change is the displacement."""
    side, alpha, sigma = 28, 20.0, 4.0
    ramp = np.tile(np.arange(28.0, dtype=np.float32).reshape(1, 28, 1), (200, 1, 28))
    bent = jax.jit(elastic(alpha, sigma))(jax.random.key(5), jnp.asarray(rows(ramp)))
    moves = (np.asarray(bent).reshape(ramp.shape) - ramp)[:, side // 2, side // 2]
    assert abs(np.sqrt(np.mean(moves**2)) / (0.163 * alpha / sigma) - 1) < 0.2


@each
def test_a_key_decides(augment):
    x = rows(pictures())
    one, again = (augment(jax.random.key(1), x) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    other = augment(jax.random.key(2), x)
    assert (np.abs(one - other).max(axis=1) > 1e-3).all()
    twins = augment(jax.random.key(1), jnp.tile(x[:1], (2, 1)))
    assert float(jnp.abs(twins[0] - twins[1]).max()) > 1e-3


@each
@pytest.mark.parametrize("double", [False, True])
def test_under_jit_and_vmap_it_is_the_same(augment, double):
    with jax.enable_x64(double):
        dtype = jnp.float64 if double else jnp.float32
        x = rows(pictures(dtype=dtype))
        both = jax.vmap(partial(augment, x=x))(jax.random.split(jax.random.key(1), 2))
        plain = jax.jit(augment)(jax.random.split(jax.random.key(1), 2)[0], x)
        assert plain.shape == x.shape and plain.dtype == dtype
        assert_close(both[0], plain, 1e-12 if double else 1e-5)


@each
def test_pixels_stay_between_0_and_1(augment):
    full = np.full((20, SIDE**2), 255 / 256, np.float32)
    x = jnp.asarray(np.concatenate([full, rows(pictures(20))]))
    changed = np.asarray(jax.jit(augment)(jax.random.key(6), x))
    assert changed.min() >= 0 and changed.max() < 1


def test_functions_of_equal_arguments_are_equal():
    """By content, so that training with one of them again compiles nothing."""
    functions = [
        *(rotations(), rotations(15), rotations(degrees=15.0, side=28)),
        *(elastic(), elastic(34, sigma=4)),
        *(rotations(34.0), elastic(34, 3), rotations(side=14)),
    ]
    by_content = list(map(ByContent, functions))
    assert by_content[0] == by_content[1] == by_content[2] != by_content[5]
    assert by_content[3] == by_content[4]
    assert len(set(by_content)) == 5


@pytest.mark.parametrize(
    "make",
    [partial(rotations, 15.0, SIDE), partial(elastic, 34.0, 4.0, SIDE)],
    ids=FUNCTIONS,
)
def test_an_epoch_trains_and_another_key_compiles_nothing(make):
    params, _, _ = problem([SIDE**2, 5, 2])
    x = rows(pictures(20))
    brighter = np.asarray(x[:, :72]).sum(axis=1) > np.asarray(x[:, 72:]).sum(axis=1)
    y = jnp.eye(2)[brighter.astype(int)]
    data, counted = jaxnet.Dataset(x, y), CountedBackprop()

    def epoch(seed, state, augment):
        options = {"batch_size": 4, "eta": 0.5, "gradient": counted}
        key = jax.random.key(seed)
        return jaxnet.epoch(key, state, data, augment=augment, **options)

    plain = epoch(0, jaxnet.start(params), None)
    state = epoch(0, jaxnet.start(params), make())
    assert not np.array_equal(state.params[0].w, plain.params[0].w)
    before = counted.traces
    for seed in range(1, 10):
        state = epoch(seed, state, make())  # another, equal one
    assert counted.traces == before
    assert float(jaxnet.loss(state.params, x, y)) < float(jaxnet.loss(params, x, y))


def test_images_of_another_size_are_refused():
    x, y = rows(pictures()), jnp.ones((3, 2))
    message = r"Expected images of 28 x 28 pixels as rows, of shape \(m, 784\), got"
    for refused in (
        lambda: expand(jaxnet.Dataset(x, y)),
        lambda: rotations()(jax.random.key(1), x),
        lambda: jax.jit(elastic())(jax.random.key(1), x),
    ):
        with pytest.raises(ValueError, match=message + r" \(3, 144\). Another side"):
            refused()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rotations(-1.0), "degrees of at least 0 .* got -1.0"),
        (lambda: rotations(float("nan")), "degrees of at least 0 .* got nan"),
        (lambda: rotations(15.0, 0), "side of at least 1, got 0"),
        (lambda: elastic(float("inf")), "alpha of at least 0 .* got inf"),
        (lambda: elastic(8.0, 0.0), "sigma of at least 0.1 .* got 0.0"),
        (lambda: elastic(34.0, 4.0, -2), "side of at least 1, got -2"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=f"Expected {message}"):
        make()


def test_script_draws_a_five_and_its_versions(small_mnist, tmp_path):
    out = tmp_path / "new" / "a.png"
    results = ch3_images.main(small_mnist, out)
    assert list(results)[:6] == ["a five", "15 degrees", "down", "up", "right", "left"]
    assert list(results)[6:] == ["elastic 1", "elastic 2", "elastic 3"]
    five = results.pop("a five")
    np.testing.assert_array_equal(results["down"][1:], five[:-1])
    np.testing.assert_array_equal(results["left"][:, :-1], five[:, 1:])
    for version in results.values():
        assert version.shape == (28, 28) and not np.array_equal(version, five)
        assert version.sum() == pytest.approx(five.sum(), rel=0.15)
    assert out.read_bytes()[:4] == b"\x89PNG" and out.stat().st_size > 2000
