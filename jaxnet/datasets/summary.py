"""What a data set contains: classes, ranges, duplicates."""

import math
from hashlib import blake2b
from itertools import combinations
from typing import Any

import numpy as np

from jaxnet.datasets.arrays import Split
from jaxnet.layers import Dataset


def describe(data: Split, names: list[str] | None = None) -> dict[str, Any]:
    """What the three parts contain, as JSON values.

    `duplicates` are examples with the inputs of an earlier one in their part, and
    `shared` those of a later part whose inputs are in an earlier part.
    """
    n_in, n_out = data.train.x.shape[1], data.train.y.shape[1]
    side = math.isqrt(n_in)
    parts = data._asdict()
    hashes = {
        name: [
            blake2b(row.tobytes(), digest_size=16).digest()
            for row in np.asarray(part.x)
        ]
        for name, part in parts.items()
    }
    distinct = {name: set(rows) for name, rows in hashes.items()}
    return {
        "inputs": n_in,
        "shape": [side, side] if side**2 == n_in else None,
        "type": str(data.train.x.dtype),
        "classes": names or [str(k) for k in range(n_out)],
        "parts": {
            name: _statistics(part)
            | {"duplicates": len(hashes[name]) - len(distinct[name])}
            for name, part in parts.items()
        },
        "shared": [
            {
                "of": later,
                "in": earlier,
                "examples": sum(row in distinct[earlier] for row in hashes[later]),
            }
            for earlier, later in combinations(hashes, 2)
        ],
    }


def _statistics(part: Dataset) -> dict[str, Any]:
    x, y = np.asarray(part.x), np.asarray(part.y)
    return {
        "examples": len(x),
        "counts": np.bincount(y.argmax(axis=1), minlength=y.shape[1]).tolist(),
        "least": x.min().item(),
        "greatest": x.max().item(),
        "mean": float(x.mean(dtype=np.float64)),
        "zeros": float(np.mean(x == 0)),
        "constant": int(np.sum(x.min(axis=0) == x.max(axis=0))),
        "bytes": x.nbytes + y.nbytes,
    }
