"""NumPy's files, .npy and .npz, read without pickle and without NumPy's allocations."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from jaxnet.datasets.files import DataError, check_file, naming, read_array

_MAX_ARRAYS = 100


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays in an .npz file by name, or the one in an .npy file under "".

    Raises DataError, a ValueError, for any other file and for pickled objects.
    """
    try:
        check_file(path)
        with open(path, "rb") as file, naming(path):
            if file.peek(2)[:2] != b"PK":
                return {"": _read_npy(file)}
            archive, found = ZipFile(file), {}
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            if len(names) > _MAX_ARRAYS:
                raise DataError(
                    f"Expected at most {_MAX_ARRAYS} arrays, got {len(names)}."
                )
            for name in names:
                with archive.open(name) as stream, naming(f"{path}, {name}"):
                    found[name.removesuffix(".npy")] = _read_npy(stream)
            return found
    except DataError:
        raise
    except Exception as error:  # the decoders do not document what they raise
        raise DataError(
            f"{path}: expected a readable .npz or .npy file, got an error: {error}."
        ) from error


def _read_npy(stream: Any) -> np.ndarray:
    version = npy.read_magic(stream)
    read = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}
    if version[0] not in read:
        raise ValueError(f"version {version[0]} of the format")
    shape, in_columns, dtype = read[version[0]](stream)
    if dtype.kind not in "biuf":
        kind = "objects, which only pickle can read" if dtype.hasobject else dtype
        raise DataError(f"Expected an array of numbers, got one of {kind}.")
    if in_columns:
        return read_array(stream, shape[::-1], dtype).T
    return read_array(stream, shape, dtype)
