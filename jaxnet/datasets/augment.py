"""More training data from the same images: shifts, rotations, elastic distortions.

Chapter 3 rotates a five by 15 degrees, and chapter 6 shifts every image by a pixel.
`expand` makes a larger Dataset once. `rotations` and `elastic` make functions for
`augment=`, which draw new versions in every mini-batch and take no memory.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Key, Shaped

from jaxnet.checks import check_integer, check_numbers
from jaxnet.layers import Dataset, Scalar
from jaxnet.sgd import Augment

# As (down, right), in the order of the book's expand_mnist.py.
_VERSIONS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
_MAX = float(jnp.finfo(jnp.float32).max)

# Bilinear between the pixels, and 0 outside them.
_sample = partial(map_coordinates, order=1, mode="constant", cval=0.0)


def shift(
    images: Shaped[Array, "*m rows columns"], down: int, right: int
) -> Shaped[Array, "*m rows columns"]:
    """The images moved by `down` and `right` pixels, with zeros moving in."""
    padding = [(0, 0, 0)] * (images.ndim - 2) + [(down, -down, 0), (right, -right, 0)]
    return jax.lax.pad(images, jnp.zeros((), images.dtype), padding)


def expand(data: Dataset, side: int = 28) -> Dataset:
    """The images and their four shifts by one pixel: five times as many examples.

    First come all images unchanged, then all moved down, up, right and left: version v
    of example i is number v * n + i, and `epoch` shuffles. MNIST's 50,000 images (157
    MB in float32) become 250,000 (784 MB, or 196 MB as bytes).
    Raises ValueError unless each row is an image of `side` times `side` pixels.
    """
    return Dataset(_shifted(_images(data.x, side)), jnp.tile(data.y, (5, 1)))


@jax.jit
def _shifted(images: Shaped[Array, "n side side"]) -> Shaped[Array, "versions pixels"]:
    # jit writes each version to its place in the result, without a copy.
    versions = jnp.concatenate([shift(images, *by) for by in _VERSIONS])
    return versions.reshape(len(versions), math.prod(images.shape[1:]))


@jax.jit
def rotate(
    image: Float[Array, "side side"], angle: Scalar
) -> Float[Array, "side side"]:
    """The image rotated anticlockwise about its centre by `angle` degrees."""
    side = len(image)
    radians = jnp.asarray(angle, image.dtype) * (math.pi / 180)
    sine, cosine = jnp.sin(radians), jnp.cos(radians)
    from_centre = jnp.arange(side, dtype=image.dtype) - (side - 1) / 2
    down, right = jnp.meshgrid(from_centre, from_centre, indexing="ij")
    rows, columns = cosine * down + sine * right, cosine * right - sine * down
    return _sample(image, [rows + (side - 1) / 2, columns + (side - 1) / 2])


@jax.jit
def distort(
    image: Float[Array, "side side"], field: Float[Array, "2 side side"]
) -> Float[Array, "side side"]:
    """The image with each pixel taken from `field` pixels below and to its right."""
    places = jnp.arange(len(image), dtype=image.dtype)
    down, right = jnp.meshgrid(places, places, indexing="ij")
    return _sample(image, [down + field[0], right + field[1]])


def rotations(degrees: int | float = 15.0, side: int = 28) -> Augment:
    """A function for `augment=` that rotates each image by up to `degrees`.

    The angles are uniform between -degrees and degrees. Large ones turn a 6 into a 9.
    Raises ValueError for numbers out of range; the function raises it for inputs that
    are not images of `side` times `side` pixels.
    """
    check_numbers({"degrees": degrees}, 0, _MAX)
    check_integer("side", side, 1)
    return partial(_on_rows, partial(_rotated, degrees=float(degrees)), side)


def elastic(
    alpha: int | float = 34.0, sigma: int | float = 4.0, side: int = 28
) -> Augment:
    """A function for `augment=` that distorts each image elastically (Simard et al.).

    Displacements of pixels, uniform between -alpha and alpha, are smoothed by a
    Gaussian of standard deviation sigma. In the middle of an image, their root mean
    square is then 0.16 alpha / sigma: 1.4 pixels by default.
    Raises ValueError as `rotations` does.
    """
    check_numbers({"alpha": alpha}, 0, _MAX)
    check_numbers({"sigma": sigma}, 0.1, _MAX)
    check_integer("side", side, 1)
    distorted = partial(_distorted, alpha=float(alpha), sigma=float(sigma))
    return partial(_on_rows, distorted, side)


def _on_rows(
    change: Augment, side: int, key: Key[Array, ""], x: Float[Array, "m in"]
) -> Float[Array, "m in"]:
    return change(key, _images(x, side)).reshape(x.shape)


@jax.jit
def _rotated(key: Array, images: Array, degrees: Scalar) -> Array:
    angles = degrees * _uniform(key, (len(images),), images.dtype)
    return jax.vmap(rotate)(images, angles)


@jax.jit
def _distorted(key: Array, images: Array, alpha: Scalar, sigma: Scalar) -> Array:
    m, side, _ = images.shape
    rough = _uniform(key, (m, 2, side, side), images.dtype)
    places = jnp.arange(side, dtype=images.dtype)
    distances = jnp.subtract.outer(places, places)
    weights = jnp.exp(-((distances / sigma) ** 2) / 2)
    blur = weights / jnp.sum(weights, axis=1, keepdims=True)
    fields = alpha * jnp.einsum("ij,mdjk,lk->mdil", blur, rough, blur)
    return jax.vmap(distort)(images, fields)


def _uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    size = (math.prod(shape),)  # one axis compiles ten times faster
    return jax.random.uniform(key, size, dtype, minval=-1, maxval=1).reshape(shape)


def _images(x: Array, side: int) -> Array:
    if x.ndim != 2 or x.shape[1] != side * side:
        raise ValueError(
            f"Expected images of {side} x {side} pixels as rows, of shape "
            f"(m, {side * side}), got {x.shape}. Another side? Pass side=."
        )
    return x.reshape(-1, side, side)
