"""Many networks on the devices there are, and what JAX is told before it starts.

On a CPU each device is a thread that trains one network after another: `vmap` gains
nothing there. On a GPU, as many networks as fit its memory are one computation. Devices
may be those of several processes, which then all call the same functions.
"""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from jaxnet.gradients import Gradient

_ONE_THREAD = 5_000_000  # multiply-adds of a mini-batch that a second thread delays
_LARGE = 1_000_000  # parameters that one core cannot read fast enough


def prepare(
    networks: int, sizes: Sequence[int], batch_size: int, devices: int | None = None
) -> None:
    """Have JAX use the CPU's cores well; too late, and nothing, once it has started.

    With one network, a second thread helps from about 5 million multiply-adds in a
    mini-batch, and delays smaller ones by up to a third. With more networks, each core
    is a device of its own; `devices` is how many there shall be instead. What the
    environment already says is left as it is.
    """
    cores = os.cpu_count() or 1
    parameters = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    if devices is not None:
        _before_start("jax_num_cpu_devices", devices)
        if jax.config.read("jax_cuda_visible_devices") == "all":
            first = ",".join(map(str, range(devices)))
            _before_start("jax_cuda_visible_devices", first)
    elif networks > 1:
        _before_start("jax_num_cpu_devices", min(networks, cores))
    small = batch_size * parameters < _ONE_THREAD and parameters < _LARGE
    if networks > 1 or small:
        os.environ.setdefault("NPROC", "1")


def keep_compiled(folder: Path | None = None) -> None:
    """Keep what XLA compiles in the user's cache folder, for the next process.

    JAX_COMPILATION_CACHE_DIR names another folder, and JAX_ENABLE_COMPILATION_CACHE=0
    keeps nothing. Nothing is kept where nothing can be written.
    """
    folder = folder or cache_folder()
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def cache_folder() -> Path:
    """The user's cache folder for what XLA compiles, unless JAX is told of another."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "jaxnet"


def _before_start(option: str, value: Any) -> None:
    try:
        jax.config.update(option, value)
    except RuntimeError:  # JAX has started, with what it was told then
        pass


def over_rows(gradient: Gradient) -> Gradient:
    """The same gradient of a mini-batch whose rows are spread over the axis `data`.

    Each device of that axis of the mesh (`jax.set_mesh`) works on its own rows, and
    what they find is added up: equal to rounding, whatever the number of rows.
    """

    def spread(params, x, y, **choices):
        x, y = jax.lax.with_sharding_constraint((x, y), P("data"))
        slope = gradient(params, x, y, **choices)
        return jax.lax.with_sharding_constraint(slope, P())

    return spread


class Spread:
    """So many networks, spread over the devices there are.

    `spread(one)` is `one(network, *shared)` as a jitted function of many networks, as
    `stack` lays them out, and of what they share, as `share` does. On each device,
    `together` of them are one computation. With `rows`, devices that are left take
    their part of each network's mini-batches, by `over_rows`.
    """

    def __init__(self, networks: int, together: int = 1, rows: bool = False) -> None:
        """Choose the devices: all, or as many as there are networks."""
        self.networks, self.together = networks, together
        available = jax.devices()
        n = len(available)
        if rows:
            self.devices = max(
                k for k in range(1, n + 1) if n % k == 0 and k <= networks
            )
        else:
            # A process that has no network has a copy of one, to take part at all.
            self.devices = n if jax.process_count() > 1 else min(networks, n)
        self.rows = n // self.devices if rows else 1
        self.mesh = jax.make_mesh(
            (self.devices, self.rows),
            ("replica", "data"),
            axis_types=(AxisType.Auto, AxisType.Auto),
            devices=available[: self.devices * self.rows],
        )
        everywhere = NamedSharding(self.mesh, P())
        self._everywhere = jax.jit(lambda tree: tree, out_shardings=everywhere)

    def __call__(self, one: Callable[..., Any]) -> Any:
        """`one` for many networks: a jitted function."""
        by_hand = ["replica"] if self.rows > 1 else self.mesh.axis_names

        def on_a_device(networks: Any, *shared: Any) -> Any:
            return jax.lax.map(
                lambda network: one(network, *shared),
                networks,
                batch_size=self.together if self.together > 1 else None,
            )

        def many(networks: Any, *shared: Any) -> Any:
            return jax.shard_map(
                on_a_device,
                mesh=self.mesh,
                in_specs=(P("replica"), *(P() for _ in shared)),
                out_specs=P("replica"),
                axis_names=set(by_hand),
                check_vma=False,  # each network's own values meet the shared ones
            )(networks, *shared)

        return jax.jit(many)

    def stack(self, networks: Any) -> Any:
        """Arrays with an axis of networks, or of fewer, whose last one then repeats."""
        whole = -(-self.networks // self.devices) * self.devices

        def laid_out(leaf: Array) -> Array:
            places = jnp.minimum(jnp.arange(whole), len(leaf) - 1)
            return self._put(leaf[places], P("replica"))

        return jax.tree.map(laid_out, networks)

    def share(self, arrays: Any) -> Any:
        """Arrays that every device has."""
        return jax.tree.map(lambda leaf: self._put(leaf, P()), arrays)

    def gather(self, networks: Any) -> Any:
        """Results for each network, on one device of each process."""
        if jax.process_count() > 1:
            networks = self._everywhere(networks)
        elif self.mesh.size == 1:
            return networks

        def together(leaf: Array) -> Array:
            return jnp.asarray(jax.device_get(leaf))[: self.networks]

        return jax.tree.map(together, networks)

    def _put(self, array: Array, spec: P) -> Array:
        sharding = NamedSharding(self.mesh, spec)
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(self._put(jax.random.key_data(array), spec))
        here = np.asarray(array)  # and in every process
        return jax.make_array_from_callback(here.shape, sharding, here.__getitem__)
