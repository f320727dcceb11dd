"""Files of each kind that jaxnet reads, changed at random: to write, and to read."""

import copy
import gzip
import io
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
Fields = Sequence[tuple[int, int]]

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


def mutated(content: bytes, draw: Draw, fields: Fields = ()) -> bytes:
    """The bytes after one to four changes; `fields` are numbers' places and lengths."""
    for _ in range(int(draw.integers(1, 5))):
        i, j = sorted(draw.integers(0, len(content) + 1, 2).tolist())
        token, head, bit = pick(draw, TOKENS), pick(draw, HEADS), 1 << draw.integers(8)
        flipped = content[:i] + bytes(x ^ bit for x in content[i : i + 1])
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
        ]
        if fields:
            where, size = pick(draw, fields)
            order = pick(draw, ("big", "little"))
            number = (pick(draw, EXTREMES) % 256**size).to_bytes(size, order)
            changes += 2 * [content[:where] + number + content[where + size :]]
        content = pick(draw, changes)
    return content


def mutated_gzip(content: bytes, draw: Draw, fields: Fields = ()) -> bytes:
    """The same, packed before or after the changes, or not packed."""
    kind = draw.integers(4)
    if kind:
        content = mutated(content, draw, fields)
    packed = gzip.compress(content, 1, mtime=0) if kind < 2 else content
    return packed if kind else mutated(packed, draw)


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


def mutated_text(value: Any, draw: Draw) -> bytes:
    """JSON's bytes of a value, changed as a value or as bytes."""
    if draw.random() < 0.3:
        return mutated(json.dumps(value).encode(), draw)
    return json.dumps(mutated_json(value, draw)).encode(pick(draw, ("utf-8", "utf-16")))


def mutated_lines(values: Sequence[Any], draw: Draw) -> bytes:
    """JSON lines, changed as bytes, or of which one is changed, missing or moved."""
    lines = [json.dumps(value).encode() for value in values]
    if draw.random() < 0.3:
        return mutated(b"\n".join([*lines, b""]), draw)
    i, kind = int(draw.integers(len(lines))), int(draw.integers(6))
    others = [pick(draw, lines), lines[i]] if kind else []
    lines[i : i + 1] = others if kind < 2 else [mutated_text(values[i], draw)]
    return pick(draw, (b"\n", b"\n", b"\r\n")).join([*lines, b""])


Case = tuple[Callable[[Draw], Any], Callable[[], Any], str]
"""What writes an input, what reads it, and the name that an error must have."""


def idx_files(folder: Path) -> Case:
    path, content = folder / "some-idx", idx(np.arange(200).reshape(2, 10, 10))
    fields = [(0, 1), (1, 1), (2, 1), (3, 1), (4, 4), (8, 4), (12, 4)]

    def write(draw: Draw) -> None:
        path.write_bytes(mutated_gzip(content, draw, fields))

    return write, lambda: read_idx(path), path.name


def npz_files(folder: Path) -> Case:
    path, contents = folder / "some.npz", []
    arrays: dict[str, Any] = {"x": np.arange(12).reshape(3, 4), "y": np.arange(3)}
    for save in (np.savez, np.savez_compressed):
        save(path, **arrays)
        contents.append(path.read_bytes())
    np.save(folder / "x.npy", arrays["x"])
    contents += 2 * [(folder / "x.npy").read_bytes()]

    def write(draw: Draw) -> None:
        path.write_bytes(mutated(pick(draw, contents), draw))

    return write, lambda: read_npz(path), path.name


def csv_files(folder: Path) -> Case:
    path = folder / "some.csv"
    content = b"label,a,b\n1,2,3\n0,255,0\r\n\n2,7,7\n1,0,0\n"

    def write(draw: Draw) -> None:
        path.write_bytes(mutated_gzip(content, draw))

    return write, lambda: load_data(path, as_bytes=True), path.name


def book_files(folder: Path) -> Case:
    path = folder / "net.json"
    weights = [[[0.5, 1], [2, 3.0], [1, 1]], [[1, 2, 3]]]
    document = {"sizes": [2, 3, 1], "weights": weights, "cost": "QuadraticCost"}
    document["biases"] = [[[1], [2], [3]], [[-1.5]]]

    def write(draw: Draw) -> None:
        path.write_bytes(mutated_text(document, draw))

    def read() -> None:
        params, _ = jaxnet.load_book_network(path)
        jaxnet.checks.check_params(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))

    return write, read, path.name


def functions(folder: Path) -> Case:
    path = folder / "network.jax"
    runs.save_function(path, jaxnet.init(jax.random.key(0), [3, 2]))
    content = path.read_bytes()

    def write(draw: Draw) -> None:
        fields = [(int(draw.integers(len(content))), 4)]
        path.write_bytes(mutated(content, draw, fields))

    return write, lambda: runs.load_function(path), path.name


def sweeps(folder: Path) -> Case:
    path, e = folder / "sweep.jsonl", Experiment(epochs=3)
    line = {"curve": [9000, None, 9100], "of": 10_000, "failed_classes": [1]}
    values: list[Any] = [log_of("none", e).header]
    for eta in (0.1, 3.0):
        rates = {"eta": eta, "l1": 0.0, "l2": 0.0, "dropout": 0.0}
        for seed in (1, 2):
            values.append({"seed": seed, "rates": rates, **line, "seconds": 1.5})

    def read() -> None:
        found = log_of(path, e).read()
        rows = summaries({(float(i),): [each] for i, each in enumerate(found)})
        assert not rows or list(_table(rows, ["eta"]))

    return lambda draw: path.write_bytes(mutated_lines(values, draw)), read, path.name


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
    path = folder / "kept"
    write_run(path)
    places = path / "checkpoint-00000002.safetensors", path / runs.METRICS
    data, metrics = (place.read_bytes() for place in places)
    arrays, manifest, _ = checkpoint.load(path, Manifest)
    lines = [json.loads(line) for line in metrics.splitlines()]

    def write(draw: Draw) -> None:
        contents, kind = [data, metrics], int(draw.integers(4))  # the last: unchanged
        if kind == 0:
            contents[0] = mutated(data, draw, [(0, 8)])
        elif kind == 1:
            contents[1] = mutated_lines(lines, draw)
        elif kind == 2:  # with the right checksum
            value = json.loads(msgspec.json.encode(manifest))
            text = json.dumps(mutated_json(value, draw))
            sealed = {"manifest": text, "sha256": checkpoint._checksum(arrays, text)}
            contents[0] = safetensors.numpy.save(arrays, sealed)
        for file, content in zip(places, contents, strict=True):
            file.write_bytes(content)

    def read() -> None:
        run = runs.read(path)
        assert runs.load_network(path).params
        assert run.finished in (True, False) and list(_compare({"a": run, "b": run}))

    return write, read, path.name


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


def changed_picture(content: bytes, draw: Draw) -> bytes:
    fields = [(int(draw.integers(64)), pick(draw, (1, 2, 4))) for _ in range(4)]
    return mutated(content, draw, fields)


def pictures(folder: Path) -> Case:
    path, contents = folder / "digit.png", pictures_bytes()

    def write(draw: Draw) -> None:
        path.write_bytes(changed_picture(pick(draw, contents), draw))

    return write, lambda: read_picture(path), path.name


def picture_folders(folder: Path) -> Case:
    places = [folder / "pictures" / label / f"{i}.png" for label in "ab" for i in "12"]
    contents = pictures_bytes()

    def write(draw: Draw) -> None:
        for place in places:
            remove(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(contents[0])
        place = pick(draw, places)
        place.write_bytes(changed_picture(pick(draw, contents), draw))
        if draw.random() < 0.3:
            remove(place)
            pick(draw, PLACES)(place)

    return write, lambda: load_data(folder / "pictures", as_bytes=True), "pictures"


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
