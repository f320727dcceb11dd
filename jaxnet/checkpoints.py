"""A folder that keeps a run, whose process may be killed at any moment.

A checkpoint is two files: `checkpoint-<number>.safetensors` has the arrays, and the
JSON file beside it, written last, says what they are. It counts if both are as they
were saved. A log beside it, by `jsonlines`, may be ahead: append a line, then save.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import PyTree

from jaxnet.files import StorageError, content, expect, fcntl, reported

_FORMAT = "jaxnet checkpoint 1"
_PARTS = {"versions": dict, "sha256": str, "arrays": dict, "manifest": dict}
_MOST_TEXT, _MOST_BYTES = 2**24, 2**33  # of a manifest, and of arrays
_MANIFESTS = f"checkpoint-{'[0-9]' * 8}.json"
_KEYS = {"key<fry>": "threefry2x32", "key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}
_DTYPES = ["bool", "float0", "float16", "float32", "float64", *_KEYS]
_DTYPES += [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


class Checkpoint(NamedTuple):
    """What `load` finds."""

    arrays: Any
    manifest: dict[str, Any]
    versions: dict[str, str]  # of jaxnet and of jax, by which it was saved
    refused: tuple[str, ...]  # why each newer checkpoint, if any, could not be used


def save(folder: str | Path, arrays: PyTree[Any], manifest: Mapping[str, Any]) -> None:
    """Write a checkpoint of arrays and of a manifest of JSON values into the folder.

    It is on the disk when this returns; wherever this ends, the one before is whole.
    One process at a time may save there: see `lock`. Raises ValueError for a leaf that
    is no array of a dtype it can keep, or nan in the manifest, TypeError for what is
    not JSON, and StorageError if it cannot write.
    """
    folder = Path(folder)
    leaves = {keystr(path): leaf for path, leaf in tree_flatten_with_path(arrays)[0]}
    data = safetensors.numpy.save({p: _stored(p, leaf) for p, leaf in leaves.items()})
    document: dict[str, Any] = {
        "format": _FORMAT,
        "versions": {"jaxnet": version("jaxnet"), "jax": jax.__version__},
        "sha256": hashlib.sha256(data).hexdigest(),
        "arrays": {place: _kind(leaf) for place, leaf in leaves.items()},
        "manifest": dict(manifest),
    }
    document = json.loads(json.dumps(document, allow_nan=False))
    check = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    text = json.dumps(document | {"check": check}, indent=1).encode()
    with reported(folder, "to write here"):
        folder.mkdir(parents=True, exist_ok=True)
        before = sorted(folder.glob(_MANIFESTS))
        last = int(before[-1].stem[-8:]) if before else 0
        path = folder / f"checkpoint-{last + 1:08}.json"
        _replace(path.with_suffix(".safetensors"), data)
        _replace(path, text)
        for old in before[:-1]:
            old.with_suffix(".safetensors").unlink(missing_ok=True)
            old.unlink()


def load(folder: str | Path, like: PyTree[Any] = None) -> Checkpoint:
    """The newest whole checkpoint of a folder, its arrays in the structure of `like`.

    `like` has arrays, or `jax.eval_shape`'s, of the same paths, shapes and dtypes, and
    its NumPy arrays come back as NumPy's. Without it, arrays are as on the disk, in a
    dictionary by path, such as `.params[0].w`. Raises StorageError if there is no whole
    checkpoint, saying why, or the newest whole one is not like `like`.
    """
    refused: list[str] = []
    with reported(folder, "a folder with a checkpoint"):
        paths = sorted(Path(folder).glob(_MANIFESTS), reverse=True)
    for path in paths:
        try:
            found, arrays = _whole(path)
        except StorageError as error:
            refused.append(str(error))
            continue
        if like is not None:
            leaves = {keystr(p): leaf for p, leaf in tree_flatten_with_path(like)[0]}
            kinds = {place: _kind(leaf) for place, leaf in leaves.items()}
            for place in [*kinds, *found["arrays"]]:
                here, came = (k.get(place, "none") for k in (kinds, found["arrays"]))
                expect(here == came, path, f"{here} in {place!r} of this run", came)
            restored = [_restored(path, p, leaf, arrays) for p, leaf in leaves.items()]
            arrays = jax.tree.unflatten(jax.tree.structure(like), restored)
        return Checkpoint(arrays, found["manifest"], found["versions"], tuple(refused))
    came = " ".join(refused).removesuffix(".") or "none"
    raise StorageError(f"{folder}: expected a folder with a checkpoint, got {came}.")


@contextmanager
def lock(folder: str | Path) -> Iterator[None]:
    """A context that one process at a time can be in, for each folder.

    A missing folder is made. A killed process leaves no lock, except on Windows, where
    the folder's file `.lock` is then to be deleted. Raises StorageError if it is taken.
    """
    path = Path(folder) / ".lock"
    with ExitStack() as stack:
        with reported(path, "to write here"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if fcntl:
                    file = stack.enter_context(open(path, "a"))
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else:
                    path.touch(exist_ok=False)
                    stack.callback(path.unlink)
            except (BlockingIOError, FileExistsError):
                came = "one in use. Wait for the other run, or choose another folder"
                expect(False, path, "a folder that no other run writes to", came)
        yield


def _replace(path: Path, content: bytes) -> None:
    # One name for all attempts: what a killed process leaves, the next one overwrites.
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name != "nt":  # which opens no folders
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # or a power cut may undo the renaming
        finally:
            os.close(descriptor)


def _whole(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with reported(path, "a readable file"):
        text = content(path, _MOST_TEXT)
        data = content(path.with_suffix(".safetensors"), _MOST_BYTES)
    document, whole = {}, False
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
        document = json.loads(text)
        check = document.pop("check")
        whole = check == hashlib.sha256(json.dumps(document).encode()).hexdigest()
    expect(whole, path, "a manifest as it was saved", f"{text[:40]!r}, cut or changed")
    came = repr(document.get("format"))[:40]
    expect(came == repr(_FORMAT), path, repr(_FORMAT), f"{came}, of a later jaxnet")
    for key, kind in _PARTS.items():
        came = repr(document.get(key))[:40]
        right = isinstance(document.get(key), kind)
        expect(right, path, f"{key!r} in the manifest, a {kind.__name__}", came)
    whole = document["sha256"] == hashlib.sha256(data).hexdigest()
    expect(whole, path, "the arrays it was saved with", "others, or a part of them")
    try:
        return document, safetensors.numpy.load(data)
    except Exception as error:  # what the decoder meets in foreign bytes is its own
        came = f"others ({type(error).__name__})"
        raise StorageError(f"{path}: expected safetensors, got {came}.") from error


def _dtype(leaf: Any) -> str:
    kind = getattr(leaf, "dtype", type(leaf))
    return "float0" if kind == jax.dtypes.float0 else getattr(kind, "name", str(kind))


def _kind(leaf: Any) -> str:
    return f"{_dtype(leaf)}[{','.join(map(str, leaf.shape))}]"


def _stored(place: str, leaf: Any) -> np.ndarray:
    dtype = _dtype(leaf)
    if dtype not in _DTYPES:
        raise ValueError(f"Expected one of {_DTYPES}, got {dtype} in {place!r}.")
    array = jax.random.key_data(leaf) if dtype in _KEYS else leaf
    return np.asarray(array, bool if dtype == "float0" else None, order="C")


def _restored(path: Path, place: str, leaf: Any, arrays: Mapping[str, Any]) -> Any:
    array: Any = arrays.get(place)
    dtype, found = _dtype(leaf), None
    with suppress(TypeError, ValueError, AttributeError):  # of another kind than stated
        if dtype in _KEYS:
            found = jax.random.wrap_key_data(jnp.asarray(array), impl=_KEYS[dtype])
        elif dtype == "float0" or isinstance(leaf, np.ndarray | np.generic):
            found = array.astype(leaf.dtype)  # a copy, which may be written to
        else:
            with jax.enable_x64(True):  # or float64 would be rounded where x64 is off
                found = jnp.asarray(array)
    right = found is not None and _kind(found) == _kind(leaf)
    expect(right, path, f"{_kind(leaf)} in {place!r} as it states", "another array")
    return found
