"""Inputs that nobody would write: bytes, JSON and pictures changed at random."""

import copy
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Draw = np.random.Generator
Fields = Sequence[tuple[int, int]]

EXTREMES = [0, 1, 2, 127, 128, 255, 256, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
EXTREMES += [2**53, 2**63 - 1, 2**63, 2**64 - 1]
TOKENS = [b"\0", b"\xff", b"\r\n", b"\n", b",", b"-", b"NaN", b"1e999"]
TOKENS += [b"[", b"{", b'"', b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80"]
TOKENS += [b"9" * 5000]
HEADS = [b"", b"\0", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x80\x02}q\0.", b"PK"]
HEADS += [b"<html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%!PS\n", b"\xff\xfe", b"P5\n"]
WRONG: list[Any] = [None, True, False, 0, 1, -1, 2, 0.5, 1e39, -1e308, 10**30]
WRONG += [10**400, float("nan"), float("inf"), "", "1", "\ud800", "x" * 300]
WRONG += [[], {}, [[]], [None]]
WRONG += [{"": {}}, [1] * 50, -0.0, 2**63, "quadratic", "sigmoid", 1e-320]


def pick(draw: Draw, among: Sequence[Any]) -> Any:
    """One of them."""
    return among[int(draw.integers(len(among)))]


def mutated(content: bytes, draw: Draw, fields: Fields = ()) -> bytes:
    """The bytes after one to four changes; `fields` are numbers' places and lengths."""
    for _ in range(int(draw.integers(1, 5))):
        content = _changed(content, draw, fields)
    return content


def _changed(content: bytes, draw: Draw, fields: Fields) -> bytes:
    i, j = sorted(draw.integers(0, len(content) + 1, 2).tolist())
    kind = int(draw.integers(12 if fields else 10))
    if kind == 0:
        return content[:i]
    if kind == 1:
        return content[:i] + content[j:]
    if kind == 2:
        return content[:j] + content[i:]
    if kind == 3:
        return content + draw.bytes(int(draw.integers(1, 40)))
    if kind == 4:
        return content[:i] + pick(draw, TOKENS) + content[i:]
    if kind == 5:
        return content[:i] + pick(draw, TOKENS) + content[i + 1 :]
    if kind == 6:
        return pick(draw, HEADS) + content[i:]
    if kind == 7:
        return content[:i] + bytes(j - i) + content[j:]
    if kind in (8, 9):
        flipped = bytes(x ^ (1 << int(draw.integers(8))) for x in content[i : i + 1])
        return content[:i] + flipped + content[i + 1 :]
    where, size = pick(draw, fields)
    order = pick(draw, ("big", "little"))
    number = (pick(draw, EXTREMES) % 256**size).to_bytes(size, order)
    return content[:where] + number + content[where + size :]


def mutated_gzip(content: bytes, draw: Draw, fields: Fields = ()) -> bytes:
    """The same, packed before or after the changes."""
    if draw.integers(2):
        return gzip.compress(mutated(content, draw, fields), 1, mtime=0)
    return mutated(gzip.compress(content, 1, mtime=0), draw)


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
    """JSON's bytes of a value, changed as a value, as text or as bytes."""
    kind = int(draw.integers(8))
    if kind > 1:
        value = mutated_json(value, draw)
    text = json.dumps(value)
    if kind == 2:
        text = text.replace("{", '{"sizes": 0, "seed": [], "epoch": null, ', 1)
    if kind == 3:
        text = pick(draw, ("\ufeff", "\r\n", " " * 50, "[" * 3000)) + text
    if kind == 4:
        return text.encode(pick(draw, ("utf-16", "utf-32", "utf-8-sig", "cp037")))
    content = text.encode()
    return mutated(content, draw) if kind < 2 else content


def mutated_lines(values: Sequence[Any], draw: Draw) -> bytes:
    """JSON lines, of which one or two are changed, or missing, or there twice."""
    lines = [json.dumps(value).encode() for value in values]
    for _ in range(int(draw.integers(1, 3))):
        i = int(draw.integers(len(lines)))
        kind = int(draw.integers(6))
        if kind == 0:
            lines.insert(i, pick(draw, lines))
        elif kind == 1 and len(lines) > 1:
            del lines[i]
        else:
            lines[i] = mutated_text(values[min(i, len(values) - 1)], draw)
    return pick(draw, (b"\n", b"\n", b"\n", b"\r\n")).join([*lines, b""])


def mutated_png(content: bytes, draw: Draw) -> bytes:
    """A PNG of which a chunk is changed, with the right checksum, so it is read."""
    chunks, rest = [], content[8:]
    while rest:
        size = int.from_bytes(rest[:4])
        chunks.append([rest[4:8], rest[8 : 8 + size]])
        rest = rest[12 + size :]
    chunk = pick(draw, chunks)
    if draw.integers(2) and chunk[0] == b"IDAT":
        pixels = mutated(zlib.decompress(chunk[1]), draw)
        chunk[1] = zlib.compress(pixels, 1)
    else:
        fields = [(0, 4), (4, 4), (8, 1), (9, 1), (12, 1)]
        chunk[1] = mutated(chunk[1], draw, fields)
    if draw.random() < 0.3:
        chunks.insert(int(draw.integers(len(chunks) + 1)), pick(draw, chunks))
    if draw.random() < 0.1:
        chunk[0] = pick(draw, (b"tRNS", b"PLTE", b"acTL", b"eXIf", b"iCCP", b"zTXt"))
    packed = content[:8]
    for kind, data in chunks:
        check = zlib.crc32(kind + data).to_bytes(4)
        packed += len(data).to_bytes(4) + kind + data + check
    return packed
