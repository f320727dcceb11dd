"""Checks of the machine: what is installed, what computes, where compiled code goes."""

import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from jaxnet import devices
from jaxnet.compare.leaves import norm_of
from jaxnet.doctor.finding import Trouble, raised

_SHOWN = ("jax", "jaxlib", "numpy", "optax")
_DEVELOPERS = ("test", "coverage", "lint")  # extras that nobody misses
# float32 errs by about 3e-7 in sums of 784 products, TF32 by 3e-4, bfloat16 by 2e-3.
_FLOAT32 = 1e-5


def requirements(package: str, extra: str = "") -> list[Requirement]:
    """What a package declares for this machine, or only what an extra of it adds."""
    declared = [Requirement(line) for line in metadata.requires(package) or []]

    def wanted(requirement: Requirement, extra: str) -> bool:
        marker = requirement.marker
        return marker is None or marker.evaluate({"extra": extra})

    return [r for r in declared if wanted(r, extra) and not (extra and wanted(r, ""))]


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _unmet(requirement: Requirement) -> str:
    """What is installed instead, or nothing where all is well."""
    name, bounds = requirement.name, requirement.specifier
    came = installed(name)
    if came is None:
        return f"no {name}"
    fits = bounds.contains(came, prereleases=True)
    return "" if fits else f"{name} {came}, expected {bounds}"


def versions() -> str:
    """What is installed, if it is what jaxnet declares, and JAX's parts one version."""
    python = platform.python_version()
    bounds = metadata.metadata("jaxnet")["Requires-Python"]
    if not SpecifierSet(bounds).contains(python, prereleases=True):
        raise Trouble(
            f"Python {python}, expected {bounds}",
            "Make a virtual environment with such a Python, and install jaxnet there.",
        )
    declared = requirements("jaxnet") + requirements("jax")
    # A plugin for GPUs that is not there is not missed, but it may be of another JAX.
    names = metadata.metadata("jax").get_all("Provides-Extra") or []
    plugins = [r for name in names for r in requirements("jax", name)]
    parts = [r for r in plugins if r.name.startswith("jax-") and installed(r.name)]
    wrong = {r: words for r in (*declared, *parts) if (words := _unmet(r))}
    if wrong:
        wanted = dict.fromkeys(f'"{r.name}{r.specifier}"' for r in wrong)
        raise Trouble(
            "; ".join(dict.fromkeys(wrong.values())),
            f"python -m pip install {' '.join(wanted)}",
        )
    shown = ", ".join(f"{name} {installed(name)}" for name in _SHOWN)
    return f"Python {python}, {shown}, as declared"


def extras() -> str:
    """Which extras are installed and which are not, and what is there but too old."""

    def needed(extra: str) -> Iterator[Requirement]:
        for r in requirements("jaxnet", extra):
            if r.name == "jaxnet":
                for other in r.extras:
                    yield from needed(other)
            else:
                yield r

    names = metadata.metadata("jaxnet").get_all("Provides-Extra") or []
    there, lacking = [], []
    for name in names:
        if name in _DEVELOPERS:
            continue
        unmet = {r.name: words for r in needed(name) if (words := _unmet(r))}
        wrong = [words for package, words in unmet.items() if installed(package)]
        why = f" ({', '.join(wrong)})" if wrong else ""
        (lacking if unmet else there).append(name + why)
    words = ", ".join(there) or "none"
    return f"{words}; without {', '.join(lacking)}" if lacking else words


def device() -> str:
    """The platform, the kind of device and how many there are."""
    try:
        found = jax.devices()
    except Exception as error:  # an AssertionError where there is no such plugin
        asked = os.environ.get("JAX_PLATFORMS")
        where = f" with JAX_PLATFORMS={asked}" if asked else ""
        raise Trouble(
            f"JAX starts no device{where}: {raised(error)}",
            "Set JAX_PLATFORMS=cpu, or mend the device's driver and JAX's plugin.",
        ) from error
    config: Any = jax.config
    x64 = "on" if config.jax_enable_x64 else "off"
    kind = found[0].device_kind
    return f"{len(found)} x {kind} ({found[0].platform}), float64 {x64}"


def precision() -> str:
    """How far a product of float32 matrices is from that in float64 by NumPy."""
    random = np.random.default_rng(0)
    a, b = (
        random.standard_normal(shape, np.float32) for shape in ((100, 784), (784, 30))
    )
    exact = a.astype(float) @ b.astype(float)
    error = norm_of(np.asarray(jnp.matmul(a, b), float) - exact) / norm_of(exact)
    if not error < _FLOAT32:
        raise Trouble(
            f"a float32 product has a relative error of {error:.1e}, expected below "
            f"{_FLOAT32:.0e}: TF32 or bfloat16?",
            "Set JAX_DEFAULT_MATMUL_PRECISION=highest to compute as the book's numbers "
            "were.",
        )
    return f"a float32 product has a relative error of {error:.1e}, as float32 should"


def cache() -> str:
    """Where compiled code is kept, and how much; Trouble if it cannot be written."""
    config: Any = jax.config
    if not config.jax_enable_compilation_cache:
        return "off, so each process compiles anew"
    told = config.jax_compilation_cache_dir
    if "://" in (told or ""):
        return f"{told}, not looked at"
    folder = Path(told or devices.cache_folder())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))  # more than a small network's
            file.flush()
        kept = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise Trouble(
            f"{folder}: nothing can be kept there: {error.strerror or error}",
            "Make it writable, name another in JAX_COMPILATION_CACHE_DIR, or set "
            "JAX_ENABLE_COMPILATION_CACHE=0.",
        ) from error
    return f"{folder}: writable, {len(kept)} entries, {sum(kept) / 2**20:.1f} MiB"
