"""Files of each kind that jaxnet reads, changed at random: to write, and to read."""

import copy
import gzip
import io
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
import safetensors.numpy
from PIL import Image

import jaxnet
from jaxnet import runs
from jaxnet.cli.runs import _compare
from jaxnet.cli.sweep import _table, summaries
from jaxnet.datasets import load_data, read_idx, read_npz
from jaxnet.experiments import Experiment, checkpoint
from jaxnet.experiments.experiment import described
from jaxnet.experiments.files import append_line
from jaxnet.experiments.runner import shapes
from jaxnet.experiments.sweep import log_of
from jaxnet.pictures import read_picture
from jaxnet.runs.run import Manifest
from tests.helpers import idx

Draw = np.random.Generator

EXTREMES = [0, 1, 2, 127, 128, 255, 256, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
EXTREMES += [2**53, 2**63 - 1, 2**63, 2**64 - 1]
TOKENS = [b"\0", b"\xff", b"\r\n", b"\n", b",", b"-", b"NaN", b"1e999"]
TOKENS += [b"[", b"{", b'"', b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80"]
TOKENS += [b"9" * 5000, b"[" * 3000]
HEADS = [b"", b"\0", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x80\x02}q\0.", b"PK"]
HEADS += [b"<html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%!PS\n", b"\xff\xfe", b"P5\n"]
WRONG: list[Any] = [None, True, False, 1e39, -1e308, 10**30, 0, 1, -1, 2, 0.5]
WRONG += [10**400, float("nan"), float("inf"), "", "1", "\ud800", "x" * 300]
WRONG += [[], {}, [[]], [None]]
WRONG += [{"": {}}, [1] * 50, -0.0, 2**63, "quadratic", "sigmoid", 1e-320]


def pick(draw: Draw, among: Sequence[Any]) -> Any:
    """One of them."""
    return among[int(draw.integers(len(among)))]


def mutated(content: bytes, draw: Draw) -> bytes:
    """The bytes after one to four changes, some of numbers near the beginning."""
    for _ in range(int(draw.integers(1, 5))):
        i, j = sorted(draw.integers(0, len(content) + 1, 2).tolist())
        token, head, bit = pick(draw, TOKENS), pick(draw, HEADS), 1 << draw.integers(8)
        flipped = content[:i] + bytes(x ^ bit for x in content[i : i + 1])
        where, size = int(draw.integers(64)), pick(draw, (1, 2, 4, 8))
        order = pick(draw, ("big", "little"))
        number = (pick(draw, EXTREMES) % 256**size).to_bytes(size, order)
        changes = [
            content[:i],
            content[:i] + content[j:],
            content[:j] + content[i:],
            content + draw.bytes(20),
            content[:i] + token + content[i:],
            content[:i] + token + content[i + 1 :],
            head + content[i:],
            content[:i] + bytes(j - i) + content[j:],
            *2 * [flipped + content[i + 1 :]],
            *2 * [content[:where] + number + content[where + size :]],
        ]
        content = pick(draw, changes)
    return content


def mutated_json(value: Any, draw: Draw) -> Any:
    """A JSON value with one to three of its parts replaced, removed or wrapped."""
    root = [copy.deepcopy(value)]
    for _ in range(int(draw.integers(1, 4))):
        place, key = root, 0
        while isinstance(place[key], list | dict) and place[key]:
            if draw.random() < 0.3:
                break
            place = place[key]
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = pick(draw, keys)
        kind = int(draw.integers(6))
        if kind < 3 or place is root:
            place[key] = copy.deepcopy(pick(draw, WRONG))
        elif kind == 3:
            del place[key]
        elif kind == 4:
            place[key] = [place[key]]
        elif isinstance(place, list):
            place.insert(key, copy.deepcopy(place[key]))
        else:
            place[f"{key}s"] = place.pop(key)
    return root[0]


def mutated_lines(content: bytes, draw: Draw) -> bytes:
    """Lines of JSON of which one is changed, missing or there twice."""
    lines = content.splitlines()
    i, kind = int(draw.integers(len(lines))), int(draw.integers(6))
    changed = json.dumps(mutated_json(json.loads(lines[i]), draw))
    others = [changed.encode(pick(draw, ("utf-8", "utf-8", "utf-16")))]
    lines[i : i + 1] = (
        [pick(draw, lines), lines[i]] if kind == 0 else others[: kind - 1]
    )
    return pick(draw, (b"\n", b"\n", b"\r\n")).join([*lines, b""])


class Case(NamedTuple):
    """The contents that files may have, and what reads them; errors name `name`."""

    files: dict[str, list[bytes]]
    read: Callable[[Path], Any]
    name: str

    def write(self, folder: Path, draw: Draw) -> None:
        """Write all files, and change one of them, or what is in its place."""
        changed = pick(draw, list(self.files))
        for name, contents in self.files.items():
            path, content = folder / name, pick(draw, contents)
            path.parent.mkdir(exist_ok=True)
            remove(path)
            if name == changed:
                if draw.random() < 0.05:
                    pick(draw, PLACES)(path)
                    continue
                is_json = content.startswith(b"{")
                kind = mutated_lines if is_json and draw.random() < 0.7 else mutated
                if draw.random() < 0.9:
                    content = kind(content, draw)
                if draw.random() < 0.1:
                    content = gzip.compress(content, 1, mtime=0)
            path.write_bytes(content)


def idx_files(folder: Path) -> Case:
    content = idx(np.arange(200).reshape(2, 10, 10))
    contents = [content, gzip.compress(content, mtime=0)]
    return Case({"some-idx": contents}, read_idx, "some-idx")


def npz_files(folder: Path) -> Case:
    contents, x, y = [], np.arange(12).reshape(3, 4), np.arange(3)
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, x=x, y=y)
        contents.append(file.getvalue())
    np.save(file := io.BytesIO(), x)
    return Case({"some.npz": [*contents, file.getvalue()]}, read_npz, "some.npz")


def csv_files(folder: Path) -> Case:
    content = b"label,a,b\n1,2,3\n0,255,0\r\n\n2,7,7\n1,0,0\n"
    return Case({"some.csv": [content]}, load_data, "some.csv")


def book_files(folder: Path) -> Case:
    weights = [[[0.5, 1], [2, 3.0], [1, 1]], [[1, 2, 3]]]
    document = {"sizes": [2, 3, 1], "weights": weights, "cost": "QuadraticCost"}
    document["biases"] = [[[1], [2], [3]], [[-1.5]]]

    def read(path: Path) -> None:
        params, _ = jaxnet.load_book_network(path)
        jaxnet.checks.check_params(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))

    return Case({"net.json": [json.dumps(document).encode()]}, read, "net.json")


def functions(folder: Path) -> Case:
    path = folder / "network.jax"
    runs.save_function(path, jaxnet.init(jax.random.key(0), [3, 2]))
    return Case({path.name: [path.read_bytes()]}, runs.load_function, path.name)


def sweeps(folder: Path) -> Case:
    e = Experiment(epochs=3)
    line = {"curve": [9000, None, 9100], "of": 10_000, "failed_classes": [1]}
    values: list[Any] = [log_of("none", e).header]
    for eta in (0.1, 3.0):
        rates = {"eta": eta, "l1": 0.0, "l2": 0.0, "dropout": 0.0}
        for seed in (1, 2):
            values.append({"seed": seed, "rates": rates, **line, "seconds": 1.5})
    content = b"".join(json.dumps(value).encode() + b"\n" for value in values)

    def read(path: Path) -> None:
        found = log_of(path, e).read()
        rows = summaries({(float(i),): [each] for i, each in enumerate(found)})
        assert not rows or list(_table(rows, ["eta"]))

    return Case({"sweep.jsonl": [content]}, read, "sweep.jsonl")


def write_run(path: Path, dtype: str = "float32") -> None:
    """A folder as `train --out` keeps it, after two epochs."""
    e = Experiment(sizes=(3, 2), epochs=3)
    arrays = jax.tree.map(lambda a: np.full(a.shape, 0.1, a.dtype), shapes(e, 2))
    environment = {"jaxnet": "0.1", "jax": "0.10", "device": "cpu", "dtype": dtype}
    facts = (described(e), 1, 2, None, "abc", 200, environment, 2)
    manifest = Manifest("jaxnet run 2", *facts)
    checkpoint.save(path, 2, checkpoint.by_path(arrays), manifest)
    for epoch in range(2):
        lists = ([100, None], [True, False], [0, 1])
        append_line(path / runs.METRICS, runs.Record(epoch, *lists, 0.5))


def kept_runs(folder: Path) -> Case:
    """Some of the changed manifests have the right checksum."""
    write_run(folder / "kept")
    newest, metrics = "kept/checkpoint-00000002.safetensors", f"kept/{runs.METRICS}"
    arrays, manifest, _ = checkpoint.load(folder / "kept", Manifest)
    draw, contents = np.random.default_rng(2), 50 * [(folder / newest).read_bytes()]
    for _ in range(50):
        value = json.loads(msgspec.json.encode(manifest))
        text = json.dumps(mutated_json(value, draw))
        sealed = {"manifest": text, "sha256": checkpoint._checksum(arrays, text)}
        contents.append(safetensors.numpy.save(arrays, sealed))

    def read(path: Path) -> None:
        run = runs.read(path.parent)
        assert runs.load_network(path.parent).params
        assert run.finished in (True, False) and list(_compare({"a": run, "b": run}))

    lines = [(folder / metrics).read_bytes()]
    return Case({newest: contents, metrics: lines}, read, "kept")


def pictures_bytes() -> list[bytes]:
    """Small pictures of all formats and modes, some with frames or an orientation."""
    levels = np.arange(240, dtype=np.uint8).reshape(12, 20)
    grey, turned, found = Image.fromarray(levels), Image.Exif(), []
    turned[0x112] = 6
    wide = [Image.fromarray(levels.astype(t)) for t in (np.uint16, np.int32, "f4")]
    frames = {"save_all": True, "append_images": [grey.rotate(180)]}
    cases: list[tuple[list[Image.Image], str, dict]] = [
        ([grey], "PNG JPEG GIF BMP TIFF WEBP PPM", {}),
        ([grey.convert(mode) for mode in ("1", "P", "LA", "RGBA")], "PNG", {}),
        ([*wide, grey.convert("CMYK")], "TIFF", {}),
        (wide[:1], "PNG", {}),
        ([grey], "GIF WEBP PNG TIFF", frames),
        ([grey], "JPEG PNG", {"exif": turned}),
    ]
    for images, kinds, options in cases:
        for image, kind in itertools.product(images, kinds.split()):
            file = io.BytesIO()
            image.save(file, kind, **options)
            found.append(file.getvalue())
    return found


def pictures(folder: Path) -> Case:
    return Case({"digit.png": pictures_bytes()}, read_picture, "digit.png")


def picture_folders(folder: Path) -> Case:
    files = {f"{label}/{i}.png": pictures_bytes()[:1] for label in "ab" for i in "12"}
    return Case(files, lambda path: load_data(folder), str(folder))


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


PLACES: list[Callable[[Path], Any]] = [
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/full"),
    lambda path: path.touch(),
    lambda path: None,
]
