"""Layers are pytrees, and other kinds of layers are types with the same methods."""

from dataclasses import FrozenInstanceError, dataclass, field, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Activation, Dataset, Layer
from jaxnet.oracles import central_difference
from tests.helpers import assert_close, compiled, problem


def test_a_layer_unpacks_as_weights_and_biases():
    [layer], *_ = problem([3, 2])
    w, b = layer
    assert w is layer.w and b is layer.b
    assert layer.activation == jaxnet.sigmoid
    with pytest.raises(FrozenInstanceError):
        layer.w = w  # type: ignore


def test_a_layer_is_a_pytree_of_its_numbers_with_a_static_activation():
    [layer], *_ = problem([3, 2], output=jaxnet.tanh)
    w, b = jax.tree.leaves(layer)
    assert w is layer.w and b is layer.b
    doubled = jax.tree.map(lambda p: 2 * p, layer)
    assert isinstance(doubled, Layer) and doubled.activation == jaxnet.tanh
    np.testing.assert_array_equal(doubled.w, 2 * layer.w)
    other = replace(layer, activation=jaxnet.relu)
    assert jax.tree.structure(layer) == jax.tree.structure(doubled)
    assert jax.tree.structure(layer) != jax.tree.structure(other)


def test_another_activation_compiles_anew_and_an_equal_one_does_not():
    traces = np.zeros(1, int)

    @jax.jit
    def output(params, x):
        traces[0] += 1
        return jaxnet.predict(params, x)

    def own(slope):
        return Activation(lambda z: slope * z, lambda z: slope + 0 * z, "own")

    for slope, expected in ((1.0, 1), (1.0, 1), (2.0, 2), (1.0, 2)):
        params, x, _ = problem([3, 2], output=own(slope))
        z = params[0].weigh(x[0])
        np.testing.assert_allclose(output(params, x[0]), slope * z, rtol=1e-6)
        assert traces[0] == expected


def test_jax_may_rebuild_layers_of_anything():
    params, x, _ = problem([3, 4, 2])
    for value in (None, True, object()):
        layer = jax.tree.map(lambda _, value=value: value, params)[0]
        assert isinstance(layer, Layer) and layer.w is layer.b is value
    shapes = jax.eval_shape(lambda params: params, params)
    assert [w.shape for w, _ in shapes] == [(4, 3), (2, 4)]
    only_weights = jax.tree.map(lambda p: 0 if p.ndim == 2 else None, params)
    several = [replace(layer, w=jnp.stack([layer.w, -layer.w])) for layer in params]
    outputs = jax.vmap(jaxnet.predict, (only_weights, None))(several, x[0])
    assert outputs.shape == (2, 2)
    np.testing.assert_allclose(outputs[0], jaxnet.predict(params, x[0]), rtol=1e-5)


def test_stacked_networks_are_one_network_to_vmap(x64):
    """In all that takes a network, gradients included."""
    networks = [problem([3, 4, 2], seed=seed)[0] for seed in range(3)]
    _, x, y = problem([3, 4, 2])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    slopes = jax.vmap(jaxnet.backprop, (0, None, None))(stacked, x, y)
    for i, params in enumerate(networks):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], slopes)
        assert_close(one, jaxnet.backprop(params, x, y), rtol=1e-12)
    from_keys = jax.vmap(partial(jaxnet.init, sizes=[3, 4, 2], hidden=jaxnet.tanh))
    several = from_keys(jax.random.split(jax.random.key(0), 5))
    assert [w.shape for w, _ in several] == [(5, 4, 3), (5, 2, 4)]
    assert several[0].activation == jaxnet.tanh


# Other kinds of layers: chapter 6


static = {"static": True}


def windows(a, height, width):
    """All a[..., i : i + height, j : j + width], numbered by i and j."""
    rows, columns = a.shape[-2] - height + 1, a.shape[-1] - width + 1
    return jnp.stack(
        [
            jnp.stack([a[..., i : i + height, j : j + width] for j in range(columns)])
            for i in range(rows)
        ]
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Convolution:
    """Feature maps, each of one local receptive field that all its neurons share.

    z_fyx = sum_cij w_fcij a_c,y+i,x+j + b_f, for maps f and channels c below.
    """

    w: jax.Array  # maps, channels, rows, columns
    b: jax.Array  # maps
    activation: Activation = field(default=jaxnet.sigmoid, metadata=static)

    def weigh(self, a):
        rows, columns = self.w.shape[2:]
        fields = windows(a, a.shape[1] - rows + 1, a.shape[2] - columns + 1)
        return jnp.einsum("fcij,ijcyx->fyx", self.w, fields) + self.b[:, None, None]

    def carry(self, delta, a):
        rows, columns = (n - 1 for n in self.w.shape[2:])
        padded = jnp.pad(delta, ((0, 0), (rows, rows), (columns, columns)))
        fields = windows(padded, *a.shape[1:])
        return jnp.einsum("fcij,ijfyx->cyx", self.w[:, :, ::-1, ::-1], fields)

    def gradient(self, delta, a):
        fields = windows(a, *delta.shape[2:])
        w = jnp.einsum("mfyx,ijmcyx->fcij", delta, fields) / len(a)
        return replace(self, w=w, b=delta.sum(axis=(2, 3)).mean(axis=0))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MaxPool:
    """The largest of each square of activations: a layer without weights."""

    size: int = field(default=2, metadata=static)
    activation: Activation = field(default=jaxnet.linear, metadata=static)

    def squares(self, a):
        (channels, rows, columns), s = a.shape, self.size
        return a.reshape(channels, rows // s, s, columns // s, s).swapaxes(2, 3)

    def weigh(self, a):
        return self.squares(a).max(axis=(3, 4))

    def carry(self, delta, a):
        squares, z = self.squares(a), self.weigh(a)
        largest = (squares == z[..., None, None]).astype(delta.dtype)
        shares = largest / largest.sum(axis=(3, 4), keepdims=True)
        return (shares * delta[..., None, None]).swapaxes(2, 3).reshape(a.shape)

    def gradient(self, delta, a):
        return self


def convolutional(output=jaxnet.sigmoid):
    """A network for images of 8 x 8 pixels, and random ones with targets for it."""
    rng = np.random.default_rng(1)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape) / np.prod(shape[1:]) ** 0.5)

    params = [
        Convolution(normal(3, 1, 3, 3), normal(3), jaxnet.tanh),  # 3 x 6 x 6
        MaxPool(2, jaxnet.sigmoid),  # 3 x 3 x 3
        Convolution(normal(4, 3, 2, 2), normal(4), jaxnet.relu),  # 4 x 2 x 2
        MaxPool(1),
        Layer(normal(5, 16), normal(5)),
        Layer(normal(3, 5), normal(3), output),
    ]
    x = jnp.asarray(rng.uniform(size=(6, 1, 8, 8)))
    return params, x, jnp.asarray(np.eye(3)[rng.integers(0, 3, 6)])


@pytest.mark.parametrize(
    "cost",
    [jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.log_likelihood],
    ids=str,
)
def test_backprop_goes_through_other_kinds_of_layers(x64, cost):
    params, x, y = convolutional(cost.output)
    by_hand, automatic = (
        compiled(gradient)(params, x, y, cost)
        for gradient in (jaxnet.backprop, jaxnet.autodiff)
    )
    assert_close(by_hand, automatic, rtol=1e-12)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(by_hand))


def test_the_first_layer_need_not_have_weights(x64):
    _, x, y = convolutional()
    [layer], *_ = problem([16, 3])
    params = [MaxPool(2), layer]
    expected = central_difference(params, x, y)
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        assert_close(gradient(params, x, y), expected, rtol=1e-7)
    data, squares = Dataset(x, y), float((layer.w**2).sum())
    cost = jaxnet.loss(params, x, y) + 3.0 * squares / (2 * 50)
    assert jaxnet.total_cost(params, data, l2=3.0, n=50) == pytest.approx(cost)


def test_a_convolution_equals_xla_s(x64):
    params, x, _ = convolutional()
    convolve = partial(jax.lax.conv, window_strides=(1, 1), padding="VALID")
    expected = convolve(x, params[0].w)[0] + params[0].b[:, None, None]
    np.testing.assert_allclose(params[0].weigh(x[0]), expected, rtol=1e-12)


def test_networks_of_other_kinds_of_layers_learn():
    """With regularization and dropout, from numbers or bytes."""
    params, *_ = convolutional(jaxnet.softmax)
    rng, labels = np.random.default_rng(2), np.arange(60) % 3
    pixels = rng.integers(0, 100, (60, 1, 8, 8), np.uint8)
    for image, label in zip(pixels[:, 0], labels, strict=True):  # a bright bar
        image[2 * label + 1 : 2 * label + 3] += 150
    y, cost = jnp.eye(3)[labels], jaxnet.log_likelihood
    data = Dataset(jnp.asarray(pixels), y)
    numbers = Dataset(jnp.asarray(pixels / np.float32(256)), y)
    before = float(jaxnet.total_cost(params, numbers, cost))
    assert float(jaxnet.total_cost(params, data, cost)) == pytest.approx(before)

    options = {"batch_size": 10, "eta": 0.5, "l2": 0.01, "dropout": 0.1, "cost": cost}
    state = jaxnet.start(params)
    for number in range(30):
        key = jax.random.fold_in(jax.random.key(0), number)
        state = jaxnet.epoch(key, state, data, **options)
        if number == 0:
            options_of_other = {**options, "gradient": jaxnet.autodiff}
            other = jaxnet.epoch(key, jaxnet.start(params), data, **options_of_other)
            assert_close(other.params, state.params, rtol=1e-4)
    learned = jaxnet.without_dropout(state.params, 0.1)
    assert jaxnet.total_cost(learned, data, cost) < before / 2
    assert jaxnet.accuracy(params, data) < 0.5 < 0.95 < jaxnet.accuracy(learned, data)
    matrix = jaxnet.confusion_matrix(learned, data)
    assert jnp.trace(matrix) / 60 == jaxnet.accuracy(learned, data)


def test_a_step_of_a_network_of_other_kinds_of_layers(x64):
    params, x, y = convolutional()
    after = compiled(jaxnet.step)(jaxnet.start(params), x, y, eta=0.3).params
    slope = compiled(jaxnet.autodiff)(params, x, y)
    expected = jax.tree.map(lambda p, g: p - 0.3 * g, params, slope)
    assert_close(after, expected, rtol=1e-12)
