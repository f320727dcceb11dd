"""Checkpoints: arrays and what they are, in one safetensors file each.

The file's metadata contain a manifest, and a SHA-256 of everything. A checkpoint
replaces the one before the last: if the newest is damaged, the one before it is used.
"""

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import safetensors.numpy
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import PyTree

from jaxnet.experiments.files import (
    StorageError,
    expect,
    read_file,
    replace_file,
    reported,
)

M = TypeVar("M", bound=msgspec.Struct)
PATTERN = f"checkpoint-{'[0-9]' * 8}.safetensors"
_MAX_BYTES = 2**33


def by_path(arrays: PyTree[Any]) -> dict[str, np.ndarray]:
    """The arrays of a tree by their paths, such as `.state.params[0].w`."""
    leaves, _ = tree_flatten_with_path(arrays)
    return {keystr(path): np.asarray(leaf, order="C") for path, leaf in leaves}


def save(
    folder: str | Path,
    number: int,
    arrays: dict[str, np.ndarray],
    manifest: msgspec.Struct,
) -> None:
    """Write a checkpoint into the folder, synced to disk when this returns.

    Wherever this is interrupted, the previous checkpoint is complete.
    Raises StorageError if it cannot be written.
    """
    folder = Path(folder)
    text = msgspec.json.encode(manifest).decode()
    metadata = {"manifest": text, "sha256": _checksum(arrays, text)}
    content = safetensors.numpy.save(arrays, metadata)
    replace_file(folder / f"checkpoint-{number:08}.safetensors", content)
    with reported(folder, "to write here"):
        for old in sorted(folder.glob(PATTERN))[:-2]:
            old.unlink()


def load(
    folder: str | Path, kind: type[M]
) -> tuple[dict[str, np.ndarray], M, tuple[str, ...]]:
    """The arrays and the manifest of a folder's newest undamaged checkpoint.

    The third value says why each newer one, if any, could not be used.
    Raises StorageError, saying why, if there is none.
    """
    skipped: list[str] = []
    with reported(folder, "a folder with a checkpoint"):
        paths = sorted(Path(folder).glob(PATTERN), reverse=True)
    for path in paths:
        try:
            return *_read(path, kind), tuple(skipped)
        except StorageError as error:
            skipped.append(str(error))
    got = " ".join(skipped).removesuffix(".") or "none"
    raise StorageError(f"{folder}: expected a folder with a checkpoint, got {got}.")


def restore(
    path: str | Path, arrays: dict[str, np.ndarray], like: PyTree[Any]
) -> PyTree[Any]:
    """The arrays of a checkpoint in the structure of `like`.

    Raises StorageError unless it has the same paths, shapes and dtypes.
    """
    leaves, structure = tree_flatten_with_path(like)
    kinds = {keystr(place): _kind(leaf) for place, leaf in leaves}
    for place in {**kinds, **arrays}:
        got = _kind(arrays[place]) if place in arrays else "none"
        expected = kinds.get(place, "none")
        expect(got == expected, path, f"{expected} in {place!r}", got)
    return jax.tree.unflatten(structure, [jnp.asarray(arrays[p]) for p in kinds])


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Raises StorageError if it cannot be read.
    """
    content = read_file(path, _MAX_BYTES)
    try:
        arrays = safetensors.numpy.load(content)
        end = 8 + int.from_bytes(content[:8], "little")
        return arrays, msgspec.json.decode(content[8:end]).get("__metadata__", {})
    except Exception as error:  # what decoders meet in foreign bytes is their own
        raise StorageError(
            f"{path}: expected safetensors, got others or a part of them "
            f"({type(error).__name__})."
        ) from error


def _read(path: Path, kind: type[M]) -> tuple[dict[str, np.ndarray], M]:
    arrays, metadata = read_arrays(path)
    text = metadata.get("manifest", "")
    same = metadata.get("sha256") == _checksum(arrays, text)
    expect(same, path, "a checkpoint as it was saved", "a damaged or another file")
    try:
        return arrays, msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StorageError(
            f"{path}: expected a manifest of this jaxnet, got an error: "
            f"{str(error)[:100]}."
        ) from error


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _checksum(arrays: dict[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for place in sorted(arrays):
        digest.update(f"{place} {_kind(arrays[place])} ".encode())
        digest.update(np.ascontiguousarray(arrays[place]).tobytes())
    return digest.hexdigest()
