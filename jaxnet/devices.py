"""Many networks on the devices there are, and what JAX is told before it starts.

On a CPU each device is a thread that trains one network after another: `vmap` gains
nothing there. On a GPU, as many networks as fit its memory are one computation.
"""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

_ONE_THREAD = 5_000_000  # multiply-adds of a mini-batch that a second thread delays
_LARGE = 1_000_000  # parameters that one core cannot read fast enough


def prepare(networks: int, sizes: Sequence[int], batch_size: int) -> None:
    """Have JAX use the CPU's cores well; too late, and nothing, once it has started.

    With one network, a second thread helps from about 5 million multiply-adds in a
    mini-batch, and delays smaller ones by up to a third. With more networks, each core
    is a device of its own. What the environment already says is left as it is.
    """
    cores = os.cpu_count() or 1
    parameters = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    if networks > 1:
        _before_start("jax_num_cpu_devices", min(networks, cores))
    small = batch_size * parameters < _ONE_THREAD and parameters < _LARGE
    if networks > 1 or small:
        os.environ.setdefault("NPROC", "1")


def keep_compiled(folder: Path | None = None) -> None:
    """Keep what XLA compiles in the user's cache folder, for the next process.

    JAX_COMPILATION_CACHE_DIR names another folder, and JAX_ENABLE_COMPILATION_CACHE=0
    keeps nothing. Nothing is kept where nothing can be written.
    """
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "jaxnet"
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


def _before_start(option: str, value: Any) -> None:
    try:
        jax.config.update(option, value)
    except RuntimeError:  # JAX has started, with what it was told then
        pass


class Spread:
    """So many networks, spread over the devices there are.

    `spread(one)` is `one(network, *shared)` as a jitted function of many networks, as
    `stack` lays them out, and of what they share, as `share` does. On each device,
    `together` of them are one computation.
    """

    def __init__(self, networks: int, together: int = 1) -> None:
        """Choose the devices: all, or as many as there are networks."""
        self.networks, self.together = networks, together
        self.devices = min(networks, len(jax.devices()))
        self.mesh = jax.make_mesh(
            (self.devices,),
            ("replica",),
            axis_types=(AxisType.Auto,),
            devices=jax.devices()[: self.devices],
        )

    def __call__(self, one: Callable[..., Any]) -> Any:
        """`one` for many networks: a jitted function."""

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
                check_vma=False,  # each network's own values meet the shared ones
            )(networks, *shared)

        return jax.jit(many)

    def stack(self, networks: Any) -> Any:
        """Arrays with an axis of networks, or of fewer, whose last one then repeats."""
        whole = -(-self.networks // self.devices) * self.devices
        sharding = NamedSharding(self.mesh, P("replica"))

        def laid_out(leaf: Array) -> Array:
            places = jnp.minimum(jnp.arange(whole), len(leaf) - 1)
            return jax.device_put(leaf[places], sharding)

        return jax.tree.map(laid_out, networks)

    def share(self, arrays: Any) -> Any:
        """Arrays that every device has."""
        return jax.device_put(arrays, NamedSharding(self.mesh, P()))

    def gather(self, networks: Any) -> Any:
        """Results for each network, on one device."""

        def together(leaf: Array) -> Array:
            return jnp.asarray(jax.device_get(leaf))[: self.networks]

        if self.devices == 1:
            return networks
        return jax.tree.map(together, networks)
